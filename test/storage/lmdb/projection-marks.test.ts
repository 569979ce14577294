/**
 * The end of a store's last life decides how much of its file the next one examines before LMDB
 * maps it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import { depthToExamine, ProjectionMarks } from '../../../src/storage/lmdb/projection-marks.ts'
import type { ExaminationDepth } from '../../../src/storage/ports/projection-store.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { changingOperations } from '../../../src/testing/simulated/simulated-faults.ts'
import { positionAt, textRow } from '../../support/worlds/projection-rows.ts'

const dir = '/lmdb'
const data = `${dir}/data.mdb`
const openDatabase = await loadLmdb()

/** LMDB's file after this many commits. */
const fileAfter = async (commits: number): Promise<Uint8Array> => {
  const root = mkdtempSync(join(tmpdir(), 'keelson-marks-'))
  const never = () => Promise.reject(new Error('not used'))
  const store = lmdbProjections(openDatabase, nodeDisk(), never).open(root)
  for (let lsn = 1; lsn <= commits; lsn++)
    await store.commit([[`k${lsn}`, textRow('x')]], positionAt(lsn))
  await store.close()
  const bytes = new Uint8Array(readFileSync(join(root, 'data.mdb')))
  rmSync(root, { recursive: true, force: true })
  return bytes
}

const [older, newer] = await Promise.all([fileAfter(3), fileAfter(4)])

const put = (disk: SimulatedDisk, path: string, bytes: Uint8Array): void => {
  disk.remove(path)
  const file = disk.open(path, 'create')
  file.write(bytes, 0)
  file.sync()
  file.close()
  disk.syncFolder(dir)
}

/** The folder of a store that was closed cleanly. */
const closed = (): SimulatedDisk => {
  const disk = simulatedDisk({ seed: 1 })
  disk.makeFolder(dir)
  disk.syncFolder('/')
  const marks = new ProjectionMarks(disk, dir)
  put(disk, data, older)
  marks.close()
  return disk
}

/** The depth for a file that is too large to be examined whole. */
const depth = (disk: SimulatedDisk): ExaminationDepth => depthToExamine(disk, dir, -1)

const hasCleanMark = (disk: SimulatedDisk): boolean => disk.entry(`${dir}/CLEAN`) !== undefined

/** Whether CLEAN fits the file: then UNPROVEN beside it has no effect. */
const fits = (disk: SimulatedDisk): boolean => {
  put(disk, `${dir}/UNPROVEN`, new Uint8Array(0))
  return depth(disk) !== 'all'
}

describe('the examination', () => {
  test('covers all of a small file, whatever the last end was', () => {
    const disk = closed()
    const { size = 0 } = disk.entry(data) ?? {}
    expect(depthToExamine(disk, dir, size)).toBe('all')
    expect(depthToExamine(disk, dir, size - 1)).toBe('branches')
    disk.remove(data)
    expect(depthToExamine(disk, dir, size)).toBe('position')
  })

  test('needs no thread without a file, whatever marks are left', () => {
    const disk = closed()
    new ProjectionMarks(disk, dir)
    new ProjectionMarks(disk, dir)
    expect(depth(disk)).toBe('all')

    disk.remove(data)
    expect(depth(disk)).toBe('position')
  })

  test('covers every branch page after a clean close, and after a life that was not closed', () => {
    const disk = closed()
    expect(depth(disk)).toBe('branches')

    disk.crash({ unsynced: 'lost' })
    expect(new ProjectionMarks(disk, dir).isProven).toBe(false)
    disk.crash()
    expect(depth(disk)).toBe('branches')
  })

  test('covers the whole file after two lives that ended before its leaf pages were examined', () => {
    const disk = closed()
    new ProjectionMarks(disk, dir)
    disk.crash()
    new ProjectionMarks(disk, dir)

    disk.crash()
    expect(depth(disk)).toBe('all')
  })

  test('covers every branch page if that life was closed cleanly', () => {
    const disk = closed()
    new ProjectionMarks(disk, dir)
    new ProjectionMarks(disk, dir).close()

    expect(depth(disk)).toBe('branches')
  })

  test('covers the whole file after a failed commit before all was examined, whatever is found later', () => {
    const disk = closed()
    const marks = new ProjectionMarks(disk, dir)
    marks.distrust()
    marks.proven()
    marks.close()
    expect(hasCleanMark(disk)).toBe(false)

    const unproven = new ProjectionMarks(disk, dir)
    unproven.distrust()
    unproven.close()
    expect(depth(disk)).toBe('all')
  })

  test('covers the whole file once it was found damaged', () => {
    const disk = closed()
    const marks = new ProjectionMarks(disk, dir)
    marks.damaged()
    marks.close()

    expect(depth(disk)).toBe('all')
  })
})

describe('a mark of a clean close', () => {
  test('is ignored for a file of another life or with another length', () => {
    for (const bytes of [newer, older.subarray(0, older.length - 4096), new Uint8Array(0)]) {
      const disk = closed()
      put(disk, data, bytes)
      expect(fits(disk)).toBe(false)
    }
  })

  test('is ignored if any bit of it is flipped, or if it was cut', () => {
    const mark = closed().contents(`${dir}/CLEAN`)
    for (let bit = 0; bit < mark.length * 8; bit++) {
      const disk = closed()
      disk.flipBit(`${dir}/CLEAN`, bit)
      expect(fits(disk)).toBe(false)
    }
    for (let length = 0; length < mark.length; length++) {
      const disk = closed()
      put(disk, `${dir}/CLEAN`, mark.slice(0, length))
      expect(fits(disk)).toBe(false)
    }
  })

  test('is removed durably before the file can be written, at any power cut', () => {
    for (let call = 1; ; call++) {
      const disk = closed()
      disk.inject({ at: call, operation: changingOperations, fault: { kind: 'halt' } })
      let mayWrite = false
      try {
        new ProjectionMarks(disk, dir)
        mayWrite = true
      } catch {}
      disk.crash({ unsynced: 'lost' })
      if (mayWrite) {
        expect(hasCleanMark(disk)).toBe(false)
        expect(call).toBeGreaterThan(1)
        break
      }
      // Nothing was written, so the mark is still right if it exists.
      expect(depth(disk)).toBe('branches')
    }
  })

  test('only costs an examination if it cannot be written', () => {
    const disk = closed()
    const marks = new ProjectionMarks(disk, dir)
    disk.inject({
      at: 1,
      times: 1_000,
      operation: changingOperations,
      fault: { kind: 'error', code: 'ENOSPC' },
    })

    marks.close()
    expect(depth(disk)).toBe('branches')
    expect(hasCleanMark(disk)).toBe(false)
  })
})
