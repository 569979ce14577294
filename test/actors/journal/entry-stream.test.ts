/** `app.journal.entries`: what was appended, in order, once, as far as it is durable. */
import { describe, expect, test } from 'vitest'
import { type EntryStream, type StoredEntry, WalWriter } from '../../../src/actors/index.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import { readEventPayload } from '../../../src/storage/values/event-payload.ts'
import type { App } from '../../../src/supervisors/index.ts'
import {
  codeOf,
  failNextSync,
  type Machine,
  started,
} from '../../support/worlds/simulated-instance.ts'

const entry = (id: string, says: unknown = id) => ({
  id,
  type: 'order',
  command: says,
  events: [{ type: 'accepted', payload: { id } }],
})

const appendAll = async (app: App, { during }: Machine, ids: readonly string[]): Promise<void> => {
  await during(Promise.all(ids.map((id) => app.journal.append(entry(id)))), 60_000)
}

const all = async (stream: EntryStream): Promise<StoredEntry[]> => {
  const found: StoredEntry[] = []
  for await (const each of stream) found.push(each)
  return found
}

const untilNotOpen = async (app: App): Promise<void> => {
  while (app.health().shards[0]?.phase === 'open') await app.shards[0]?.changed()
}

const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, at) => `e${from + at}`)

const smallLog = { wal: { maxFileSize: 128 * 1024 } }

/** Entries of which two fill a segment of a small log. */
const appendLong = async (app: App, { during }: Machine, count: number): Promise<void> => {
  const command = 'v'.repeat(60_000)
  for (const id of numbered(count)) await during(app.journal.append({ ...entry(id), command }))
}

/** Grows a small log by whole segments, and gives back what nothing needs. */
const giveBack = async (app: App, { during }: Machine): Promise<void> => {
  for (let at = 0; at < 6; at++) await during(app.store.put('k', 'v'.repeat(60_000)))
  await during(app.control.snapshot(0), 60_000)
}

