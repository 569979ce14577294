/** `keelson run --members` with `members.judge: 'hold'`: a build that would block more stops at the first member (needs the build). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const packageOf = (name: string): string =>
  JSON.stringify(new URL(`../../../dist/${name}.js`, import.meta.url).href)

/** A service whose runs rest after this step. It says so when all twelve do. */
const serviceOf = (step: string): string => `
import { defineConfig, supervisor, worker } from ${packageOf('index')}
import { flow, flows, workflow } from ${packageOf('flow/index')}
const order = workflow('order', async (ctx) => {
  await ctx.step('${step}', () => 1)
  await ctx.waitFor('approval')
})
const begins = async (own) => {
  const changes = own.watch({ type: order })
  for (let id = 0; id < 12; id++) await own.start(order, undefined, { id: String(id) })
  const resting = new Set()
  for await (const { id, row } of changes) {
    if (row?.status === 'waiting') resting.add(id)
    if (resting.size === 12) break
  }
  console.log('all rest')
}
const starter = {
  init: (_, context) => {
    if (process.title === 'keelson member b') begins(flow(context.app)).catch(console.error)
    return 0
  },
  calls: {}, casts: {},
}
export default defineConfig({
  shards: 4,
  members: { judge: 'hold' },
  app: supervisor('app', {}, [
    flows({ workflows: [order] }),
    worker('starter', starter),
  ]),
})
`

test.skipIf(lacks(noFlock))(
  'at SIGHUP a build that would block runs stops at the first member, and the build before goes through',
  async () => {
    const dir = tempFolder()
    const deploys = (step: string): void => writeFileSync(join(dir, 'service.mjs'), serviceOf(step))
    deploys('reserve')
    const words = ['run', 'service.mjs', '--dir', 'd', '--members', '2']
    const service = startKeelson(words, dir, {}, 'ignore')
    await service.says('all rest')
    await service.says('ready: ')

    deploys('book')
    service.process.kill('SIGHUP')
    await service.says(
      'member a would block actors that none would before: workflow order: DIVERGED, so these are not restarted: b',
      'errors',
    )

    deploys('reserve')
    service.process.kill('SIGHUP')
    await service.says('member b is ready', 'errors')
    service.process.kill('SIGTERM')
    const { status, errors } = await service.ended
    expect(status).toBe(0)
    // Of the first SIGHUP it is not.
    expect(errors.match(/member b is ready/g)).toHaveLength(1)
  },
)
