/** Rows that actors derive from the log: `app.lmdbWriter(shard).enqueue` and what becomes of them. */
import { describe, expect, test } from 'vitest'
import { type AfterFlush, LmdbWriter, type StorageEvents } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { type GenServer, noReply, ok, telemetry } from '../../../src/runtime/index.ts'
import type { Projections } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { holed, readOnce } from '../../support/read-once.ts'
import { committing } from '../../support/worlds/commit-door.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'
import { heard } from '../../support/worlds/snapshot-instance.ts'

const lmdb = '/data/shard-0/lmdb'
const producer = 'by-city'
const put = (key: string, value: unknown = key) => ({ kind: 'put', key, value }) as const

/** What `body` throws. */
const thrown = (body: () => unknown): unknown => {
  try {
    body()
    return 'ok'
  } catch (error) {
    return error instanceof KeelsonError ? error.code : error
  }
}

/** A process that keeps the infos that it gets. */
type Ear = { infos: { told: (word: string) => void } }

const ear: GenServer<Ear, string[], string[]> = {
  init: (heard) => ok(heard),
  infos: {
    told: (heard, word) => {
      heard.push(word)
      return noReply(heard)
    },
  },
}

/** An instance with one producer that has begun, and what it is told. */
const producing = async (world: Machine, options = {}) => {
  const app = await world.start(options)
  const heard: string[] = []
  const to = await world.during(app.system.start(ear, heard))
  const tells = (payload: string): AfterFlush => ({ to, message: 'told', payload })
  const begin = (on: App = app) => on.lmdbWriter(0).begin(producer, { onLost: tells('lost') })
  /** Puts a key, and returns the LSN of its frame. */
  const frame = async (key = 'k') => (await world.during(app.store.put(key, 1))).position.lsn
  const events: string[] = []
  const bus = telemetry<StorageEvents>(app.system)
  bus.on('lmdb.unavailable', ({ reason }) => void events.push(`unavailable ${reason}`))
  bus.on('lmdb.setAside', ({ lsn }) => void events.push(`aside ${lsn}`))
  bus.on('lmdb.reconciled', ({ rows }) => void events.push(`reconciled ${rows}`))
  begin()
  return { ...world, app, heard, tells, begin, frame, events, projection: app.lmdbWriter(0) }
}

