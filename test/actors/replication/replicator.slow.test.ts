/** Replicas that follow the logs of an instance, on a simulated disk and a virtual clock. */
import { describe, expect, test } from 'vitest'
import { Replicator } from '../../../src/actors/index.ts'
import {
  call,
  type DurableServer,
  entity,
  name,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { caughtUp, fill, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica, valuesOf } from '../../support/worlds/memory-replica.ts'
import { codeOf, type Machine, machine } from '../../support/worlds/simulated-instance.ts'
import { overwrite, options as snapshotOptions } from '../../support/worlds/snapshot-instance.ts'

type Counting = { calls: { add: (by: number) => number } }

const counter: DurableServer<Counting, { count: number }, { isEven: boolean }> = {
  init: () => ok({ count: 0 }),
  calls: { add: ({ count }, by) => reply(count + by, { count: count + by }) },
  index: ({ count }) => ({ isEven: count % 2 === 0 }),
}

const counters = entity('counter', counter)

const counting = supervisor('app', {}, [counters, worker('only', counter, { durable: true })])

/** The replica has all, goes away, and so many values of so many bytes follow. */
const leftBehind = async (
  { world, replica, app }: Awaited<ReturnType<typeof following>>,
  count: number,
  bytes: number,
): Promise<void> => {
  await caughtUp(world, app)
  replica.isAway = true
  for (let at = 0; at < count; at++) await world.during(app.store.put(`k${at}`, 'x'.repeat(bytes)))
}

describe('a replica', () => {
  test('gets every frame once, and each key with its value', async () => {
    const { world, replica, app } = await following()
    await fill(world, app, 20)
    await world.during(app.store.put('text', 'é'))
    await world.during(app.store.putFields('order', Object.entries({ b: 2, a: [1] })))
    await world.during(app.store.delete('k3'))
    await caughtUp(world, app)
    const values = valuesOf(replica)
    expect(values).toMatchObject({ k0: { at: 0 }, text: 'é', order: { a: [1], b: 2 } })
    expect('k3' in values).toBe(false)
    expect(replica.kept.progress.lsn).toBe(app.shards[0]?.appliedLsn)
    expect(ofReplica(app).lag).toEqual({ records: 0, bytes: 0, ms: 0 })
  })

  test('gets each entry of the journal once, in order, with what it says', async () => {
    const entry = (id: string, qty: number) => ({
      ...{ id, type: 'order', command: { qty }, response: 'ok' },
      events: [{ type: 'filled', payload: { qty } }],
    })
    const seller: DurableServer<Counting, number> = {
      init: () => 0,
      calls: {
        add: (count, qty, context) => {
          for (const id of ['c', 'd', 'e']) context.journal(entry(id, qty))
          return reply(count, count)
        },
      },
    }
    const sellers = entity('seller', seller)
    const { world, replica, app } = await following({}, { app: supervisor('app', {}, [sellers]) })
    await world.during(app.journal.append(entry('a', 1)))
    await world.during(app.journal.append(entry('b', 2)))
    await world.during(app.journal.append(entry('a', 1)))
    expect(await codeOf(world.during(app.journal.append(entry('b', 3))))).toBe('CONFLICT')
    // Those of a turn are in one frame.
    await world.during(call(app.entity(sellers).ref('1'), 'add', 4))
    await caughtUp(world, app)
    const entries = replica.chunks.flatMap((chunk) => chunk.entries)
    expect(entries.map(({ id, command, response }) => [id, command, response])).toEqual([
      ['a', '{"qty":1}', '"ok"'],
      ['b', '{"qty":2}', '"ok"'],
      ...['c', 'd', 'e'].map((id) => [id, '{"qty":4}', '"ok"']),
    ])
    expect(entries.map(({ index }) => index)).toEqual([0, 0, 0, 1, 2])
    expect(new Set(entries.slice(2).map(({ lsn }) => lsn)).size).toBe(1)
    expect(entries[0]?.events).toBe('[{"type":"filled","version":1,"value":{"qty":1}}]')
  })

  test('sees a namespace that was cleared, and what was written behind that', async () => {
    const { world, replica, app } = await following()
    await world.during(app.store.putMany(Object.entries({ 'n:1': 1, 'n:2': 2, other: 3 })))
    await caughtUp(world, app)
    await world.during(app.store.clear({ namespace: 'n' }))
    await world.during(app.store.put('n:2', 4))
    await caughtUp(world, app)
    expect(valuesOf(replica)).toEqual({ other: 3, 'n:2': 4 })
  })

  test('gets each durable actor with its state, and none of Keelson itself', async () => {
    const { world, replica, app } = await following({}, { app: counting })
    const handle = app.entity(counters)
    await world.during(call(handle.ref('a/b'), 'add', 2))
    await world.during(call(app.system.to(name<Counting>('only')), 'add', 3))
    await world.during(call(handle.ref('gone'), 'add', 1))
    await world.during(handle.delete('gone'))
    await world.during(app.journal.append({ id: 'x', type: 'any' }))
    await caughtUp(world, app)
    const { entities } = replica.kept
    expect(entities.get('counter/a/b')).toMatchObject({
      ...{ version: 1, state: '{"count":2}', fields: '{"isEven":true}' },
    })
    expect(entities.get('$worker/only')?.state).toBe('{"count":3}')
    expect(entities.size).toBe(2)
  })

  test('gets large values with the frames that refer to them', async () => {
    const { world, replica, app } = await following({}, { blobs: { threshold: 1_000 } })
    const text = 'large'.repeat(1_000)
    await world.during(app.store.put('large', text))
    await caughtUp(world, app)
    const [blob] = replica.kept.blobs.values()
    expect(Buffer.from(blob ?? []).toString()).toBe(text)
    expect(replica.kept.keys.get('large')).toEqual({
      ...{ key: 'large', type: 'text', size: 5_000, expiresAt: 0 },
    })
  })

  test('shows only the size of a value above 64 KiB, and of more than 1,000 fields', async () => {
    const { world, replica, app } = await following()
    const fieldsOf = (count: number) => Array.from({ length: count }, (_, at) => [`f${at}`, at])
    for (const [key, count] of Object.entries({ many: 1_001, few: 1_000 }))
      await world.during(app.store.putFields(key, fieldsOf(count) as [string, number][]))
    await world.during(app.store.put('large', 'x'.repeat(70_000)))
    await caughtUp(world, app)
    const shown = (key: string) => replica.kept.keys.get(key)
    expect(shown('many')).toEqual({ key: 'many', expiresAt: 0, type: 'fields', size: 1_001 })
    expect(shown('few')?.json).toContain('"f999":999')
    expect(shown('large')).toEqual({ key: 'large', expiresAt: 0, type: 'text', size: 70_000 })
  })

  test('has the frames of both shards, each under its log', async () => {
    const { world, replica, app } = await following({}, { shards: 2 })
    await fill(world, app, 40)
    await caughtUp(world, app)
    await world.clock.advance(100)
    const logs = [...replica.logs.values()]
    expect(logs.map(({ log }) => [log.shard, log.shards]).sort()).toEqual([
      [0, 2],
      [1, 2],
    ])
    expect(logs.reduce((sum, { keys }) => sum + keys.size, 0)).toBe(40)
  })

  test('is sent nothing twice when the answer to a commit was lost', async () => {
    const { world, replica, app } = await following()
    for (const failing of ['before', 'behind', 'before', 'behind'] as const) {
      replica.failing = failing
      await fill(world, app, 3, replica.opened * 10)
      await caughtUp(world, app)
    }
    // Another frame under an LSN that it has makes the replica throw.
    expect(replica.opened).toBe(5)
    expect(replica.kept.keys.size).toBe(12)
  })

  test('that is away stops nothing: it is tried again for ever, and gets all when it is back', {
    tags: ['D34'],
  }, async () => {
    const { world, replica, app } = await following()
    await caughtUp(world, app)
    replica.isAway = true
    await fill(world, app, 50)
    await world.clock.advance(300_000)
    await fill(world, app, 50, 50)
    const { state, reason, lag } = ofReplica(app)
    expect([state, reason]).toEqual(['waiting', 'Error: connection refused'])
    expect(lag.records).toBeGreaterThan(0)
    expect(lag.bytes).toBeGreaterThan(2_000)
    expect(lag.ms).toBeGreaterThan(290_000)
    // Doubled up to 30 s: neither a flood nor a standstill.
    expect(replica.opened).toBeGreaterThan(12)
    expect(replica.opened).toBeLessThan(40)
    replica.isAway = false
    await caughtUp(world, app)
    expect(replica.kept.keys.size).toBe(100)
    expect(ofReplica(app).lag.ms).toBe(0)
  })

  test('absent at the start does not hold the start up', async () => {
    const world = machine()
    const replica = new MemoryReplica(world.clock)
    replica.isAway = true
    const app = await world.start({ replication: [{ client: replica, required: true }] })
    await fill(world, app, 5)
    expect(app.store.get('k4')).toEqual({ at: 4 })
    await world.clock.advance(1_000)
    expect(ofReplica(app).state).toBe('waiting')
  })

  test('away since before the start lags all the same: by the whole log, and the time since then', async () => {
    const { world, replica, app, options } = await following()
    await fill(world, app, 10)
    await caughtUp(world, app)
    await world.during(app.close())
    replica.isAway = true
    const next = await world.start(options)
    await world.clock.advance(60_000)
    const { records, bytes, ms } = ofReplica(next).lag
    expect(records).toBeGreaterThan(10)
    expect(ms).toBeGreaterThanOrEqual(60_000)
    await fill(world, next, 5, 10)
    expect(ofReplica(next).lag.bytes).toBeGreaterThan(bytes)
    replica.isAway = false
    await caughtUp(world, next)
    expect(ofReplica(next).lag).toEqual({ records: 0, bytes: 0, ms: 0 })
  })

  test('goes on where it was after a restart of the process, and of the instance', {
    tags: ['E53'],
  }, async () => {
    const { world, replica, app, options } = await following()
    await fill(world, app, 10)
    await caughtUp(world, app)
    const sender = app.system.whereis(Replicator.name('default', 0))
    if (sender) app.system.kill(sender)
    await fill(world, app, 10, 10)
    await caughtUp(world, app)
    const before = replica.kept.progress.lsn
    const chunks = replica.chunks.length
    await world.during(app.close())
    const next = await world.start(options)
    await fill(world, next, 10, 20)
    await caughtUp(world, next)
    expect(replica.chunks[chunks]?.after).toBe(before)
    expect(replica.kept.keys.size).toBe(30)
  })

  test.each([{}, { wal: { commitments: true } }])(
    'has everything although the log ends with frames of its own (%j)',
    async (more) => {
      const { world, app, options } = await following({}, more)
      await fill(world, app, 10)
      await caughtUp(world, app, 1_000)
      await world.during(app.close())
      const next = await world.start(options)
      await world.clock.advance(60_000)
      const lag = { records: 0, bytes: 0, ms: 0 }
      expect(ofReplica(next)).toMatchObject({ state: 'following', lag })
      await fill(world, next, 1, 10)
      await caughtUp(world, next, 1_000)
    },
  )

  test('gets what is far behind in bounded chunks, one at a time', async () => {
    const followed = await following({ chunkBytes: 4_096 })
    const { world, replica, app } = followed
    await leftBehind(followed, 200, 500)
    replica.isAway = false
    await caughtUp(world, app)
    const sizes = replica.chunks.map(({ frames }) =>
      frames.reduce((sum, { payload }) => sum + payload.length, 0),
    )
    expect(Math.max(...sizes)).toBeLessThan(5_000)
    expect(sizes.length).toBeGreaterThan(20)
    expect(replica.atOnceMax).toBe(1)
  })

  test('gets chunks as large as chunkBytes says, though they take several reads of the log', async () => {
    const followed = await following({ chunkBytes: 3 * 1024 * 1024 })
    const { world, replica, app } = followed
    await leftBehind(followed, 80, 50_000)
    replica.isAway = false
    await caughtUp(world, app)
    const sizes = replica.chunks.map(({ frames }) =>
      frames.reduce((sum, { payload }) => sum + payload.length, 0),
    )
    expect(Math.max(...sizes)).toBeGreaterThan(2 * 1024 * 1024)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(3 * 1024 * 1024)
    expect(replica.kept.keys.size).toBe(80)
  })

  test('of an instance that only writes has nothing that is not synced: a chunk asks for a sync', async () => {
    const { world, replica, app } = await following({}, { wal: { syncInterval: 600_000 } })
    await fill(world, app, 3)
    await caughtUp(world, app)
    const { log } = await world.during(app.wal(0).describe())
    expect(replica.kept.keys.size).toBe(3)
    expect(log?.durableLsn).toBeGreaterThanOrEqual(ofReplica(app).lsn)
  })

  test('has each frame once when chunks fail, or their answers are lost, while the next is read', async () => {
    const followed = await following({ chunkBytes: 4_096 })
    const { world, replica, app } = followed
    await leftBehind(followed, 200, 500)
    replica.isAway = false
    let failed = 0
    for (let before = replica.chunks.length; ofReplica(app).state !== 'following'; ) {
      await world.clock.advance(1)
      if (replica.chunks.length < before + 3) continue
      before = replica.chunks.length
      replica.failing = failed++ % 2 === 0 ? 'before' : 'behind'
    }
    expect(failed).toBeGreaterThan(5)
    // Another frame under an LSN that it has makes the replica throw.
    expect([...replica.kept.frames.keys()]).toEqual(
      Array.from({ length: replica.kept.frames.size }, (_, at) => at + 1),
    )
    expect(replica.kept.keys.size).toBe(200)
  })

  test('has no session left of a process that ended while one was opened', async () => {
    const { world, replica, app } = await following()
    await caughtUp(world, app)
    replica.isAway = true
    await fill(world, app, 1)
    await world.clock.advance(1_000)
    replica.answerMs = 1_000
    replica.isAway = false
    const asked = replica.opened
    while (replica.opened === asked) await world.clock.advance(10)
    app.system.kill(Replicator.name('default', 0))
    await world.clock.advance(10_000)
    await caughtUp(world, app)
    expect(replica.opened).toBe(asked + 2)
    expect(replica.sessions).toBe(1)
    await world.during(app.close())
    expect(replica.sessions).toBe(0)
  })

  test('that fails is left before it is asked again, and before the instance has closed', async () => {
    const { world, replica, app } = await following()
    await caughtUp(world, app)
    replica.endMs = 1_000
    replica.isAway = true
    await world.during(app.store.put('k', 1))
    await world.clock.advance(500)
    expect([replica.sessions, replica.opened]).toEqual([1, 1])

    await world.during(app.close())

    expect(replica.sessions).toBe(0)
  })

  test('gets chunks of the shards in turn, so that none waits for another to be done', async () => {
    const followed = await following({ chunkBytes: 4_096 }, { shards: 2 })
    const { world, replica, app } = followed
    await leftBehind(followed, 200, 500)
    const before = replica.chunks.length
    replica.isAway = false
    await caughtUp(world, app)
    const shards = replica.chunks.slice(before, before + 12).map(({ log }) => log.shard)
    expect(shards.filter((shard) => shard === 0)).toHaveLength(6)
  })

  test('that follows later gets a snapshot, and then the frames behind it', async () => {
    const world = machine()
    const first = await world.start({ ...snapshotOptions, app: counting })
    await world.during(call(first.entity(counters).ref('a'), 'add', 7))
    for (let at = 0; at < 40; at++) await world.during(first.store.put(`old${at}`, { at }))
    await world.during(first.store.putFields('fields', [['a', 1]]))
    await overwrite(world, first, 100)
    await world.during(first.control.snapshot(0))
    await overwrite(world, first, 10)
    await world.during(first.close())
    const replica = new MemoryReplica(world.clock)
    const app = await world.start({ ...snapshotOptions, replication: [{ client: replica }] })
    // A piece whose answer was lost, too.
    replica.failing = 'behind'
    await world.during(app.store.delete('old7'))
    await caughtUp(world, app)
    const { kept } = replica
    expect(replica.pieces.length).toBeGreaterThan(0)
    expect(Math.min(...kept.frames.keys())).toBeGreaterThan(replica.pieces[0]?.snapshot.lsn ?? 0)
    expect(kept.rows.length).toBeGreaterThan(40)
    expect(kept.keys.size).toBe(44)
    expect(kept.keys.has('old7')).toBe(false)
    expect(kept.keys.get('fields')?.json).toBe('{"a":1}')
    expect(kept.entities.get('counter/a')?.state).toBe('{"count":7}')
  })

  test('gets the large values of a snapshot, and the actors that people are shown', async () => {
    const world = machine()
    const options = { ...snapshotOptions, blobs: { threshold: 1_000 } }
    const first = await world.start({ ...options, app: counting })
    await world.during(first.store.put('large', 'y'.repeat(5_000)))
    await world.during(call(first.system.to(name<Counting>('only')), 'add', 3))
    // The log before these is in a segment that ends before the saved states.
    for (let at = 0; at < 180; at++) await world.during(first.store.put('k', 'x'.repeat(900)))
    const audit = first.journal.subscribe({ name: 'audit', handler: () => undefined })
    await world.during(first.journal.append({ id: 'x', type: 'any' }))
    await world.clock.advance(100)
    await world.during(audit.end())
    await world.during(first.journal.saveState(first.shards[0]?.appliedLsn ?? 0, 'one'))
    await world.during(first.journal.saveState(first.shards[0]?.appliedLsn ?? 0, 'two'))
    for (let at = 0; at < 12; at++) {
      await world.during(first.store.put('k', 'x'.repeat(60_000)))
      await world.during(first.control.snapshot(0))
    }
    await world.during(first.close())
    const replica = new MemoryReplica(world.clock)
    const app = await world.start({ ...options, replication: [{ client: replica }] })
    await caughtUp(world, app)

    const { kept, pieces } = replica
    expect(pieces.length).toBeGreaterThan(0)
    expect(kept.keys.get('large')).toMatchObject({ type: 'text', size: 5_000 })
    expect([...kept.blobs.values()].map((bytes) => Buffer.from(bytes).toString())).toContain(
      'y'.repeat(5_000),
    )
    expect([...kept.entities.keys()]).toEqual(['$worker/only'])
    expect([...kept.keys.keys()].sort()).toEqual(['k', 'large'])
  })

  test('gets the newest snapshot if the one that is read is replaced, and the error of one that is not', async () => {
    let reads = 0
    let meanwhile = async (): Promise<void> => undefined
    const world: Machine = machine({
      aroundSnapshots: (host) => ({
        run: async (kind, ...rest) => {
          if (kind !== 'rows') return host.run(kind, ...rest)
          reads++
          await meanwhile()
          return host.run(kind, ...rest)
        },
        end: () => host.end(),
      }),
    })
    const first = await world.start(snapshotOptions)
    await overwrite(world, first, 100)
    await world.during(first.control.snapshot(0))
    await world.during(first.close())
    const replica = new MemoryReplica(world.clock)
    const app = await world.start({ ...snapshotOptions, replication: [{ client: replica }] })
    const older = app.shards[0]?.snapshots.named.at(-1)?.lsn as number
    let failures = 0
    meanwhile = async () => {
      if (reads === 1) {
        await overwrite(world, app, 100, 100)
        await app.control.snapshot(0)
        throw new Error('it is gone')
      }
      if (reads === 2) {
        failures++
        throw new Error('the disk is away')
      }
    }
    await caughtUp(world, app)

    expect(replica.pieces.every(({ snapshot }) => snapshot.lsn > older)).toBe(true)
    expect(replica.pieces.length).toBeGreaterThan(0)
    // Only an error of the snapshot that is there still ends the session.
    expect([failures, replica.opened]).toEqual([1, 2])
  })

  test.each(['lsn', 'bytes', 'sum'] as const)(
    'that has a part of a snapshot with another %s gets the present one from its beginning',
    async (fact) => {
      const world = machine()
      const first = await world.start(snapshotOptions)
      await overwrite(world, first, 100)
      await world.during(first.control.snapshot(0))
      await world.during(first.close())
      const replica = new MemoryReplica(world.clock)
      const options = { ...snapshotOptions, replication: [{ client: replica }] }
      const second = await world.start(options)
      await caughtUp(world, second)
      await world.during(second.close())
      const [piece] = replica.pieces.splice(0)
      if (!piece) throw new Error('there was no snapshot')
      const { kept } = replica
      const rows = kept.rows.length - 1
      kept.rows.pop()
      const snapshot = { ...piece.snapshot, [fact]: piece.snapshot[fact] + 1 }
      kept.progress = {
        ...{ lsn: 0, lease: kept.progress.lease },
        load: { snapshot, offset: piece.snapshot.bytes >>> 1, rows },
      }
      await caughtUp(world, await world.start(options))
      expect(replica.pieces.map((each) => each.rows)).toEqual([0])
      expect(kept.rows).toHaveLength(rows + 1)
    },
  )
})
