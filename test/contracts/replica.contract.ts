/**
 * What every replica promises its follower, in one file since it is one contract: over a PostgreSQL server, over PGlite, and
 * in the memory double, so that what is proved on the double holds on a server.
 */
import { describe, expect, test } from 'vitest'
import type {
  ReadableChange,
  Replica,
  ReplicaPiece,
  ReplicaSession,
  ReplicatedLog,
} from '../../src/storage/index.ts'
import {
  chunkOf,
  entity,
  entry,
  framesOf,
  key,
  lease,
  newLog,
  pieceOf,
  positionOf,
} from '../support/worlds/replica-chunks.ts'

/** A replica that takes new logs, and what its readers see of a log. */
export type ReplicaUnderTest = {
  readonly replica: () => Replica
  readonly valuesOf: (log: ReplicatedLog) => Promise<Record<string, unknown>>
  /** States of durable actors, by their names. */
  readonly statesOf: (log: ReplicatedLog) => Promise<Record<string, unknown>>
  /** LSNs and ids, in order. */
  readonly entriesOf: (log: ReplicatedLog) => Promise<readonly (readonly [number, string])[]>
}

const cannot = 'it cannot be read'

/** Some members, and then a throw. */
function* brokenBehind<T>(...members: readonly T[]): IterableIterator<T> {
  yield* members
  throw new Error(cannot)
}