describe('derived rows', () => {
  test('are in the projection with their frame, and their actions run after the commit', {
    tags: ['L4', 'L28', 'M12', 'M57'],
  }, async () => {
    const { projection, frame, tells, heard, app, during, clock } = await producing(machine())
    const lsn = await frame()
    projection.enqueue([put('a'), put('b', { n: 1 })], { producer, lsn, afterFlush: [tells('in')] })
    await clock.settle()
    expect([projection.get(producer, 'a'), heard]).toEqual([undefined, []])

    await during(app.control.flush(0))
    await clock.settle()

    expect(projection.entries(producer)).toEqual([
      ['a', 'a'],
      ['b', { n: 1 }],
    ])
    expect(projection.begin(producer)).toBe(lsn)
    expect(heard).toEqual(['in'])
  })

  test('need no flush: they are committed after the interval, alone if no frame waits', async () => {
    const { projection, frame, app, during, clock } = await producing(machine())
    const lsn = await frame()
    await during(app.control.flush(0))
    projection.enqueue([put('a')], { producer, lsn })
    await clock.advance(40)
    expect(projection.get(producer, 'a')).toBeUndefined()

    await clock.advance(30)

    expect(projection.get(producer, 'a')).toBe('a')
  })

  test('of a log that has only the marks of clean closes are at the LSN that it has come to', async () => {
    const world = machine()
    await world.during((await world.start()).close())
    const { projection, app, during, projections } = await producing(world)
    const lsn = app.shards[0]?.appliedLsn ?? 0
    expect(lsn).toBeGreaterThan(0)
    projection.enqueue([put('a')], { producer, lsn })
    await during(app.control.flush(0))
    await during(app.close())

    const store = projections.open(lmdb)
    expect(store.position()?.lsn).toBe(lsn)
    await store.close()
    expect((await world.start()).lmdbWriter(0).get(producer, 'a')).toBe('a')
  })

  test('keep their order, and deletes remove', { tags: ['L11', 'M6', 'M42'] }, async () => {
    const { projection, frame, app, during } = await producing(machine())
    const [one, two] = [await frame(), await frame()]
    projection.enqueue([put('a', 1), put('b', 1)], { producer, lsn: one })
    projection.enqueue([{ kind: 'delete', key: 'a' }, put('b', 2)], { producer, lsn: two })

    await during(app.control.flush(0))

    expect(projection.entries(producer)).toEqual([['b', 2]])
  })

  test('are not reached by the store: no key, no range, no clear', async () => {
    const { projection, frame, app, during } = await producing(machine())
    projection.enqueue([put('a')], { producer, lsn: await frame() })
    await during(app.control.flush(0))
    await during(app.store.clear())

    expect(app.store.range().entries).toEqual([])
    expect(projection.get(producer, 'a')).toBe('a')
  })

  test('survive a restart of the instance, which tells their producer where to go on', {
    tags: ['L16'],
  }, async () => {
    const world = await producing(machine())
    const { projection, frame, app, during, start } = world
    const lsn = await frame()
    projection.enqueue([put('a')], { producer, lsn })
    await during(app.close())

    const again = (await start()).lmdbWriter(0)

    expect(again.begin(producer)).toBe(lsn)
    expect(again.get(producer, 'a')).toBe('a')
    expect(again.begin('another')).toBe(0)
  })

  test('that wait survive the death of the writer', { tags: ['L8', 'L16', 'M59'] }, async () => {
    const { projection, frame, app, tells, heard, during, clock } = await producing(machine())
    const lsn = await frame()
    projection.enqueue([put('a')], { producer, lsn, afterFlush: [tells('in')] })
    app.system.kill(LmdbWriter.name(0))
    await clock.advance(100)

    await during(app.control.flush(0))

    expect([projection.get(producer, 'a'), heard]).toEqual(['a', ['in']])
  })

  test('given twice have no effect the second time but their actions', {
    tags: ['M6', 'M44'],
  }, async () => {
    const { projection, frame, app, tells, heard, during, clock } = await producing(machine())
    const lsn = await frame()
    projection.enqueue([put('a', 1)], { producer, lsn })
    projection.enqueue([put('a', 2)], { producer, lsn, afterFlush: [tells('again')] })
    await during(app.control.flush(0))
    await clock.settle()

    expect([projection.get(producer, 'a'), heard]).toEqual([1, ['again']])
  })

  test('wait while the projection is suspended, in bounded memory', { tags: ['M32'] }, async () => {
    const { projection, frame, app, during } = await producing(machine())
    const lsn = await frame()
    const held = await during(app.control.suspend(0))
    projection.enqueue([put('a')], { producer, lsn })
    expect(app.health().shards[0]?.derived.operations).toBe(1)
    // A second suspension could not flush them before the first one ends.
    expect(await during(codeOf(app.control.suspend(0)), 100)).toBe('BUSY')

    await during(app.control.resume(0, held))
    await during(app.control.flush(0))

    expect(projection.get(producer, 'a')).toBe('a')
  })

  test('hold up no other suspension once they are flushed, and frames that wait do', {
    tags: ['M32'],
  }, async () => {
    const { app, during, frame } = await producing(machine())
    await frame('a')
    const first = await during(app.control.suspend(0))
    const second = await during(app.control.suspend(0))
    await frame('b')
    expect(await during(codeOf(app.control.suspend(0)), 100)).toBe('BUSY')
    const third = await during(app.control.suspend(0, { flush: false }))

    for (const held of [first, second]) await during(app.control.resume(0, held))
    expect(app.health().shards[0]?.projection.mode).toBe('suspended')
    await during(app.control.resume(0, third))
    await during(app.control.flush(0))
    expect(app.health().shards[0]?.projection).toMatchObject({ mode: 'following', behindMs: 0 })
  })

  test('may be none: their actions run all the same, also behind one for a process that is gone', {
    tags: ['L7', 'L17', 'M10', 'M60'],
  }, async () => {
    const { projection, frame, app, tells, heard, during, clock } = await producing(machine())
    const gone = await during(app.system.start(ear, []))
    app.system.kill(gone)
    const afterFlush = [{ to: gone, message: 'told' }, tells('in')]
    const lsn = await frame()
    projection.enqueueAsync([], { producer, lsn, afterFlush })
    await during(app.control.flush(0))
    await clock.settle()

    expect([heard, projection.begin(producer)]).toEqual([['in'], lsn])
  })

  test('of one frame are never split over two transactions', {
    tags: ['L29', 'M22', 'M23', 'M56'],
  }, async () => {
    const { projection, frame, app, during, clock } = await producing(machine(), {
      lmdb: { chunkRows: 1 },
    })
    const [one, two] = [await frame(), await frame()]
    const seen = new Set<number>()
    telemetry<StorageEvents>(app.system).on('lmdb.flushed', () =>
      seen.add(projection.entries(producer).length),
    )
    projection.enqueue(
      [...'abc'].map((key) => put(key)),
      { producer, lsn: one },
    )
    projection.enqueue(
      [...'de'].map((key) => put(key)),
      { producer, lsn: two },
    )
    await during(app.control.flush(0))
    await clock.settle()

    expect([...seen].filter((size) => ![0, 3, 5].includes(size))).toEqual([])
    expect(projection.entries(producer).length).toBe(5)
  })

  test('are not held back by the longer deadline of frames', { tags: ['L42'] }, async () => {
    const { projection, frame, app, during, clock } = await producing(machine(), {
      lmdb: { quietMs: 20_000, maxLagMs: 30_000 },
    })
    const lsn = await frame()
    await during(app.control.flush(0))
    await frame()
    await clock.advance(10)
    projection.enqueue([put('a')], { producer, lsn })

    await clock.advance(100)

    expect(projection.get(producer, 'a')).toBe('a')
  })

  test('change nothing while the projection is suspended, nor does a flush or a request', {
    tags: ['L39', 'M30'],
  }, async () => {
    const { projection, frame, app, during, clock } = await producing(machine())
    await during(app.control.flush(0))
    const held = await during(app.control.suspend(0))
    let commits = 0
    telemetry<StorageEvents>(app.system).on('lmdb.flushed', () => void commits++)
    const lsn = await frame()
    projection.enqueue([put('a')], { producer, lsn })
    const waits = [app.control.flush(0), projection.request(lsn)]
    await clock.advance(10_000)
    expect([commits, projection.durableIndex < lsn]).toEqual([0, true])

    await during(app.control.resume(0, held))
    await during(Promise.all(waits))

    expect([projection.get(producer, 'a'), projection.isDurable(lsn)]).toEqual(['a', true])
  })

  test('are as they were at the call, whatever becomes of the lists that they were in', async () => {
    const { projection, frame, tells, heard, app, during, clock } = await producing(machine())
    const lsn = await frame()
    const operation = { kind: 'put' as const, key: 'a', value: 1 }
    const action = { ...tells('in') }
    const [operations, afterFlush] = [[operation], [action]]
    projection.enqueue(operations, readOnce({ producer, lsn, afterFlush }))
    operations.pop()
    afterFlush.push(tells('late'))
    Object.assign(action, { payload: 'changed' })
    Object.assign(operation, { key: 'b' })

    await during(app.control.flush(0))
    await clock.settle()

    expect([projection.entries(producer), heard]).toEqual([[['a', 1]], ['in']])
  })

  test('are refused at the caller when they are wrong', { tags: ['L34', 'M56'] }, async () => {
    const { projection, frame, tells } = await producing(machine())
    const lsn = await frame()
    const wrong = [
      () => projection.enqueue([put('a')], { producer, lsn: lsn + 1 }),
      () => projection.enqueue([put('a')], { producer, lsn: 0 }),
      () => projection.enqueue([put('')], { producer, lsn }),
      () => projection.enqueue([put('a', () => 1)], { producer, lsn }),
      () => projection.enqueue([{ kind: 'add', key: 'a' } as never], { producer, lsn }),
      () => projection.enqueue([put('a')], { producer: 'a b', lsn }),
      () => projection.enqueueAsync([put('a')], { producer, lsn, typo: 1 } as never),
      () => projection.enqueue([], { producer, lsn, afterFlush: [{ to: 1 } as never] }),
      () => projection.enqueue(holed(put('a'), put('b')), { producer, lsn }),
      () => projection.enqueue([{ ...put('a'), valeu: 1 } as never], { producer, lsn }),
      () => projection.enqueue([], { producer, lsn, afterFlush: holed(tells('a'), tells('b')) }),
    ]
    expect(wrong.map(thrown)).toEqual(wrong.map(() => 'INVALID_ARGUMENT'))
    expect(projection.enqueueOpsCapacity).toBe(100_000)
  })
})

