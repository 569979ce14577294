/** `keelson restore --shards` on real folders (needs the build). */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  call,
  type DurableServer,
  entity,
  reply,
  type StartOptions,
  start,
  supervisor,
} from 'keelson'
import { expect, test, vi } from 'vitest'
import { parseRestore } from '../../../src/inspect/folder/backup-command-line.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { tempFolder } from '../../support/temp-folder.ts'

// What a command of the sources opens is of the build, too: only it has threads.
vi.mock('../../../src/supervisors/index.ts', async (original) => ({
  ...(await original<object>()),
  start: (options: StartOptions) => start(options),
}))

const server: DurableServer<{ calls: { write: (key: string) => null } }, null> = {
  init: () => null,
  calls: {
    write: (state, key, { writes }) => {
      writes.put(key, 1)
      return reply(null, state)
    },
  },
}

type Found = { kind: string; what: string; isRefused: boolean }

/** A backup in `b` of a folder in which each thing that is refused is there. */
const withAll = async () => {
  const dir = tempFolder()
  const writers = entity('writer', server, { keys: true })
  const options = { dir: join(dir, 'd'), app: supervisor('app', {}, [writers]) }
  const before = await start(options)
  const read = new Promise<void>((resolve) => {
    before.journal.subscribe({ name: 'reader', handler: () => resolve() })
  })
  await before.journal.append({ id: 'one', type: 'noted' })
  await read
  await before.close()
  const app = await start(options)
  for (let at = 0; at < 20; at++) await app.store.put(`key:${at}`, at)
  await app.store.batch().put('order:1', 1).put('stock:7', 1).put('stock:8', 1).commit()
  await app.store.lock(['one', 'two', 'three'], { owner: 'me', leaseMs: 60_000 })
  await call(app.entity(writers).ref('1'), 'write', 'elsewhere')
  await app.journal.append({ id: 'two', type: 'noted' })
  await app.close()
  expect((await commandHere(['backup', 'd', '--to', 'b'], dir)).status).toBe(0)
  return dir
}

test('what is against more shards is refused with a list and status 4, and nothing is made', {
  tags: ['SH5'],
}, async () => {
  const dir = await withAll()
  const words = ['restore', 'b', '--to', 'r', '--shards', '64', '--json']
  const { status, output } = await commandHere(words, dir)
  expect(status).toBe(4)
  const { findings, made } = JSON.parse(output)
  expect(made).toBeUndefined()
  const said = findings.map(({ kind, what }: Found) => `${kind}: ${what}`)
  expect(said).toEqual(
    expect.arrayContaining([
      'cross-shard: a batch with order:…, stock:…',
      expect.stringMatching(/^cross-shard: a lock with /),
      expect.stringMatching(/^cross-shard: a turn of writer with /),
      'cross-shard: writer with elsewhere',
      'cut-log: entries of the journal',
      'unread: the subscription reader',
    ]),
  )
  expect(readdirSync(dir).sort()).toEqual(['b', 'd'])

  // What is not read is never accepted.
  const dry = await commandHere(
    [...words, '--dry-run', '--accept', 'cross-shard', '--cut-log'],
    dir,
  )
  const refused = JSON.parse(dry.output).findings.filter((each: Found) => each.isRefused)
  expect(refused.map(({ kind }: Found) => kind)).toEqual(['unread'])
  expect(existsSync(join(dir, 'r'))).toBe(false)
})

test('with more shards the folder waits as a copy, has its origin, and a start with the old number says what to do', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), app: false })
  for (let at = 0; at < 50; at++) await app.store.put(`key:${at}`, at)
  await app.store.put('large', Buffer.alloc(400_000, 7))
  await app.close()
  await commandHere(['backup', 'd', '--to', 'b'], dir)
  const made = await commandHere(['restore', 'b', '--to', 'r', '--shards', '8', '--progress'], dir)
  expect(made.status, made.errors).toBe(0)
  expect(made.output).toContain('8 shards instead of 1')
  expect(made.errors).toMatch(/splitting shard 0/)

  const back = await start({ dir: join(dir, 'r'), app: false, shards: 8 })
  for (let at = 0; at < 50; at++) expect(back.store.get(`key:${at}`)).toBe(at)
  expect(await back.store.load('large')).toEqual(Buffer.alloc(400_000, 7))
  await back.close()
  const refusal = (shards: number, of: string) =>
    start({ dir: join(dir, of), app: false, shards }).then(
      () => 'ok',
      (error: Error) => error.message,
    )
  expect(await refusal(8, 'd')).toMatch(/expected 1, as .* has; `keelson reshard .* --shards 8`/)
  expect(await refusal(1, 'r')).toMatch(/expected 8, as .* has, found/)
  // The unfinished folder of a run that was killed is no folder.
  const again = await commandHere(['restore', 'b', '--to', 'r', '--shards', '8'], dir)
  expect(again.status).toBe(1)
  for (const shards of ['1', '2000']) {
    const odd = await commandHere(['restore', 'b', '--to', 's', '--shards', shards], dir)
    expect(odd.errors).toContain('INVALID_ARGUMENT')
  }
  expect(existsSync(join(dir, 's'))).toBe(false)
})

test.each([
  [['b', '--to', 'r', '--dry-run']],
  [['b', '--to', 'r', '--cut-log']],
  [['b', '--to', 'r', '--shards', '0']],
  [['b', '--to', 'r', '--shards', '2', '--accept', 'all']],
  [['b', '--to', 'r', '--shards', '2', '--projections', 'stay:sums']],
])('the words %j are refused', (words) => {
  expect(() => parseRestore(words)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})