/** Describes the contract for one implementation, which is there when the tests run. */
export const replicaContract = (under: () => ReplicaUnderTest): void => {
  const opened = (): Promise<ReplicaSession> => under().replica().open()
  const claimed = async (log = newLog()) => {
    const session = await opened()
    await session.claim(log, lease, await session.look(log))
    return { log, session }
  }

  /** What a restore would read; `undefined` if there is nothing to restore. */
  const restorable = async ({ walId }: ReplicatedLog) => {
    const reading = await under().replica().read()
    const stored = (await reading.logs()).find((each) => each.walId === walId)
    if (!stored) return undefined
    const frames: { lsn: number; payload: number[] }[] = []
    for await (const { lsn, payload } of reading.frames(stored))
      frames.push({ lsn, payload: [...payload] })
    const rows: number[][] = []
    for await (const row of reading.rows(stored)) rows.push([...row.key, ...row.record])
    await reading.close()
    return { stored, frames, rows, lsns: frames.map(({ lsn }) => lsn) }
  }
  const lsnsOf = async (log: ReplicatedLog) => (await restorable(log))?.lsns

  describe('keeps the contract of replicas:', () => {
    test('it has frames, keys, entries and progress of a chunk together', async () => {
      const { log, session } = await claimed()
      const changes = [key('a', '{"b":[1,null,"é"]}'), key('c', 'null')]
      const entries = [entry(1, 'x'), entry(5, 'w')]
      await session.commit({ ...chunkOf(log, 0, 1, 2, 5), changes, entries })
      expect(await under().valuesOf(log)).toEqual({ a: { b: [1, null, 'é'] }, c: null })
      expect(await under().entriesOf(log)).toEqual([
        [1, 'x'],
        [5, 'w'],
      ])
      expect(await session.look(log)).toEqual({ lsn: 5, mark: { time: 1_000, crc: 5 }, lease })
      const found = await restorable(log)
      expect(found?.stored).toMatchObject({ ...log, epoch: 3, lsn: 5, nextSegment: 0 })
      expect(found?.frames).toEqual(
        framesOf(1, 2, 5).map(({ lsn, payload }) => ({ lsn, payload: [...payload] })),
      )
    })

    test('it takes the same chunk twice without a change', { tags: ['E53'] }, async () => {
      const { log, session } = await claimed()
      const entries = [entry(1, 'x')]
      for (const value of ['1', '2'])
        await session.commit({ ...chunkOf(log, 0, 1, 2), entries, changes: [key('a', value)] })
      expect(await lsnsOf(log)).toEqual([1, 2])
      expect(await under().valuesOf(log)).toEqual({ a: 1 })
      expect(await under().entriesOf(log)).toEqual([[1, 'x']])
    })

    test('it refuses a chunk that does not follow what it has', async () => {
      const { log, session } = await claimed()
      await session.commit(chunkOf(log, 0, 1, 2))
      for (const chunk of [chunkOf(log, 5, 6), chunkOf(log, 1, 3), chunkOf(log, 0, 1)])
        await expect(session.commit(chunk)).rejects.toMatchObject({ code: 'CONFLICT' })
      expect(await lsnsOf(log)).toEqual([1, 2])
    })

    test.each([
      // Many, so that some of them were sent.
      [
        'an entry',
        {
          entries: brokenBehind(...Array.from({ length: 3_000 }, (_, at) => entry(1, `${at}`, at))),
        },
      ],
      ['a value', { entries: [entry(1, 'a')], changes: brokenBehind(key('a', '1')) }],
      [
        'a blob',
        {
          ...{ entries: [entry(1, 'a')], changes: [key('a', '1')] },
          blobs: brokenBehind({
            ref: { segment: 1, offset: 0, size: 1 },
            read: () => Uint8Array.of(1),
          }),
        },
      ],
    ])(
      'it has nothing of a chunk of which %s cannot be read, and takes the next',
      async (_, broken) => {
        const { log, session } = await claimed()
        const commit = session.commit({ ...chunkOf(log, 0, 1), ...broken })
        await expect(commit).rejects.toThrow(cannot)
        expect(await session.look(log)).toEqual({ lsn: 0, lease })
        expect(await lsnsOf(log)).toEqual([])
        expect(await under().valuesOf(log)).toEqual({})
        expect(await under().entriesOf(log)).toEqual([])
        await session.commit({ ...chunkOf(log, 0, 1), entries: [entry(1, 'a')] })
        expect(await lsnsOf(log)).toEqual([1])
      },
    )

    test('it fences an older life of a log, and another copy of the same', async () => {
      const { log, session } = await claimed()
      await session.commit(chunkOf(log, 0, 1))
      const later = await opened()
      const seen = await later.look(log)
      const older = { epoch: 2, holder: 'b' }
      const twin = { epoch: 3, holder: 'b' }
      for (const other of [older, twin])
        await expect(later.claim(log, other, seen)).rejects.toMatchObject({ code: 'FENCED' })
      await later.claim(log, { epoch: 4, holder: 'b' }, seen)
      for (const work of [
        () => session.commit(chunkOf(log, 1, 2)),
        () => session.load(pieceOf(log, 0, [1])),
        // It may ask again, and is refused again.
        async () => session.claim(log, lease, await session.look(log)),
      ])
        await expect(work()).rejects.toMatchObject({ code: 'FENCED' })
      expect(await lsnsOf(log)).toEqual([1])
    })

    test('it gives a lease only to a follower that has seen the present progress', async () => {
      const { log, session } = await claimed()
      const later = { epoch: 4, holder: 'b' }
      const seen = await session.look(log)
      await session.commit(chunkOf(log, 0, 1))
      for (const old of [seen, undefined])
        await expect(session.claim(log, later, old)).rejects.toMatchObject({ code: 'CONFLICT' })
      const present = await session.look(log)
      await session.claim(log, later, present)
      const latest = session.claim(log, { epoch: 5, holder: 'c' }, present)
      await expect(latest).rejects.toMatchObject({ code: 'CONFLICT' })
    })

    test('it removes keys that are gone, and those of a namespace', async () => {
      const { log, session } = await claimed()
      const names = ['a', 'n', 'n:1', 'n:2', 'n;', 'nn:1', 'ü:1']
      await session.commit({ ...chunkOf(log, 0, 1), changes: names.map((name) => key(name, '1')) })
      const changes: ReadableChange[] = [
        { kind: 'clear', namespace: 'n' },
        { kind: 'gone', key: 'a' },
        key('n:3', '2'),
      ]
      await session.commit({ ...chunkOf(log, 1, 2), changes })
      expect(await under().valuesOf(log)).toEqual({ n: 1, 'n:3': 2, 'n;': 1, 'nn:1': 1, 'ü:1': 1 })
      const root: ReadableChange = { kind: 'clear', namespace: '_root' }
      await session.commit({ ...chunkOf(log, 2, 3), changes: [root] })
      expect(await under().valuesOf(log)).toEqual({ 'n:3': 2, 'nn:1': 1, 'ü:1': 1 })
      const all: ReadableChange = { kind: 'clear', namespace: undefined }
      await session.commit({ ...chunkOf(log, 3, 4), changes: [all] })
      expect(await under().valuesOf(log)).toEqual({})
    })

    test('it has the states of durable actors, those that ended are gone', async () => {
      const { log, session } = await claimed()
      const states = [
        entity('order/1', '{"total":7}'),
        entity('order/a/b', 'null'),
        entity('room/1'),
      ]
      await session.commit({ ...chunkOf(log, 0, 1), changes: states })
      expect(await under().statesOf(log)).toEqual({
        ...{ 'order/1': { total: 7 }, 'order/a/b': null, 'room/1': undefined },
      })
      const changes: ReadableChange[] = [
        { kind: 'ended', entity: 'order/a/b' },
        { kind: 'ended', entity: 'order/missing' },
        entity('order/1', '{"total":8}'),
        { kind: 'clear', namespace: undefined },
      ]
      await session.commit({ ...chunkOf(log, 1, 2), changes })
      expect(await under().statesOf(log)).toEqual({ 'order/1': { total: 8 }, 'room/1': undefined })
      // A snapshot has all that there are.
      await session.load({ ...pieceOf(log, 0, [1]), changes: [entity('room/1', '1', 12)] })
      expect(await under().statesOf(log)).toEqual({ 'room/1': 1 })
    })

    test('it keeps a large value in pieces, once', async () => {
      const { log, session } = await claimed()
      const bytes = new Uint8Array(1024 * 1024 + 100).map((_, at) => at % 251)
      const ref = { size: bytes.length, segment: 7, offset: 48 }
      let isRead = false
      const read = (from: number, to: number) => {
        isRead = true
        return bytes.subarray(from, to)
      }
      await session.commit({ ...chunkOf(log, 0, 1), blobs: [{ ref, read }] })
      isRead = false
      await session.commit({ ...chunkOf(log, 1, 2), blobs: [{ ref, read }] })
      expect(isRead).toBe(false)
      const found = await restorable(log)
      const reading = await under().replica().read()
      expect(found?.stored.nextSegment).toBe(8)
      const pieces: Uint8Array[] = []
      if (found) for await (const piece of reading.blob(found.stored, ref)) pieces.push(piece)
      await reading.close()
      expect(Buffer.concat(pieces).equals(Buffer.from(bytes))).toBe(true)
    })

    test('it takes a snapshot piece by piece, a repeated piece without a change, then frames', async () => {
      const { log, session } = await claimed()
      await session.commit({ ...chunkOf(log, 0, 1), changes: [key('old', '1')] })
      const first = { ...pieceOf(log, 0, [1, 2], 64), changes: [key('new', '2', 12)] }
      await session.load(first)
      await session.load(first)
      const { snapshot } = first
      expect(await session.look(log)).toMatchObject({ load: { snapshot, offset: 64, rows: 2 } })
      // Frames wait until it is complete, and so does a restore.
      await expect(session.commit(chunkOf(log, 1, 2))).rejects.toMatchObject({ code: 'CONFLICT' })
      expect(await restorable(log)).toBeUndefined()
      await session.load(pieceOf(log, 2, [3]))
      await session.load(pieceOf(log, 2, [3]))
      const position = positionOf(log)
      expect(await session.look(log)).toEqual({ lsn: 10, mark: position.frame, lease })
      expect(await under().valuesOf(log)).toEqual({ new: 2 })
      await session.commit(chunkOf(log, 10, 11))
      const found = await restorable(log)
      expect(found?.stored).toMatchObject({ base: position, lsn: 11 })
      expect(found?.lsns).toEqual([11])
      expect(found?.rows).toEqual([
        [1, 1, 1],
        [2, 1, 2],
        [3, 1, 3],
      ])
    })

    test.each([
      ['of another LSN', { lsn: 12, bytes: 100, sum: 5 }],
      ['of the same LSN with another sum', { lsn: 10, bytes: 100, sum: 6 }],
      ['of the same LSN with another size', { lsn: 10, bytes: 101, sum: 5 }],
    ])('rows of two snapshots never mix: one %s begins anew', async (_, snapshot) => {
      const { log, session } = await claimed()
      await session.load(pieceOf(log, 0, [1, 2], 64))
      const position = { ...positionOf(log), lsn: snapshot.lsn }
      const other: ReplicaPiece = {
        ...{ ...pieceOf(log, 2, [9]), snapshot, next: { kind: 'complete', position } },
      }
      await expect(session.load(other)).rejects.toMatchObject({ code: 'CONFLICT' })
      await session.load({ ...other, rows: 0 })
      expect((await restorable(log))?.rows).toEqual([[9, 1, 9]])
      expect((await session.look(log))?.lsn).toBe(snapshot.lsn)
    })

    test('it takes no piece of a snapshot that does not follow the one before', async () => {
      const { log, session } = await claimed()
      for (const rows of [1, 3]) {
        await session.load(pieceOf(log, 0, [1, 2], 64))
        const piece = pieceOf(log, rows, [3])
        await expect(session.load(piece)).rejects.toMatchObject({ code: 'CONFLICT' })
      }
    })

    test('it has nothing to restore before a snapshot that it needs is there', async () => {
      const log = newLog()
      const session = await opened()
      await session.claim(log, lease, undefined, true)
      const seen = await session.look(log)
      expect(seen?.load).toBe('due')
      expect(await restorable(log)).toBeUndefined()

      // The next life of the sender asks, and claims again.
      await session.claim(log, lease, seen, true)
      expect(await restorable(log)).toBeUndefined()
      await expect(session.commit(chunkOf(log, 0, 1))).rejects.toMatchObject({ code: 'CONFLICT' })
      await session.load(pieceOf(log, 0, []))
      expect((await restorable(log))?.rows).toEqual([])
    })

    test('a claim leaves a snapshot that is on its way where it is', async () => {
      const { log, session } = await claimed()
      await session.load(pieceOf(log, 0, [1, 2], 64))
      const seen = await session.look(log)
      const next = await opened()
      await next.claim(log, lease, seen, true)
      expect(await next.look(log)).toEqual(seen)
      await next.load(pieceOf(log, 2, [3]))
      expect((await restorable(log))?.rows).toHaveLength(3)
    })
  })
}