describe('a producer that has lost operations', () => {
  test('by a discard is told, and goes on only after it has begun again', {
    tags: ['L12', 'L20', 'M34', 'M54'],
  }, async () => {
    const { projection, frame, app, begin, heard, during, clock } = await producing(machine())
    const one = await frame()
    projection.enqueue([put('a')], { producer, lsn: one })
    await during(app.control.flush(0))
    const two = await frame()
    projection.enqueue([put('b')], { producer, lsn: two })

    await during(app.control.discard(0))
    await clock.settle()

    expect(heard).toEqual(['lost'])
    expect(app.health().shards[0]?.derived).toMatchObject({ operations: 0, lost: [producer] })
    expect(thrown(() => projection.enqueue([put('b')], { producer, lsn: two }))).toBe('DISCARDED')
    expect(begin()).toBe(one)
    projection.enqueue([put('b')], { producer, lsn: two })
    await during(app.control.flush(0))
    expect(projection.entries(producer).length).toBe(2)
  })

  test('with its projection begins at 0', { tags: ['L19'] }, async () => {
    const world = await producing(machine())
    const { projection, frame, app, begin, heard, during, clock, projections } = world
    const lsn = await frame()
    projection.enqueue([put('a')], { producer, lsn })
    await during(app.control.flush(0))
    projections.damageRow(lmdb, 'k')

    expect(await during(codeOf(Promise.resolve().then(() => app.store.get('k'))))).toBe('CORRUPT')
    projection.markProjectionDirty()
    await clock.advance(1_000)

    // It may be told more than once.
    expect(heard[0]).toBe('lost')
    expect([begin(), projection.entries(producer)]).toEqual([0, []])
    projection.enqueue([put('a')], { producer, lsn })
    await during(app.control.flush(0))
    expect(projection.get(producer, 'a')).toBe('a')
    expect(app.store.get('k')).toBe(1)
  })
})

