/**
 * Which parts of a store's file are read before it is mapped and while it is open, after each kind
 * of end.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import {
  lmdbProjections,
  type ProjectionExaminer,
} from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import type { Disk } from '../../../src/storage/ports/disk.ts'
import type {
  ExaminationDepth,
  Projections,
  RowChange,
} from '../../../src/storage/ports/projection-store.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const openDatabase = await loadLmdb()
const pageBytes = 4096
const rowCount = 20_000

/** The real disk, with a count of the bytes that are read. */
const countingDisk = () => {
  const real = nodeDisk()
  const counted = { bytes: 0 }
  const disk: Disk = {
    ...real,
    open: (path, mode) => {
      const file = real.open(path, mode)
      return {
        ...file,
        read: (into, offset) => {
          counted.bytes += into.length
          return file.read(into, offset)
        },
      }
    },
  }
  return { disk, counted }
}

const rows = Array.from({ length: rowCount }, (_, at): RowChange => {
  const key = `key ${String(at).padStart(6, '0')}`
  return [key, textRow(`value ${at}`)]
})

const fill = async (projections: Projections, dir: string): Promise<void> => {
  const store = projections.open(dir)
  await store.commit(rows, positionAt(1))
  await store.close()
}

/** Projections that take every file for a large one, count their examinations, and answer the background ones only when told. */
const world = (examine?: ProjectionExaminer) => {
  const { disk, counted } = countingDisk()
  const asked: ExaminationDepth[] = []
  const examined: ProjectionExaminer = (dir, depth, signal) => {
    asked.push(depth)
    if (signal && examine) return examine(dir, depth, signal)
    return Promise.resolve(examineProjection(disk, dir, depth))
  }
  const projections = lmdbProjections(openDatabase, disk, examined, { wholeBytesMax: 0 })
  return { projections, asked, counted, dir: join(tempFolder(), 'lmdb') }
}

/** As if the life that closed it had been killed. */
const forgetClose = (dir: string): void => rmSync(join(dir, 'CLEAN'))

/** Damages the value of a row in the middle: only its checksum shows it. */
const damageRow = (dir: string): void => {
  const path = join(dir, 'data.mdb')
  const bytes = readFileSync(path)
  const value = `value ${rowCount / 2}`
  // A page that was split and freed may hold it too.
  for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + 1)) bytes[at] = 0x21
  writeFileSync(path, bytes)
}

describe('after a clean close', () => {
  test('an examination covers the branch pages, with the result of a full one', async () => {
    const { projections, asked, counted, dir } = world()
    await fill(projections, dir)
    counted.bytes = 0

    const found = await projections.examine(dir)

    expect(counted.bytes).toBeLessThan(200_000)
    expect(asked).toEqual(['branches'])
    expect(found).toEqual(examineProjection(nodeDisk(), dir))
    expect(found).toMatchObject({ state: 'sound', position: positionAt(1), rows: rowCount })
  })

  test('the whole file is examined while the store is open', async () => {
    const { projections, asked, dir } = world()
    await fill(projections, dir)

    await projections.open(dir).close()
    expect(asked).toEqual(['all'])
  })

  test('a damaged row is CORRUPT when it is read, and the next examination is full', async () => {
    const { projections, asked, dir } = world(() => new Promise(() => undefined))
    await fill(projections, dir)
    damageRow(dir)

    expect(await projections.examine(dir)).toMatchObject({ state: 'sound' })
    const store = projections.open(dir)
    expect(() => [...store.range({})]).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    const commit = store.commit([['more', textRow('x')]], positionAt(2))
    await expect(commit).rejects.toMatchObject({ code: 'CORRUPT' })
    void store.close()
    expect(await projections.examine(dir)).toMatchObject({ state: 'damaged' })
    expect(asked).toEqual(['branches', 'all'])
  })

  test('a file that was cut or restored from a copy is examined as after any other end', async () => {
    const { projections, asked, dir } = world()
    await fill(projections, dir)
    cpSync(join(dir, 'data.mdb'), join(dir, 'copy'))
    const store = projections.open(dir)
    await store.commit([['more', textRow('x')]], positionAt(2))
    await store.close()
    cpSync(join(dir, 'copy'), join(dir, 'data.mdb'))

    expect(await projections.examine(dir)).toMatchObject({ position: positionAt(1) })
    writeFileSync(join(dir, 'data.mdb'), readFileSync(join(dir, 'copy')).subarray(0, 40_960))
    expect(await projections.examine(dir)).toMatchObject({ state: 'damaged' })
    expect(asked).toEqual(['all', 'branches', 'branches'])
  })
})

