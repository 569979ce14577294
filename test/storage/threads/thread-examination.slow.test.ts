/** The thread that examines a projection, as it is built. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import type * as Storage from '../../../src/storage/index.ts'
import type { RowChange } from '../../../src/storage/ports/projection-store.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href
const storage = (await import(built)) as typeof Storage
const openDatabase = await storage.loadLmdb()
const disk = storage.nodeDisk()

const rowsAt = (lsn: number, count: number): RowChange[] =>
  Array.from({ length: count }, (_, at) => [`k${(at * 7 + lsn) % 5_000}`, textRow(`v${lsn}`)])

/** The threads that were started. */
let threads = 0
process.on('worker', () => threads++)

/** A folder with a store that was closed in order. */
const filled = async (): Promise<string> => {
  const dir = join(tempFolder(), 'lmdb')
  const store = storage.lmdbProjections(openDatabase, disk, storage.threadExaminer()).open(dir)
  await store.commit(rowsAt(1, 5_000), positionAt(1))
  await store.close()
  return dir
}

describe('an examination on a thread', () => {
  test('finds what it finds here, at every depth', async () => {
    const dir = await filled()

    const examine = storage.threadExaminer()
    for (const depth of ['position', 'branches', 'all'] as const)
      expect(await examine(dir, depth)).toEqual(storage.examineProjection(disk, dir, depth))
  })

  test('ends when it is told to', async () => {
    const dir = await filled()
    const examine = storage.threadExaminer()
    const [ending, other] = [new AbortController(), new AbortController()]
    const examination = examine(dir, 'all', ending.signal)
    const waiting = examine(dir, 'all', ending.signal)
    const next = examine(dir, 'all', other.signal)
    ending.abort()

    await expect(examination).rejects.toThrow()
    await expect(waiting).rejects.toThrow()
    await expect(examine(dir, 'all', ending.signal)).rejects.toThrow()
    expect(await next).toMatchObject({ state: 'sound' })
  })

  test('shares its threads with others: a few are started for many, and one for those in use', async () => {
    const dirs = await Promise.all(Array.from({ length: 12 }, filled))
    const examine = storage.threadExaminer()
    const before = threads
    const found = await Promise.all(dirs.map((dir) => examine(dir, 'all')))
    expect(found.map(({ state }) => state)).toEqual(Array(12).fill('sound'))
    expect(threads - before).toBeLessThanOrEqual(4)

    const between = threads
    const { signal } = new AbortController()
    await Promise.all(dirs.map((dir) => examine(dir, 'all', signal)))
    expect(threads - between).toBe(1)
  })

  test('is right about a store that commits meanwhile', async () => {
    const dir = await filled()
    rmSync(join(dir, 'CLEAN'))
    const examine = storage.threadExaminer()
    let examinations = 0
    let isOver = false
    const projections = storage.lmdbProjections(
      openDatabase,
      disk,
      async (folder, depth, signal) => {
        const found = await examine(folder, depth, signal)
        if (depth !== 'all') return found
        examinations += 1
        // A commit in progress may look like damage once; the store then examines again.
        isOver = found.state === 'sound' || examinations === 2
        return found
      },
      {
        wholeBytesMax: 0,
        makeWriter: storage.threadProjectionWriters() ?? expect.fail('no main thread'),
      },
    )
    expect(await projections.examine(dir)).toMatchObject({ state: 'sound' })

    const store = projections.open(dir)
    let lsn = 1
    while (!isOver) {
      lsn += 1
      await store.commit(rowsAt(lsn, 50), positionAt(lsn))
    }
    await store.commit([], positionAt(lsn + 1))
    await store.close()

    expect(examinations).toBeLessThanOrEqual(2)
    expect(existsSync(join(dir, 'CLEAN'))).toBe(true)
    expect(storage.examineProjection(disk, dir)).toMatchObject({ state: 'sound' })
  })
})
