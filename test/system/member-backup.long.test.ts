/** Backups of `keelson run --members`, made by the command while the service runs, and with members that are killed meanwhile. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { RemoteSession } from '../../src/inspect/attach/remote-session.ts'
import { commandHere } from '../support/commands/command-here.ts'
import { treeWith, write } from '../support/commands/command-project.ts'
import { runKeelson, startKeelson } from '../support/commands/keelson-command.ts'
import { noFlock } from '../support/harm/folder-locks.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'

const keys = 200

/** Each member says who it is. One writes numbers over all shards, again and again, in rounds. */
const worker = `export const server = {
  init: (_, context) => {
    console.log('process ' + process.title.split(' ').at(-1) + ' ' + process.pid)
    if (process.title.endsWith(' a')) void rounds(context.app)
  },
  calls: {}, casts: {},
}
// An owner may be killed under a put: it is made again, so that the order stays.
const put = async (store, key, value) => {
  for (;;) {
    try {
      await store.put(key, value)
      return true
    } catch (error) {
      if (error.code === 'CLOSED') return false
    }
  }
}
const rounds = async ({ store }) => {
  const filling = 'x'.repeat(8_000)
  for (let round = 1; ; round++) {
    for (let key = 0; key < ${keys}; key++)
      if (!(await put(store, 'k' + String(key).padStart(4, '0'), round + ' ' + filling))) return
    console.log('round ' + round)
  }
}`

const startService = async () => {
  const dir = tempFolder()
  write(dir, 'worker.mjs', worker)
  const { app } = JSON.parse(treeWith('./worker.mjs'))
  write(dir, 'service.json', JSON.stringify({ app, shards: 8 }))
  const words = ['run', 'service.json', '--dir', 'd', '--members', '4']
  const service = startKeelson(words, dir, {}, 'ignore')
  await service.says('ready: ')
  await service.says('round 2\n')
  return { dir, service }
}

/** The rounds in the copy that a backup restores to, in the order in which they were written. */
const roundsIn = async (dir: string, backup: string): Promise<readonly number[]> => {
  const made = await commandHere(['restore', backup, '--to', `${backup}-r`], dir)
  expect(made.errors).toBe('')
  const app = await start({ dir: join(dir, `${backup}-r`), app: false })
  const found = Array.from({ length: keys }, (_, key) =>
    app.store.get<string>(`k${String(key).padStart(4, '0')}`),
  )
  await app.close()
  return found.map((each) => Number(each?.split(' ')[0]))
}

const isOneMoment = ([first = 0, ...rounds]: readonly number[]): boolean => {
  // Round after round goes over the keys in their order, so at most once one is followed by the one before.
  const all = [first, ...rounds]
  return (
    all.every((round, at) => round === first || (round === first - 1 && at > 0)) &&
    all.every((round, at) => at === 0 || round <= (all[at - 1] as number))
  )
}

describe.skipIf(lacks(noFlock))('a backup of a service with members (needs the build)', () => {
  test('is made by the command while it runs, of all shards as of one moment', async () => {
    const { dir, service } = await startService()
    const words = ['backup', 'd', '--to', 'b', '--consistent', '--json']
    const made = await runKeelson(words, dir)
    expect(made).toMatchObject({ status: 0, errors: '' })
    const report = JSON.parse(made.output)
    expect(report).toMatchObject({ dir: join(dir, 'b'), consistent: true })
    expect(report.shards).toHaveLength(8)

    const again = await runKeelson(['backup', 'd', '--to', 'b', '--consistent'], dir)
    expect(again.output).toMatch(/^backup in .*\/b\nshard 0 {2}lsn 0 to /)
    service.process.kill('SIGTERM')
    expect((await service.ended).status).toBe(0)
    const rounds = await roundsIn(dir, 'b')
    expect(isOneMoment(rounds), `${rounds}`).toBe(true)
    expect(Math.min(...rounds)).toBeGreaterThan(0)
  })

  test.each([false, true])(
    'names the shard and the member that was killed, and holds nothing after that (consistent: %s)',
    async (consistent) => {
      const { dir, service } = await startService()
      const pid = Number(/process d (\d+)/.exec(service.printed())?.[1])
      const { session } = await RemoteSession.open(
        { dir: join(dir, 'd'), member: 'a' },
        { colours: false, verbose: false },
      )
      const first = '({ shard }) => { if (shard === 0) process.kill(PID, "SIGKILL") }'
      const onProgress = first.replace('PID', String(pid))
      const to = JSON.stringify(join(dir, 'b'))
      const { text, hasFailed } = await session.run(
        `backup(${to}, { consistent: ${consistent}, onProgress: ${onProgress} })`,
      )
      session.close()

      expect(text).toMatch(/SHARD_DOWN: shard \d: the member d has ended during the backup/)
      expect(hasFailed).toBe(true)
      expect(existsSync(join(dir, 'b/backup.json'))).toBe(false)
      // Writes go on at every shard, and the next backup is whole.
      const round = Number(/round (\d+)\n$/.exec(service.printed())?.[1])
      await service.says(`round ${round + 2}\n`)
      const made = await runKeelson(['backup', 'd', '--to', 'b', '--consistent'], dir)
      expect(made).toMatchObject({ status: 0, errors: '' })
      service.process.kill('SIGTERM')
      await service.ended
      expect(isOneMoment(await roundsIn(dir, 'b'))).toBe(true)
    },
  )
})