describe('after another end', () => {
  test('branch pages are examined before the mapping, and the whole file while the store is open', async () => {
    const { projections, asked, counted, dir } = world()
    await fill(projections, dir)
    forgetClose(dir)
    counted.bytes = 0

    expect(await projections.examine(dir)).toMatchObject({ position: positionAt(1) })
    expect(counted.bytes).toBeLessThan(200_000)
    const store = projections.open(dir)
    expect(asked).toEqual(['branches', 'all'])
    await new Promise((resolve) => setImmediate(resolve))
    await store.close()

    await projections.examine(dir)
    expect(asked).toEqual(['branches', 'all', 'branches'])
  })

  test('a damaged row is found while the store is open: the next commit is CORRUPT, the next examination full', async () => {
    const { projections, dir } = world()
    await fill(projections, dir)
    forgetClose(dir)
    damageRow(dir)

    expect(await projections.examine(dir)).toMatchObject({ state: 'sound' })
    const store = projections.open(dir)
    await new Promise((resolve) => setImmediate(resolve))
    const commit = store.commit([['more', textRow('x')]], positionAt(2))
    await expect(commit).rejects.toMatchObject({ code: 'CORRUPT' })
    await store.close()

    expect(await projections.examine(dir)).toMatchObject({ state: 'damaged' })
  })

  test('a damaged branch page is found before the mapping', async () => {
    const { projections, dir } = world()
    await fill(projections, dir)
    forgetClose(dir)
    const path = join(dir, 'data.mdb')
    const bytes = readFileSync(path)
    for (let at = 2 * pageBytes; at < bytes.length; at += pageBytes)
      if (bytes.readUInt16LE(at + 18) === 1) bytes.fill(0, at, at + pageBytes)
    writeFileSync(path, bytes)

    expect(await projections.examine(dir)).toMatchObject({ state: 'damaged' })
  })

  test('commits during the examination do not disturb it, also when the map must grow', async () => {
    let go: () => void = () => undefined
    const { disk } = countingDisk()
    const { dir } = world()
    const found: string[] = []
    const examine: ProjectionExaminer = async (folder, depth, signal) => {
      if (!signal) return examineProjection(disk, folder, depth)
      // It uses the meta pages of its start.
      const begun = readFileSync(join(folder, 'data.mdb')).subarray(0, 2 * pageBytes)
      await new Promise<void>((resolve) => {
        go = resolve
      })
      const path = join(folder, 'data.mdb')
      const now = readFileSync(path)
      begun.copy(now, 0)
      const copy = join(tempFolder(), 'copy')
      disk.makeFolder(copy)
      writeFileSync(join(copy, 'data.mdb'), now)
      const answer = examineProjection(disk, copy, depth)
      found.push(answer.state === 'damaged' ? answer.evidence : answer.state)
      return answer
    }
    const projections = lmdbProjections(openDatabase, disk, examine, { firstMapBytes: 8 << 20 })
    await fill(projections, dir)
    forgetClose(dir)

    const store = projections.open(dir)
    const value = { tag: 2, bytes: Buffer.alloc(3_000, 7) } as const
    for (let lsn = 2; lsn <= 60; lsn++) {
      const changes = rows.filter((_, at) => at % 60 === lsn % 60)
      await store.commit(
        changes.map(([key]) => [key, { value, expiresAt: 0 }]),
        positionAt(lsn),
      )
    }
    expect(store.describe().bytes).toBeGreaterThan(16 << 20)
    go()
    await new Promise((resolve) => setImmediate(resolve))
    await store.close()

    expect(found).toEqual(['sound'])
    expect(examineProjection(nodeDisk(), dir)).toMatchObject({ state: 'sound' })
  })

  test('closing does not wait for the examination, and ends it', async () => {
    let ended = false
    const { projections, dir } = world(
      (_, __, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => {
            ended = true
            reject(new Error('ended'))
          })
        }),
    )
    await fill(projections, dir)
    forgetClose(dir)

    const store = projections.open(dir)
    await store.commit([['more', textRow('x')]], positionAt(2))
    await store.close()

    expect(ended).toBe(true)
  })
})
