/** The examples of docs/rehearsal.md do what the page says, on the built package. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { start } from 'keelson'
import { flow } from 'keelson/flow'
import { expect, test } from 'vitest'
import { examplesOf, folderInside } from './support/doc-examples.ts'

const page = 'docs/rehearsal.md'

const configOf = (step: string): string => `
import { defineConfig, supervisor } from 'keelson'
import { flows, workflow } from 'keelson/flow'
export const order = workflow('order', async (ctx) => {
  await ctx.step('${step}', () => 1)
  await ctx.waitFor('approval')
})
export default defineConfig({
  dir: './data',
  app: supervisor('app', {}, [flows({ workflows: [order] })]),
})
`

/** A script as `sh` finds it. */
const program = (path: string, text: string): void => {
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
}

/** A repository with a backup of its service, whose three runs rest, and its live build. */
const repository = async () => {
  const dir = resolve(folderInside())
  for (const name of ['live', 'bin']) mkdirSync(join(dir, name))
  program(join(dir, 'deploy.sh'), 'touch deployed')
  const command = resolve('dist/inspect/cli/cli.js')
  program(join(dir, 'bin/keelson'), `exec '${process.execPath}' '${command}' "$@"`)
  writeFileSync(join(dir, 'live/keelson.config.js'), configOf('reserve'))
  const { default: config, order } = await import(join(dir, 'live/keelson.config.js'))
  const app = await start({ ...config, dir: join(dir, 'data') })
  const changes = flow(app).watch({ type: order })
  for (const id of ['a', 'b', 'c']) await flow(app).start(order, undefined as never, { id })
  const resting = new Set<string>()
  for await (const { id, row } of changes) {
    if (row?.status === 'waiting') resting.add(id)
    if (resting.size === 3) break
  }
  await app.backup(join(dir, 'backup'))
  await app.close()
  const ran = (...words: [string, ...string[]]) => {
    const [name, ...more] = words
    const env = { ...process.env, PATH: `${join(dir, 'bin')}${delimiter}${process.env['PATH']}` }
    const { status, stdout } = spawnSync(name, more, { cwd: dir, env, encoding: 'utf8' })
    return { status, stdout }
  }
  return {
    dir,
    ran,
    commits: (step: string) => writeFileSync(join(dir, 'keelson.config.js'), configOf(step)),
  }
}

/** The example of a language that has this text. */
const exampleWith = (language: string, text: string): string =>
  examplesOf(page, language).find((each) => each.includes(text)) ?? ''

test('the step of a CI job refuses a build that would stop runs, and deploys one that would not', async () => {
  const { dir, ran, commits } = await repository()
  const step = exampleWith('sh', 'deploy.sh')

  commits('book')
  expect(ran('sh', '-c', step)).toMatchObject({
    status: 4,
    stdout: expect.stringContaining('blocks  workflow order: DIVERGED  (3)'),
  })
  expect(existsSync(join(dir, 'deployed'))).toBe(false)

  commits('reserve')
  expect(ran('sh', '-c', step).status).toBe(0)
  expect(existsSync(join(dir, 'deployed'))).toBe(true)
})

test('the test with saved cases fails with a build that would stop runs', async () => {
  const { dir, ran, commits } = await repository()
  writeFileSync(join(dir, 'cases.test.js'), exampleWith('js', 'cases.test.js'))
  commits('reserve')
  expect(ran('sh', '-c', exampleWith('sh', '--save')).status).toBe(0)
  const tested = () => ran(process.execPath, '--test', 'cases.test.js')

  expect(tested().status).toBe(0)
  commits('book')
  const { status, stdout } = tested()
  expect([status, stdout]).toEqual([1, expect.stringContaining('DIVERGED')])
})

test('the example with a simulation ends without a failed assertion', () => {
  const dir = folderInside()
  writeFileSync(join(dir, 'example.mjs'), exampleWith('js', 'startSimulated'))
  const { status, stderr } = spawnSync(process.execPath, ['example.mjs'], {
    cwd: dir,
    encoding: 'utf8',
  })

  expect([status, stderr]).toEqual([0, ''])
})
