/** The reasons against more shards that are found in rows and logs, before anything is made. */
import { expect, test } from 'vitest'
import { flow, flows } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  projection,
  reply,
  type StartOptions,
  supervisor,
} from '../../../src/index.ts'
import { readBackup, shardFolder } from '../../../src/storage/index.ts'
import { finish } from '../../../src/storage/ports/steps.ts'
import type { SplitFinding } from '../../../src/tools/index.ts'
import { checkingSplit } from '../../../src/tools/restore/split-checks.ts'
import { started } from '../../support/worlds/simulated-instance.ts'
import { readyToSplit } from '../../support/worlds/split-instance.ts'

type During = <T>(work: Promise<T>) => Promise<T>

/** The findings about so many shards, after `write` in a folder of one. */
const checked = async (
  shards: number,
  write: (app: App, during: During, pass: (ms: number) => Promise<void>) => Promise<void>,
  options: Partial<StartOptions> = {},
): Promise<readonly SplitFinding[]> => {
  const world = await started(options)
  const { app, disk, during, pass } = world
  await write(app, during, pass)
  await during(app.backup('/backup'), 60_000)
  const backup = readBackup(disk, '/backup')
  if (!backup) throw new Error('there is a backup')
  const parents = (await readyToSplit(world, app)).map((shard, at) => {
    const copy = backup.shards[at]
    if (!copy) throw new Error('each shard has a copy')
    return { ...shard, copy, copied: shardFolder('/backup', at), lsn: copy.lsn }
  })
  return finish(checkingSplit(disk, shards, parents))
}

/** Of a kind. Other rows of a flow or an actor have findings of their own. */
const ofKind = (kind: SplitFinding['kind'], found: readonly SplitFinding[]) =>
  found.filter((each) => each.kind === kind)

type Messages = { calls: { write: (key: string) => string } }

/** It writes any key. */
const writer: DurableServer<Messages, null> = {
  init: () => null,
  calls: {
    write: (state, key, context) => {
      context.writes.put(key, 1)
      return reply(key, state)
    },
  },
}

const tree = supervisor('app', {}, [entity('writer', writer, { keys: true }), flows({})])

test('keys by themselves, and many at once, have no finding', async () => {
  const found = await checked(64, async ({ store }, during) => {
    for (let at = 0; at < 20; at++) await during(store.put(`key:${at}`, at))
    await during(store.putMany([...'abcdefgh'].map((key) => [key, 1])))
    await during(store.deleteMany([...'abcd']))
  })

  expect(found).toEqual([])
})

test('batches whose keys would be apart are counted by the patterns of their keys, with ten examples', async () => {
  const write = async ({ store }: App, during: During): Promise<void> => {
    for (let at = 0; at < 12; at++) {
      const batch = store.batch().put(`n${at}x0`, 1).put(`n${at}x1`, 1).put(`n${at}x2`, 1)
      await during(batch.put(`n${at}x3`, 1).commit())
    }
    await during(store.batch().put('{t}:a', 1).put('{t}:b', 1).commit())
  }

  const [finding, ...others] = await checked(64, write)
  expect(others).toEqual([])
  expect(finding).toMatchObject({ kind: 'cross-shard', what: 'a batch with n#x#', count: 12 })
  expect(finding?.examples).toHaveLength(10)
  expect(finding?.examples[0]).toMatch(/^n0x0 n0x[123]$/)
})

test('a lock whose keys would be apart is named, and one of a key is not', async () => {
  const locks = (keys: readonly string[]) =>
    checked(64, async ({ store }, during) => {
      await during(store.lock(keys, { owner: 'ann', leaseMs: 10 ** 9 }))
    })

  expect(await locks(['one'])).toEqual([])
  expect(await locks(['one', 'two', 'three', 'four', 'five'])).toMatchObject([
    { kind: 'cross-shard', what: 'a lock with one, two, three', count: 1 },
  ])
})