describe('the entries of a journal', () => {
  test('come back with their places and everything that they say', async () => {
    const { world, app } = await started()
    const ack = await world.during(app.journal.append(entry('a', { cents: 7 })))

    const [found] = await world.during(all(app.journal.entries()))

    const { repeated, ...place } = ack
    expect(repeated).toBe(false)
    expect(found).toMatchObject({ ...place, id: 'a', type: 'order', effects: [] })
    expect(found && readEventPayload(found.command)).toEqual({ version: 1, value: { cents: 7 } })
    expect(
      found?.events.map(({ type, payload }) => [type, readEventPayload(payload).value]),
    ).toEqual([['accepted', { id: 'a' }]])
  })

  test('are read between two LSNs, and among puts, across segments and lives', async () => {
    const { world, app } = await started()
    await appendAll(app, world, numbered(40))
    for (let at = 0; at < 8; at++) await world.during(app.store.put('k', 'v'.repeat(60_000)))
    await appendAll(app, world, numbered(40, 40))
    await world.during(app.close())
    const again = await world.start()

    const read = await world.during(all(again.journal.entries()))
    expect(read.map(({ id }) => id)).toEqual(numbered(80))

    const [from, to] = [read[10]?.lsn as number, read[49]?.lsn as number]
    const some = await world.during(all(again.journal.entries({ from, to })))
    expect(some).toEqual(read.filter(({ lsn }) => lsn >= from && lsn <= to))
  })

  test('end at an LSN, also for one who follows, and at what is there for one who does not', async () => {
    const { world, app } = await started()
    await appendAll(app, world, ['a', 'b'])
    const [first] = await world.during(all(app.journal.entries({ to: 1 })))
    const next = (first?.lsn ?? 0) + 1
    const idsOf = async (options: object) =>
      (await world.during(all(app.journal.entries(options)))).map(({ id }) => id)
    expect(await idsOf({ to: 0 })).toEqual([])
    expect(await idsOf({ to: next, follow: true })).toEqual(await idsOf({ to: next }))
    expect(await idsOf({ to: 1_000 })).toEqual(['a', 'b'])

    const following = all(app.journal.entries({ to: 20, follow: true }))
    for (let at = 0; at < 20; at++) await appendAll(app, world, [`c${at}`])
    const lsns = (await world.during(following)).map(({ lsn }) => lsn)
    expect(lsns.at(-1)).toBe(20)
    expect(Math.max(...lsns)).toBe(20)
  })

  test('are given to calls of next in the order of the calls', async () => {
    const { world, app } = await started()
    await appendAll(app, world, ['a', 'b', 'c'])
    const stream = app.journal.entries()
    const got: unknown[] = []
    const ask = async (call: number) => got.push([call, (await stream.next()).value?.id])

    // The third call comes when the second has an entry and no answer.
    await world.during(Promise.all([ask(1).then(() => ask(3)), ask(2)]))

    expect(got).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ])
  })

  test.each<[string, object]>([
    ['an end that is no LSN', { to: -1 }],
    ['an end in words', { to: '5' }],
    ['a broken end', { to: 1.5 }],
    ['a follow that is no boolean', { follow: 1 }],
    ['a signal that is none', { signal: {} }],
    ['an option that nobody knows', { typo: 1 }],
  ])('with %s are refused', async (_, options) => {
    const { world, app } = await started()
    const asked = async () => app.journal.entries(options as never).next()
    await expect(world.during(asked())).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('do not have what is written and not synced, also for one who follows', async () => {
    const { world, app } = await started({}, { syncMs: 50 })
    const seen: string[] = []
    const follower = app.journal.entries({ follow: true })
    const reading = (async () => {
      for await (const { id } of follower) seen.push(id)
    })()
    // It has read the log, and follows.
    await world.clock.advance(500)
    const acked: string[] = []
    for (const id of ['a', 'b']) void app.journal.append(entry(id)).then(() => acked.push(id))

    await world.clock.advance(49)
    expect([seen, acked]).toEqual([[], []])

    await world.clock.advance(100)
    expect([seen, acked]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
    await follower.return()
    await reading
  })

  test('of an instance that only writes are synced before they are given out', async () => {
    const { world, app } = await started({ wal: { syncInterval: 10_000 } })
    await appendAll(app, world, ['a'])
    const durable = async () => (await world.during(app.wal(0).describe())).log?.durableLsn ?? 0
    const before = await durable()

    const [found] = await world.during(all(app.journal.entries()))

    expect(before).toBeLessThan(found?.lsn as number)
    expect(await durable()).toBeGreaterThanOrEqual(found?.lsn as number)
  })

  test('that wait for a sync end with the shard, or come when its log is open again', async () => {
    const { world, app } = await started({ wal: { syncInterval: 1_000 } })
    const follower = app.journal.entries({ follow: true })
    const other = app.journal.entries({ follow: true })
    await world.during(app.journal.append(entry('a')))
    for (const each of [follower, other]) await world.during(each.next())
    // Written, and shown to those who follow; not synced.
    await world.during(app.journal.append(entry('b')))

    app.system.kill(WalWriter.name(0))
    await world.during(untilNotOpen(app))
    expect(await world.during(follower.next())).toMatchObject({ value: { id: 'b' } })

    await world.during(app.journal.append(entry('c')))
    failNextSync(world.disk)
    await world.clock.advance(2_000)
    expect(app.health().shards[0]?.phase).toBe('down')
    await expect(world.during(other.next())).rejects.toMatchObject({
      code: 'SHARD_DOWN',
      details: { state: 'down' },
    })
  })

  test('leave out a repeat that the log has after an unknown outcome, and refused content', async () => {
    const { world, app } = await started()
    await appendAll(app, world, ['a'])
    failNextSync(world.disk)
    expect(await world.during(codeOf(app.journal.append(entry('b'))))).toBe('UNKNOWN_OUTCOME')
    await world.during(app.control.reopen(0))
    await world.during(app.journal.append(entry('b')))
    await world.during(codeOf(app.journal.append(entry('b', 'else'))))
    await appendAll(app, world, ['a', 'c'])

    const found = await world.during(all(app.journal.entries()))

    expect(found.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })

  test('wait in the log for a slow follower, who gets each once and in order', {
    tags: ['slow'],
  }, async () => {
    const { world, app } = await started({ wal: { maxFileSize: 4 * 1024 * 1024 } })
    const follower = app.journal.entries({ follow: true })
    await appendAll(app, world, ['first'])
    const first = await world.during(follower.next())
    expect(first.value?.id).toBe('first')
    const command = 'v'.repeat(80_000)
    for (const id of numbered(120))
      await world.during(app.journal.append({ ...entry(id), command }))

    const ids: string[] = []
    while (ids.length < 120) ids.push((await world.during(follower.next())).value?.id as string)

    expect(ids).toEqual(numbered(120))
    await follower.return()
    expect((await follower.next()).done).toBe(true)
  })

  test('wait in the log for a follower who falls behind, whatever else would give it back', {
    tags: ['slow'],
  }, async () => {
    const { world, app } = await started({ ...smallLog, journal: { retention: 'readers' } })
    await appendAll(app, world, ['before'])
    const follower = app.journal.entries({ from: app.wal(0).position.lsn + 1, follow: true })
    const first = follower.next()
    await appendLong(app, world, 160)
    await giveBack(app, world)

    const ids = [(await world.during(first)).value?.id]
    while (ids.length < 160) ids.push((await world.during(follower.next())).value?.id)

    expect(ids).toEqual(numbered(160))
    await follower.return()
  })

  test('wait in the log for a reader who is busy while the thread of the log dies', async () => {
    const hosts: LogHost[] = []
    const aroundLog = (host: LogHost): LogHost => {
      hosts.push(host)
      return host
    }
    const options = { ...smallLog, journal: { retention: 'readers' } } as const
    const { world, app } = await started(options, { aroundLog })
    await appendLong(app, world, 20)
    const stream = app.journal.entries()
    const ids = [(await world.during(stream.next())).value?.id]

    void hosts.at(-1)?.end()
    await world.during(codeOf(app.store.put('k', 1)))
    expect(hosts).toHaveLength(2)
    await giveBack(app, world)
    expect((await world.during(app.wal(0).describe())).log?.segments[0]?.baseLsn).toBeGreaterThan(1)

    while (ids.length < 20) ids.push((await world.during(stream.next())).value?.id)
    expect(ids).toEqual(numbered(20))
    await stream.return()
    await giveBack(app, world)
    const { log } = await world.during(app.wal(0).describe())
    expect(log?.segments.length).toBeLessThan(4)
  })

  test('that the log has given back are BAD_CURSOR, but an open stream keeps them', async () => {
    const { world, app } = await started({ wal: { maxFileSize: 128 * 1024 } })
    await appendAll(app, world, numbered(10))
    const open = app.journal.entries()
    const [first] = await world.during(Promise.all([open.next()]))
    for (let at = 0; at < 12; at++) await world.during(app.store.put('k', 'v'.repeat(60_000)))
    await world.during(app.control.snapshot(0), 60_000)
    const ids = [first.value?.id]
    for (let at = 1; at < 10; at++) ids.push((await world.during(open.next())).value?.id)
    expect(ids).toEqual(numbered(10))
    await open.return()

    expect(() => app.journal.entries({ from: 10_000 })).toThrow(
      expect.objectContaining({ code: 'BAD_CURSOR' }),
    )
    expect(() => app.journal.entries({ from: -1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})

test('a signal ends the stream as return does, and one that has aborted is refused', async () => {
  const { world, app } = await started()
  await appendAll(app, world, numbered(3))
  const ending = new AbortController()
  const { signal } = ending
  const stream = app.journal.entries({ follow: true, signal })
  const read = await world.during(stream.next())
  const behind = [app.journal.entries({ signal }), app.journal.entries({ follow: true, signal })]
  for (const each of behind) for (let at = 0; at < 3; at++) await world.during(each.next())
  const waiting = behind[1]?.next()

  ending.abort(new Error('gone'))

  expect(read.done).toBe(false)
  const done = { done: true, value: undefined }
  // What it had not given out is left unread.
  expect([await waiting, await stream.next(), await behind[0]?.next()]).toEqual([done, done, done])
  expect(() => app.journal.entries({ signal })).toThrow('gone')
  expect(() => app.journal.entries({ signal: 5 as never })).toThrow('signal: expected an AbortSig')
})
