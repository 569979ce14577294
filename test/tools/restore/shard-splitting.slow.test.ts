/** Shards that are split, on a simulated disk. */
import { expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { flow, flows } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { readDataFolder } from '../../../src/storage/index.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import type { SplitShard } from '../../../src/tools/index.ts'
import { sampled } from '../../support/tier.ts'
import { codeOf, type Machine, started } from '../../support/worlds/simulated-instance.ts'
import { readyToSplit, splitInto } from '../../support/worlds/split-instance.ts'
import { wordsAndMails } from '../../support/worlds/words-and-mails.ts'

type Messages = {
  calls: { add: (by: number) => number; ring: () => null }
  alarms: { bell: () => void }
}

const counter: DurableServer<Messages, number, { sum: number }> = {
  init: () => 0,
  calls: {
    add: (sum, by, context) => {
      context.writes.put(`{counter/${context.id}}:sum`, sum + by)
      context.rows.put('last', by)
      return reply(sum + by, sum + by)
    },
    ring: (sum, _, context) => {
      context.setAlarm('bell', { inMs: 3_600_000 })
      return reply(null, sum)
    },
  },
  alarms: { bell: (sum) => noReply(sum + 1_000) },
  index: (sum) => ({ sum }),
}

const ids = Array.from({ length: 12 }, (_, at) => `c${at}`)

/** The tree of both lives: counters, a workflow that waits for words, and a queue. */
const treeOf = () => {
  const own = wordsAndMails()
  const counters = entity('counter', counter)
  const app = supervisor('app', {}, [
    counters,
    flows({ workflows: [own.listens], queues: [own.mails] }),
  ])
  return { ...own, counters, app }
}

/** A folder of some shards with rows of all that lives, closed and ready. */
const written = async (shards: number) => {
  const tree = treeOf()
  const world = await started({ app: tree.app, shards, blobs: { threshold: 4_096 } })
  const { app, during } = world
  const { store } = app
  for (let at = 0; at < 40; at++) await during(store.put(`key:${at}`, { at }))
  await during(store.put('large', 'L'.repeat(20_000)))
  await during(store.put('ends', 1, { ttlMs: 10 ** 9 }))
  await during(
    store.putFields('compound', [
      ['f', 1],
      ['g', 2],
    ]),
  )
  await during(store.lock(['key:1'], { owner: 'ann', leaseMs: 10 ** 9 }))
  for (const id of ids) {
    const ref = app.entity(tree.counters).ref(id)
    await during(call(ref, 'add', 5, { id: 'request' }))
    await during(call(ref, 'ring'))
  }
  for (const id of ids.slice(0, 4)) await during(flow(app).start(tree.listens, 2, { id }))
  await during(flow(app).handle(tree.listens, 'c0').signal('word', 'hot'))
  await during(flow(app).add(tree.mails, 'first', { delay: '2h' }))
  await during(flow(app).with(store.batch().put('key:2', 'batch'), { id: 'commit' }).commit())
  await during(app.journal.append({ id: 'entry', type: 'noted' }))
  return { world, from: await readyToSplit(world, app) }
}

test.each([
  [1, 2],
  [1, 3],
  [1, 64],
  [2, 8],
])(
  '%i shards become %i, with every row once, and all of it goes on as before',
  { tags: ['SH1', 'SH4'] },
  async (before, after) => {
    const { world, from } = await written(before)
    const { disk, during } = world
    const result = splitInto(disk, world, from, '/split', after)
    expect(result.shards.length).toBe(after)
    for (const { rows } of result.shards) expect(rows).toBeGreaterThan(0)
    expect(Object.keys(result.sums)).toEqual(
      expect.arrayContaining(['value', 'field', 'lock', 'entity counter']),
    )

    const tree = treeOf()
    const app = await world.start({ dir: '/split', app: tree.app, blobs: { threshold: 4_096 } })
    const { store } = app
    expect(app.shards.length).toBe(after)
    for (let at = 0; at < 40; at++)
      expect(store.get(`key:${at}`)).toEqual(at === 2 ? 'batch' : { at })
    expect(await during(store.load('large'))).toBe('L'.repeat(20_000))
    expect([...store.fields('compound')]).toEqual([
      ['f', 1],
      ['g', 2],
    ])
    expect(await codeOf(during(store.put('key:1', 1)))).toBe('LOCKED')
    const counters = app.entity(tree.counters)
    for (const id of ids) {
      const ref = counters.ref(id)
      expect(await during(call(ref, 'add', 5, { id: 'request' }))).toBe(5)
      expect(store.get(`{counter/${id}}:sum`)).toBe(5)
      expect(counters.rows(id).get('last')).toBe(5)
    }
    expect(counters.list({ where: { sum: 5 } }).entries.length).toBe(ids.length)
    const again = flow(app).with(store.batch().put('key:2', 'batch'), { id: 'commit' })
    // Where 64 shards would have it, its actor knows it again.
    expect((await during(again.commit())).repeated).toBe(64 % after === 0)
    expect((await during(app.journal.append({ id: 'entry', type: 'noted' }))).repeated).toBe(true)
    for (const id of ids.slice(0, 4)) {
      const run = flow(app).handle(tree.listens, id)
      for (const word of id === 'c0' ? ['water'] : ['cold', 'tea'])
        await during(run.signal('word', word))
      expect(await during(run.result())).toEqual(id === 'c0' ? ['hot', 'water'] : ['cold', 'tea'])
    }
    await world.pass(3 * 3_600_000)
    for (const id of ids) expect(counters.state(id)).toBe(1_005)
    expect(tree.sent.map(([job]) => job)).toEqual(['first'])
    await during(app.close())
  },
)

test('positions from before are reached, and a watch from one before the split is BAD_CURSOR', {
  tags: ['SH4'],
}, async () => {
  const world = await started({ shards: 1 })
  const { app, during } = world
  const { position: early } = await during(app.store.put('a', 1))
  const { position } = await during(app.store.put('b', 2))
  splitInto(world.disk, world, await readyToSplit(world, app), '/split', 4)

  const { store } = await world.start({ dir: '/split', shards: 4 })
  for (const key of ['a', 'b'])
    expect(store.get(key, { freshness: { atLeast: position } })).toBe(key === 'a' ? 1 : 2)
  const watch = store.watch({ from: early })
  expect(await codeOf(during(watch.next()))).toBe('BAD_CURSOR')
  expect((await during(store.put('c', 3))).position.lsn).toBeGreaterThan(position.lsn)
})

const writer: DurableServer<{ calls: { write: (key: string) => null; end: () => null } }, null> = {
  init: () => null,
  calls: {
    write: (state, key, { writes }) => {
      writes.put(key, 1)
      return reply(null, state)
    },
    end: (state, _, context) => {
      context.end({ keys: true })
      return reply(null, state)
    },
  },
}

test('an actor whose keys are elsewhere now ends, and leaves those of other shards', {
  tags: ['SH5'],
}, async () => {
  const writers = entity('writer', writer, { keys: true })
  const tree = supervisor('app', {}, [writers])
  const world = await started({ app: tree })
  const { app, during } = world
  const keys = Array.from({ length: 16 }, (_, at) => `other ${at}`)
  for (const key of keys) await during(call(app.entity(writers).ref('1'), 'write', key))
  splitInto(world.disk, world, await readyToSplit(world, app), '/split', 2)

  const next = await world.start({ dir: '/split', app: tree })
  await during(call(next.entity(writers).ref('1'), 'end'))
  await world.pass(1_000)
  expect(next.entity(writers).state('1')).toBe(undefined)
  const own = next.store.shardOf('{writer/1}')
  for (const key of keys) expect(next.store.has(key)).toBe(next.store.shardOf(key) !== own)
})

/** Everything below a folder, by its path. */
const filesIn = (disk: Machine['disk'], dir: string): string[] =>
  (disk.entry(dir) ? disk.list(dir) : []).flatMap((name) => {
    const path = `${dir}/${name}`
    if (disk.entry(path)?.kind === 'folder') return filesIn(disk, path)
    return name.startsWith('LOCK')
      ? []
      : [`${path} ${Buffer.from(disk.contents(path)).toString('base64')}`]
  })

test('a split only reads its source', { tags: ['SH3'] }, async () => {
  const { world, from } = await written(1)
  const before = filesIn(world.disk, '/data')
  splitInto(world.disk, world, from, '/split', 4)
  expect(filesIn(world.disk, '/data')).toEqual(before)
})

/** Splits on a copy of the disk that stops at one call. Answers whether it came to its end. */
const cutOff = (
  world: Machine,
  from: readonly SplitShard[],
  at: number,
  end: 'crash' | 'killProcess',
  seed: number,
) => {
  const disk = world.disk.clone({ seed })
  disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
  try {
    splitInto(disk, world, from, '/split', 3)
  } catch (error) {
    if (!isKeelsonError(error) && !(error instanceof Error && 'code' in error)) throw error
  }
  disk.clearFaults()
  disk[end]()
  return disk
}

test('wherever a split is cut off, there is no data folder, or the whole one', {
  tags: ['SH2'],
}, async () => {
  const { world, from } = await written(1)
  const counted = world.disk.clone()
  const calls = counted.recordCalls()
  splitInto(counted, world, from, '/split', 3)
  const namesIn = (disk: Machine['disk']) =>
    filesIn(disk, '/split').map((file) => file.slice(0, file.indexOf(' ')))
  const names = namesIn(counted)
  const count = calls.filter(({ operation }) => changingOperations.includes(operation)).length
  expect(count).toBeGreaterThan(40)
  const places = Array.from({ length: count + 1 }, (_, index) => index + 1)
  const states = new Set<string>()
  for (const at of [...sampled(places, 40), count, count + 1])
    for (const end of ['crash', 'killProcess'] as const) {
      const disk = cutOff(world, from, at, end, at)
      const { state } = readDataFolder(disk, '/split')
      states.add(state)
      if (state === 'absent') continue
      expect(state).toBe('sound')
      expect(namesIn(disk)).toEqual(names)
    }
  expect([...states].sort()).toEqual(['absent', 'sound'])
})

test('a row that is damaged, and one that is in a wrong shard, end a split', {
  tags: ['SH5'],
}, async () => {
  const { world, from } = await written(1)
  const { snapshots = '' } = from[0]?.folders ?? {}
  const file = world.disk.list(snapshots).findLast((name) => name.endsWith('.snap'))
  const damaged = world.disk.clone()
  damaged.flipBit(`${snapshots}/${file}`, 8 * 5_000)
  expect(() => splitInto(damaged, world, from, '/split', 2)).toThrow(
    expect.objectContaining({ code: 'CORRUPT' }),
  )
  expect(readDataFolder(damaged, '/split').state).toBe('absent')
  // As the second of two shards, half of its rows are strangers.
  const strange = () => splitInto(world.disk.clone(), world, [...from, ...from], '/split', 4)
  expect(strange).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})