test('a key that an actor wrote elsewhere is named by its row and by its turn, with the kind of the actor', async () => {
  const found = await checked(
    64,
    async (app, during) => {
      const ref = app.entity<Messages>('writer').ref('w')
      await during(call(ref, 'write', '{writer/w}:own'))
      await during(call(ref, 'write', 'order:7:far'))
    },
    { app: tree },
  )

  expect(ofKind('cross-shard', found)).toEqual([
    {
      kind: 'cross-shard',
      what: 'writer with order:…',
      count: 1,
      examples: ['writer/w order:7:far'],
    },
    {
      kind: 'cross-shard',
      what: 'a turn of writer with {writer/…}, order:…',
      count: 1,
      examples: ['{writer/w} order:7:far'],
    },
  ])
})

test.each([
  ['an entry by itself', (app: App) => app.journal.append({ id: 'e', type: 'noted' }), true],
  ['no entry', (app: App) => app.store.put('k', 1), false],
])('a log with %s is cut', async (_, write, isCut) => {
  const found = await checked(
    2,
    async (app, during) => void (await during(write(app) as Promise<unknown>)),
  )

  expect(found).toEqual(
    isCut
      ? [{ kind: 'cut-log', what: 'entries of the journal', count: 1, examples: ['shard 0'] }]
      : [],
  )
})

test('batches with runs are not known again, but where 64 shards would have them', async () => {
  const write = async (app: App, during: During): Promise<void> => {
    const batch = flow(app).with(app.store.batch().put('k', 1), { id: 'commit' })
    await during(batch.commit())
  }

  expect(ofKind('commits', await checked(2, write, { app: tree }))).toEqual([])
  expect(ofKind('commits', await checked(3, write, { app: tree }))).toMatchObject([
    { what: 'batches with runs', count: 1, examples: [expect.stringContaining('commit')] },
  ])
})

test.each([
  ['has read them all', 2, []],
  ['has not come to the last one', 1, ['shard 0, from lsn 2 on']],
])('entries are unread if a subscription %s', async (_, read, examples) => {
  const found = await checked(2, async (app, during, pass) => {
    for (let at = 0; at < read; at++)
      await during(app.journal.append({ id: `${at}`, type: 'noted' }))
    const got: string[] = []
    const reader = app.journal.subscribe({ name: 'mails', handler: ({ id }) => void got.push(id) })
    while (got.length < read) await pass(10)
    await pass(5_000)
    await during(reader.end())
    for (let at = read; at < 2; at++)
      await during(app.journal.append({ id: `${at}`, type: 'noted' }))
  })

  expect(ofKind('unread', found).flatMap((each) => each.examples)).toEqual(examples)
})

const people = projection('people', { version: 1, project: () => [] })

test('actors of a kind are no readers of the journal', async () => {
  const found = await checked(
    2,
    async (app, during) => {
      await during(call(app.entity<Messages>('writer').ref('w'), 'write', '{writer/w}:own'))
      await during(app.journal.append({ id: 'e', type: 'noted' }))
    },
    { app: tree },
  )

  expect(ofKind('unread', found)).toEqual([])
})

test('a projection by users is made again, the chain of commitments ends, and early log is cut', async () => {
  const write = async (app: App, during: During): Promise<void> => {
    for (let at = 0; at < 5; at++) await during(app.store.put(`${at}`, at))
    await during(app.control.flush(0))
    await during(app.control.snapshot(0))
    await during(app.store.put('last', 1))
  }

  expect(await checked(2, write, { projections: [people] })).toContainEqual({
    kind: 'projection',
    what: 'people',
    count: 1,
    examples: ['shard 0'],
  })
  expect(ofKind('commitments', await checked(2, write, { wal: { commitments: true } }))).toEqual([
    { kind: 'commitments', what: 'the chain of commitments', count: 1, examples: ['shard 0'] },
  ])
  let oldest = 0
  const early = async (app: App, during: During): Promise<void> => {
    await during(app.store.put('k', 1))
    oldest = (await during(app.control.snapshot(0))).lsn
    await during(app.store.put('last', 1))
  }
  expect(ofKind('cut-log', await checked(2, early))).toEqual([
    {
      kind: 'cut-log',
      what: 'log before the oldest snapshot',
      count: 1,
      examples: [`shard 0, ${oldest} frames`],
    },
  ])
})
