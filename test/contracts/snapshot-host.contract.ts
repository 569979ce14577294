/**
 * What every host of snapshots promises with its projections, in one file since it is one contract: on threads with LMDB,
 * and in line with the memory double.
 */
import { describe, expect, test } from 'vitest'
import { type Disk, pathIn } from '../../src/storage/ports/disk.ts'
import type { NamedSnapshot } from '../../src/storage/ports/named-snapshot.ts'
import type {
  ProjectionStore,
  Projections,
  Row,
  RowChange,
} from '../../src/storage/ports/projection-store.ts'
import type {
  SnapshotFacts,
  SnapshotHost,
  SnapshotProgress,
} from '../../src/storage/ports/snapshot-host.ts'
import { recordExtent } from '../../src/storage/values/blob-extents.ts'
import type { BlobRef } from '../../src/storage/values/blob-reference.ts'
import { blobRope, encodeRope } from '../../src/storage/values/rope.ts'
import { unlistedBlobsKey } from '../../src/storage/values/row-key.ts'
import { plain, positionAt, textRow } from '../support/worlds/projection-rows.ts'
import { harmFirstBlock, readWhole } from '../support/worlds/snapshot-files.ts'

/** Hosts, a disk and projections that belong together, and an empty folder. */
export type SnapshotsUnderTest = {
  readonly disk: Disk
  readonly dir: string
  readonly projections: Projections
  readonly makeHost: () => SnapshotHost
  /** Lets time pass until `work` settles. */
  readonly during: <T>(work: Promise<T>) => Promise<T>
  release(): Promise<void>
}

const wideRow = (bytes: number, at: number): RowChange => [
  `k${String(at).padStart(6, '0')}`,
  { value: { tag: 2, bytes: Buffer.alloc(bytes, at) }, expiresAt: at % 3 },
]

/** Rows of every size: also one that takes a block of its own, and one of a logged blob. */
const someRows = (count: number): RowChange[] => [
  ...Array.from({ length: count }, (_, at) => wideRow((at % 7) * 400, at)),
  ['large', { value: { tag: 2, bytes: Buffer.alloc(300_000, 7) }, expiresAt: 0 }],
  [
    '\0b00000000000000010000000000001000',
    { value: { tag: 6, bytes: Buffer.alloc(16, 1) }, expiresAt: 0 },
  ],
  ['\0lkey', { value: { tag: 5, bytes: Buffer.from('owner') }, expiresAt: 9 }],
]

const frame = { time: 1_000, crc: 77 }

const rowsOf = (store: ProjectionStore) =>
  [...store.range({})].map(([key, row]) => [key, plain(row)] as const)

/** Its rows without the one that says that the rows of logged blobs are missing. */
const loadedRowsOf = (store: ProjectionStore) =>
  rowsOf(store).filter(([key]) => key !== unlistedBlobsKey)

const noLimit = { bytesPerSecond: Number.POSITIVE_INFINITY, pinnedBytesMax: 2 ** 40 }