describe('a full queue', () => {
  const small = { lmdb: { enqueueOps: 2 } }

  test('refuses enqueue with BUSY, and loses nothing', { tags: ['L5', 'M8'] }, async () => {
    const { projection, frame, app, during } = await producing(machine(), small)
    const [one, two] = [await frame(), await frame()]
    projection.enqueue([put('a'), put('b')], { producer, lsn: one })
    expect(projection.enqueueOpsCapacity).toBe(0)
    expect(thrown(() => projection.enqueue([put('c')], { producer, lsn: two }))).toBe('BUSY')
    const three = [put('a'), put('b'), put('c')]
    expect(thrown(() => projection.enqueue(three, { producer, lsn: two }))).toBe('TOO_LARGE')

    await during(app.control.flush(0))
    projection.enqueue([put('c')], { producer, lsn: two })
    await during(app.control.flush(0))

    expect(projection.entries(producer).map(([key]) => key)).toEqual(['a', 'b', 'c'])
  })

  test('makes enqueueAsync mark the projection, which a reconcile heals; its producer begins again', {
    tags: ['M7', 'M67'],
  }, async () => {
    const world = await producing(machine(), small)
    const { projection, frame, app, begin, heard, events, during, clock } = world
    const [one, two, three] = [await frame(), await frame(), await frame()]
    projection.enqueueAsync([put('a'), put('b')], { producer, lsn: one })
    projection.enqueueAsync([put('c')], { producer, lsn: two })
    projection.enqueueAsync([put('d')], { producer, lsn: three })
    expect(app.health().shards[0]?.projection.reason).toMatch(/by-city were not accepted: BUSY/)
    await clock.advance(100)

    expect(events).toEqual(['unavailable BUSY', 'unavailable DISCARDED', 'reconciled 0'])
    expect(heard).toContain('lost')
    expect(app.health().shards[0]?.projection).toMatchObject({
      mode: 'following',
      reason: undefined,
    })
    // Its position has not passed the gap.
    expect(begin()).toBe(one)
    projection.enqueue([put('c')], { producer, lsn: two })
    await during(app.control.flush(0))
    expect(projection.entries(producer).length).toBe(3)
  })
})

