/** The thread that commits the projection, as it is built: the contract of projections through it, and its folder. */
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import type * as Storage from '../../../src/storage/index.ts'
import { projectionStoreContract } from '../../contracts/projection-store.contract.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href
const storage = (await import(built)) as typeof Storage
const openDatabase = await storage.loadLmdb()

const projectionsOnThreads = (firstMapBytes?: number) => {
  const disk = storage.nodeDisk()
  const makeWriter = storage.threadProjectionWriters(0)
  if (!makeWriter) throw new Error('this is no main thread')
  const examine = async (dir: string) => storage.examineProjection(disk, dir)
  return storage.lmdbProjections(openDatabase, disk, examine, {
    makeWriter,
    ...(firstMapBytes && { firstMapBytes }),
  })
}

projectionStoreContract('LMDB with a thread that commits', () => {
  const root = mkdtempSync(join(tmpdir(), 'keelson-thread-'))
  return {
    projections: projectionsOnThreads(),
    dir: join(root, 'lmdb'),
    release: () => Promise.resolve(rmSync(root, { recursive: true, force: true })),
  }
})

describe('the thread that commits a projection', () => {
  test('allows reads of one snapshot at a time, also while the map grows', async () => {
    const dir = join(tempFolder(), 'lmdb')
    const store = projectionsOnThreads(1 << 20).open(dir)
    const rowsOf = (lsn: number) =>
      Array.from({ length: 400 }, (_, at) => [`k${at}`, textRow(`${lsn}`.padEnd(900))] as const)
    for (let lsn = 1; lsn <= 40; lsn++) {
      let isOver = false
      const grown = [`grown ${lsn}`, textRow('x'.repeat(100_000))] as const
      const commit = store.commit([...rowsOf(lsn), grown], positionAt(lsn)).then(() => {
        isOver = true
      })
      while (!isOver) {
        const shown = store.position()?.lsn ?? 0
        expect([lsn - 1, lsn]).toContain(shown)
        if (shown > 0)
          for (const at of [0, 77, 399])
            expect(Number(Buffer.from(store.get(`k${at}`)?.value.bytes ?? []).toString())).toBe(
              shown,
            )
        await new Promise((resolve) => setImmediate(resolve))
      }
      await commit
      expect(store.position()).toEqual(positionAt(lsn))
    }
    await store.close()
  })

  /** A store that is open, and how to look at what it shows. */
  const opened = (dir: string) => {
    const store = projectionsOnThreads().open(dir)
    const shown = () => ({
      lsn: store.position()?.lsn,
      rows: [...store.range({})].map(([key, row]) => [
        key,
        Buffer.from(row.value.bytes).toString(),
      ]),
    })
    return { store, shown }
  }

  test('writes nothing if its folder was removed before it joined: the store writes to its own files', async () => {
    const dir = join(tempFolder(), 'lmdb')
    const { store, shown } = opened(dir)
    rmSync(dir, { recursive: true })

    await store.commit([['k', textRow('one')]], positionAt(1))
    await store.commit([['k', textRow('two')]], positionAt(2))
    expect(shown()).toEqual({ lsn: 2, rows: [['k', 'two']] })
    expect(existsSync(dir)).toBe(false)
    await store.close()
  })

  test('writes nothing into another folder at the path of its own', async () => {
    const root = tempFolder()
    const [dir, other] = [join(root, 'lmdb'), join(root, 'other')]
    const theirs = opened(other)
    await theirs.store.commit([['theirs', textRow('as it was')]], positionAt(7))
    await theirs.store.close()
    const { store, shown } = opened(dir)
    renameSync(dir, join(root, 'gone'))
    renameSync(other, dir)

    await store.commit([['k', textRow('one')]], positionAt(1))
    expect(shown()).toEqual({ lsn: 1, rows: [['k', 'one']] })
    await store.close()
    const found = opened(dir)
    expect(found.shown()).toEqual({ lsn: 7, rows: [['theirs', 'as it was']] })
    await found.store.close()
  })

  test('goes on in files that were removed after it joined, and a new store starts empty beside it', async () => {
    const dir = join(tempFolder(), 'lmdb')
    const { store, shown } = opened(dir)
    await store.commit([['k', textRow('one')]], positionAt(1))
    rmSync(dir, { recursive: true })
    const next = opened(dir)
    await next.store.commit([['new', textRow('one')]], positionAt(1))

    await store.commit([['k', textRow('two')]], positionAt(2))
    expect(shown()).toEqual({ lsn: 2, rows: [['k', 'two']] })
    expect(next.shown()).toEqual({ lsn: 1, rows: [['new', 'one']] })
    await store.close()
    await next.store.commit([['new', textRow('two')]], positionAt(2))
    expect(next.shown()).toEqual({ lsn: 2, rows: [['new', 'two']] })
    await next.store.close()
    expect(storage.examineProjection(storage.nodeDisk(), dir)).toMatchObject({ state: 'sound' })
  })

  test('leaves no exit listener behind, and causes no warning while many stores are open', async () => {
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    const before = { exit: process.listenerCount('exit'), max: process.getMaxListeners() }
    const root = tempFolder()
    const stores = Array.from({ length: 12 }, (_, at) => opened(join(root, `lmdb ${at}`)).store)
    await Promise.all(stores.map((store) => store.commit([], positionAt(1))))
    expect(process.listenerCount('exit')).toBe(before.exit + 12)
    await Promise.all(stores.map((store) => store.close()))
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)

    expect(warnings).toEqual([])
    expect({ exit: process.listenerCount('exit'), max: process.getMaxListeners() }).toEqual(before)
  })

  test('can be opened, closed and removed many times, and never meets an earlier store', async () => {
    const dir = join(tempFolder(), 'lmdb')
    for (let round = 1; round <= 12; round++) {
      const { store, shown } = opened(dir)
      expect(shown()).toEqual({ lsn: undefined, rows: [] })
      await store.commit([['k', textRow(`${round}`)]], positionAt(round))
      expect(shown()).toEqual({ lsn: round, rows: [['k', `${round}`]] })
      await store.close()
      rmSync(dir, { recursive: true })
    }
  })
})