/** Describes the contract for one implementation. */
export const snapshotHostContract = (
  name: string,
  make: () => Promise<SnapshotsUnderTest>,
): void => {
  /** Runs `body` on an open projection with `count` rows at LSN 9. */
  const using = async (
    count: number,
    body: (
      under: SnapshotsUnderTest & {
        readonly store: ProjectionStore
        readonly host: SnapshotHost
        readonly folders: { readonly dir: string; readonly projection: string }
        readonly made: (limits?: Partial<typeof noLimit>) => Promise<SnapshotFacts>
      },
    ) => Promise<void>,
  ): Promise<void> => {
    const under = await make()
    const folders = { dir: pathIn(under.dir, 'snapshot'), projection: pathIn(under.dir, 'lmdb') }
    const store = under.projections.open(folders.projection)
    const host = under.makeHost()
    try {
      await store.commit(someRows(count), { ...positionAt(9), frame })
      const made = async (limits = {}) => {
        const pin = store.pin()
        try {
          return await under.during(host.run('make', { ...folders, ...noLimit, ...limits }))
        } finally {
          pin.release()
        }
      }
      await body({ ...under, store, host, folders, made })
    } finally {
      await under.during(host.end())
      await store.close()
      await under.release()
    }
  }

  describe(`${name} keep the contract of snapshots`, () => {
    test('a snapshot that was made is loaded as the same rows at the same position, but for logged blobs', () =>
      using(500, async ({ host, folders, made, during, projections, dir, store }) => {
        const facts = await made()
        expect(facts).toMatchObject({ lsn: 9, rows: 502, position: { ...positionAt(9), frame } })
        const verifying = host.run('verify', { dir: folders.dir, snapshot: facts })
        expect(await during(verifying)).toEqual(facts)
        const projection = pathIn(dir, 'loaded')
        const loading = host.run('load', { dir: folders.dir, snapshot: facts, projection })
        expect(await during(loading)).toEqual(facts)
        expect(await projections.examine(projection)).toMatchObject({
          state: 'sound',
          // One says that the rows of logged blobs are missing.
          rows: 503,
          position: facts.position,
        })
        const loaded = projections.open(projection)
        expect(loadedRowsOf(loaded)).toEqual(
          rowsOf(store).filter(([key]) => !key.startsWith('\0b')),
        )
        expect(loaded.position()).toEqual(facts.position)
        expect(loaded.get(unlistedBlobsKey)).toBeDefined()
        await loaded.commit([['k000000', undefined]], positionAt(10))
        await loaded.close()
      }))

    test('two snapshots of one state are the same bytes, whatever was written in between', () =>
      using(300, async ({ disk, made, store, folders }) => {
        const first = await made()
        const bytes = readWhole(disk, folders.dir, first)
        const state = { ...positionAt(9), frame }
        await store.commit([['later', textRow('x')]], positionAt(10))
        await store.commit([['later', undefined]], state)
        expect(await made()).toEqual(first)
        expect(readWhole(disk, folders.dir, first).equals(bytes)).toBe(true)
      }))

    test('a snapshot of no rows is loaded as one', () =>
      using(0, async ({ store, made, host, folders, during, projections, dir }) => {
        await store.commit(
          [...store.range({})].map(([key]) => [key, undefined]),
          positionAt(10),
        )
        const facts = await made()
        expect(facts).toMatchObject({ lsn: 10, rows: 0, blocks: 0 })
        const projection = pathIn(dir, 'loaded')
        await during(host.run('load', { dir: folders.dir, snapshot: facts, projection }))
        expect(await projections.examine(projection)).toMatchObject({
          rows: 1,
          position: positionAt(10),
        })
      }))

    test('commits go on while a snapshot is made, and are not in it', () =>
      using(500, async ({ store, host, folders, during, projections, dir }) => {
        const before = rowsOf(store).filter(([key]) => !key.startsWith('\0b'))
        const pin = store.pin()
        let lsn = 9
        const commits: Promise<void>[] = []
        const making = host.run('make', { ...folders, ...noLimit }, () => {
          if (lsn > 15) return
          lsn++
          const changes = before.map(
            ([key], at): RowChange =>
              at % 2 ? [key, undefined] : [key, textRow(`changed ${lsn}`)],
          )
          commits.push(
            (commits.at(-1) ?? Promise.resolve()).then(() =>
              store.commit(changes, positionAt(lsn)),
            ),
          )
        })
        const facts = await during(making)
        await during(Promise.all(commits))
        expect(pin.isHeld).toBe(true)
        pin.release()
        expect(store.position()?.lsn).toBeGreaterThan(9)
        expect(facts.lsn).toBe(9)
        const projection = pathIn(dir, 'loaded')
        await during(host.run('load', { dir: folders.dir, snapshot: facts, projection }))
        const loaded = projections.open(projection)
        expect(loadedRowsOf(loaded)).toEqual(before)
        await loaded.close()
      }))

    test('reads under a pin see later commits, and the end of the store ends the pin', () =>
      using(1, async ({ store }) => {
        const pin = store.pin()
        await store.commit([['new', textRow('x')]], positionAt(10))
        expect(store.get('new')).toBeDefined()
        expect(pin.isHeld).toBe(true)
        await store.close()
        expect(pin.isHeld).toBe(false)
        pin.release()
      }))

    test('a snapshot that makes the projection grow too much is given up with BUSY, and leaves no file', () =>
      using(1_000, async ({ store, host, folders, during, disk }) => {
        const pin = store.pin()
        const commits: Promise<void>[] = []
        const making = host.run(
          'make',
          { ...folders, bytesPerSecond: 2 ** 20, pinnedBytesMax: 0 },
          () => {
            if (commits.length > 0) return
            const changes = Array.from(
              { length: 2_000 },
              (_, at): RowChange => [`n${at}`, textRow('new')],
            )
            commits.push(store.commit(changes, positionAt(10)))
          },
        )
        await expect(during(making)).rejects.toMatchObject({
          code: 'BUSY',
          details: { reason: 'pinned' },
        })
        pin.release()
        await during(Promise.all(commits))
        expect(disk.list(folders.dir)).toEqual([])
      }))

    test('an end interrupts what is under way with CLOSED, and leaves no file', () =>
      using(1_000, async ({ store, host, folders, during, disk }) => {
        const pin = store.pin()
        const seen: SnapshotProgress[] = []
        let ending: Promise<void> | undefined
        const making = host.run(
          'make',
          { ...folders, ...noLimit, bytesPerSecond: 1_000 },
          (progress) => {
            seen.push(progress)
            ending ??= host.end()
          },
        )
        await expect(during(making)).rejects.toMatchObject({ code: 'CLOSED' })
        await during(ending ?? Promise.reject(new Error('there was no progress')))
        pin.release()
        expect(seen[0]).toMatchObject({ phase: 'write', rowsInAll: 1_003 })
        expect(disk.list(folders.dir)).toEqual([])
        const late = host.run('tidy', { dir: folders.dir, kept: [] })
        await expect(during(late)).rejects.toMatchObject({ code: 'CLOSED' })
      }))

    test('a load that was interrupted has no position, and goes on where it was', () =>
      using(50, async ({ made, folders, during, projections, dir, makeHost, store, disk }) => {
        await store.commit(
          Array.from({ length: 100 }, (_, at) => wideRow(100_000 + 3_000 * at, at)),
          positionAt(10),
        )
        const facts = await made()
        const projection = pathIn(dir, 'loaded')
        const request = { dir: folders.dir, snapshot: facts, projection }
        const first = makeHost()
        let ending: Promise<void> | undefined
        const loading = first.run('load', request, () => {
          ending ??= first.end()
        })
        await expect(during(loading)).rejects.toMatchObject({ code: 'CLOSED' })
        await during(ending ?? Promise.resolve())
        const found = await projections.examine(projection)
        if (found.state !== 'loading') throw new Error(`the projection is ${found.state}`)
        expect(found.place.rows).toBeGreaterThan(0)
        const half = projections.open(projection)
        expect(() => half.position()).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
        await half.close()

        // A load that began anew would find this.
        harmFirstBlock(disk, folders.dir, facts)
        const second = makeHost()
        await during(second.run('load', request))
        await during(second.end())
        const loaded = projections.open(projection)
        expect(loaded.position()).toEqual(facts.position)
        expect(loadedRowsOf(loaded)).toEqual(
          rowsOf(store).filter(([key]) => !key.startsWith('\0b')),
        )
        await loaded.close()
      }))

    test('a load of another snapshot, or over other rows, begins anew', () =>
      using(100, async ({ made, folders, during, projections, host, store, dir }) => {
        const facts = await made()
        const projection = pathIn(dir, 'other')
        const other = projections.open(projection)
        await other.commit([['stranger', textRow('x')]], positionAt(4))
        await other.close()
        await during(host.run('load', { dir: folders.dir, snapshot: facts, projection }))
        const loaded = projections.open(projection)
        expect(loadedRowsOf(loaded)).toEqual(
          rowsOf(store).filter(([key]) => !key.startsWith('\0b')),
        )
        await loaded.close()
      }))

    test('a snapshot that is missing, or another one than was named, is CORRUPT', () =>
      using(10, async ({ made, folders, during, host }) => {
        const facts = await made()
        const refused = async (snapshot: NamedSnapshot) => {
          const verifying = host.run('verify', { dir: folders.dir, snapshot })
          await expect(during(verifying)).rejects.toMatchObject({
            code: 'CORRUPT',
            details: { file: expect.stringContaining('.snap'), offset: expect.any(Number) },
          })
        }
        await refused({ ...facts, lsn: 8 })
        await refused({ ...facts, sum: facts.sum ^ 1 })
        await refused({ ...facts, bytes: facts.bytes + 1 })
      }))

    test('the blobs of a snapshot are those of its rows, also those that newer rows have replaced', () =>
      using(20, async ({ made, folders, during, host, store }) => {
        const ref = (segment: number, offset: number) => ({
          ...{ segment, offset, size: 100_000, sha256: new Uint8Array(32) },
        })
        const blobRow = (at: BlobRef): Row => ({
          value: { tag: 3, bytes: encodeRope(blobRope(2, at)) },
          expiresAt: 0,
        })
        const [one, two] = [ref(3, 4_144), ref(7, 48)]
        await store.commit(
          [
            ['one', blobRow(one)],
            ['two\0field', blobRow(two)],
          ],
          positionAt(10),
        )
        const facts = await made()
        await store.commit(
          [
            ['one', undefined],
            ['two\0field', undefined],
          ],
          positionAt(11),
        )
        const { blobs } = await during(host.run('blobs', { dir: folders.dir, snapshot: facts }))
        expect(blobs).toEqual([
          { segment: 3, ...recordExtent(one) },
          { segment: 7, ...recordExtent(two) },
        ])
      }))

    test('a projection without a position is refused', async () => {
      const under = await make()
      const folders = { dir: pathIn(under.dir, 'snapshot'), projection: pathIn(under.dir, 'lmdb') }
      const host = under.makeHost()
      const making = host.run('make', { ...folders, ...noLimit })
      await expect(under.during(making)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await under.during(host.end())
      await under.release()
    })

    test('tidy removes what is not kept and nothing else, and without anything to keep no snapshot', () =>
      using(10, async ({ made, folders, during, host, disk, store }) => {
        const first = await made()
        await store.commit([['more', textRow('x')]], positionAt(10))
        const second = await made()
        disk.open(pathIn(folders.dir, 'snapshot.tmp'), 'create').close()
        disk.open(pathIn(folders.dir, 'notes.txt'), 'create').close()
        expect(await during(host.run('tidy', { dir: folders.dir, kept: [second] }))).toEqual({
          removed: 2,
          removedBytes: first.bytes,
        })
        expect(disk.list(folders.dir)).toEqual(['000000000000000a.snap', 'notes.txt'])
        const again = host.run('tidy', { dir: folders.dir, kept: [second] })
        expect(await during(again)).toEqual({ removed: 0, removedBytes: 0 })
        disk.open(pathIn(folders.dir, 'snapshot.tmp'), 'create').close()
        const withoutNames = host.run('tidy', { dir: folders.dir, kept: [] })
        expect(await during(withoutNames)).toEqual({ removed: 1, removedBytes: 0 })
        expect(disk.list(folders.dir)).toEqual(['000000000000000a.snap', 'notes.txt'])
      }))
  })
}