/** Projections that refuse every commit with such a row. */
const poisoned = (projections: Projections, isPoison: (key: string) => boolean): Projections =>
  committing(projections, (store) => async (changes, position) => {
    const list = [...changes]
    if (list.some(([key]) => isPoison(key))) throw new Error('no such row')
    await store.commit(list, position)
  })

test('a poison operation is set aside and named; the frames and the other producers go on', {
  tags: ['L41'],
}, async () => {
  const world = machine({
    around: (projections) => poisoned(projections, (key) => key.endsWith('poison')),
  })
  const { projection, frame, app, begin, events, heard, during, clock } = await producing(world)
  projection.begin('other')
  const [one, two, three] = [await frame(), await frame(), await frame()]
  projection.enqueue([put('a')], { producer, lsn: one })
  projection.enqueue([put('poison')], { producer, lsn: two })
  projection.enqueue([put('z')], { producer: 'other', lsn: two })
  projection.enqueue([put('b')], { producer, lsn: three })
  await clock.advance(5_000)

  expect(app.health().shards[0]).toMatchObject({
    projection: { mode: 'following', reason: undefined },
    derived: {
      operations: 0,
      lost: [producer],
      setAside: [{ producer, lsn: two, reason: expect.stringMatching('no such row') }],
    },
  })
  expect([events, heard]).toEqual([[`aside ${two}`], ['lost']])
  expect(projection.entries('other')).toEqual([['z', 'z']])
  // The producer stands before it, and may leave it out.
  expect(begin()).toBe(one)
  const again = () => projection.enqueue([put('poison')], { producer, lsn: two })
  expect(thrown(again)).toBe('INVALID_ARGUMENT')
  projection.enqueue([put('b')], { producer, lsn: three })
  await during(app.control.flush(0))
  expect(projection.entries(producer).map(([key]) => key)).toEqual(['a', 'b'])
})

test('each commit is told with the operations in it, none of them while a group is tried alone', async () => {
  const world = machine({
    around: (projections) => poisoned(projections, (key) => key.endsWith('poison')),
  })
  const { projection, frame, app, during, clock } = await producing(world)
  await during(app.control.flush(0))
  const events = heard(app, 'lmdb.flushed', 'process.started')
  projection.enqueue([put('a'), put('b')], { producer, lsn: await frame() })
  await during(app.control.flush(0))
  // Those of an earlier frame go with the next frames, too.
  const lsn = await frame()
  await during(app.control.flush(0))
  projection.enqueue([put('c')], { producer, lsn })
  await frame()
  await during(app.control.flush(0))
  projection.enqueue([put('poison')], { producer, lsn: await frame() })
  await clock.advance(5_000)

  const told = events.map(({ frames, operations, result }) => [frames, operations, result])
  expect(told).toEqual([
    [1, 2, 'ok'],
    [1, 0, 'ok'],
    [1, 1, 'ok'],
    [1, 1, 'error'],
    [1, 0, 'ok'],
    [0, 1, 'error'],
  ])
})

test('a full disk is no poison: everything is committed when there is room again', async () => {
  const { projection, frame, app, clock, during, projections } = await producing(machine())
  projections.failCommits(lmdb, 5)
  projection.enqueue([put('a')], { producer, lsn: await frame() })
  await clock.advance(10_000)
  await during(app.control.flush(0))

  expect(app.health().shards[0]?.derived).toEqual({ operations: 0, lost: [], setAside: [] })
  expect(projection.get(producer, 'a')).toBe('a')
})
