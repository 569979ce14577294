/**
 * Files of other kinds in a log's folder, on a real file system, and bytes that report a wrong
 * length.
 */
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { createLog, type Log } from '../../../src/storage/log/log.ts'
import { claimWalFolder } from '../../../src/storage/wal/wal-opening.ts'
import { commit, payload, small } from '../../support/worlds/logs.ts'
import { openedWal, outcome, readAll, walWorld } from '../../support/worlds/wals.ts'

const disk = nodeDisk()
const clock = systemClock()

let root = ''
let dir = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'keelson-odd-'))
  dir = join(root, 'wal')
  createLog(disk, clock).handle('create', { dir, options: small })
  const log = open()
  commit(log, [payload(1)])
  log.handle('close', { projectedLsn: 0 })
})
afterEach(() => rmSync(root, { recursive: true }))

const open = (): Log => {
  const log = createLog(disk, clock)
  const inspection = log.handle('inspect', { dir, options: small, evidence: [] })
  log.handle('open', { dir, options: small, inspection })
  return log
}

const errorOf = (action: () => unknown): { code: string; details: unknown } => {
  try {
    action()
  } catch (error) {
    if (isKeelsonError(error)) return error
    throw error
  }
  return { code: 'no error', details: undefined }
}

const firstSegment = (): string => readdirSync(dir).find((name) => name.endsWith('.wal')) ?? ''

const replaceBy: Record<string, (path: string) => void> = {
  'a folder': (path) => mkdirSync(path),
  'a named pipe': (path) => void execFileSync('mkfifo', [path]),
  'a link to nothing': (path) => symlinkSync('nowhere', path),
}

describe('a segment that is', () => {
  for (const [what, make] of Object.entries(replaceBy))
    test(`${what} is CORRUPT with its name, at once`, () => {
      const file = firstSegment()
      rmSync(join(dir, file))
      make(join(dir, file))

      expect(errorOf(open)).toMatchObject({ code: 'CORRUPT', details: { file } })
    })
})

describe('a MANIFEST that is', () => {
  for (const what of ['a folder', 'a named pipe'])
    test(`${what} is CORRUPT with its name, at once`, () => {
      rmSync(join(dir, 'MANIFEST'))
      replaceBy[what]?.(join(dir, 'MANIFEST'))

      expect(errorOf(open)).toMatchObject({ code: 'CORRUPT', details: { file: 'MANIFEST' } })
    })

  test('a dangling link is CORRUPT with its name, and stays', () => {
    rmSync(join(dir, 'MANIFEST'))
    symlinkSync('nowhere', join(dir, 'MANIFEST'))

    expect(errorOf(open)).toMatchObject({ code: 'CORRUPT', details: { file: 'MANIFEST' } })
    expect(readlinkSync(join(dir, 'MANIFEST'))).toBe('nowhere')
    expect(existsSync(join(dir, 'nowhere'))).toBe(false)
  })
})

test('a LOCK that is a named pipe is refused at once, with or without flock', () => {
  execFileSync('mkfifo', [join(dir, 'LOCK')])
  for (const flock of [true, false])
    expect(errorOf(() => claimWalFolder({ disk: nodeDisk({ flock }), clock, dir }))).toMatchObject({
      code: 'SHARD_DOWN',
      details: { errno: 'ENODEV' },
    })
})

test('a folder whose name is too long is CONFIG', () => {
  for (const path of [join(root, 'n'.repeat(300)), join(root, 'n'.repeat(300), 'wal')])
    expect(errorOf(() => claimWalFolder({ disk, clock, dir: path }))).toMatchObject({
      code: 'CONFIG',
      details: { path: 'dir' },
    })
})

test('foreign .tmp files stay, and leftovers of the log are removed', () => {
  mkdirSync(join(dir, 'mybackup.tmp'))
  writeFileSync(join(dir, 'mybackup.tmp', 'kept'), 'kept')
  writeFileSync(join(dir, 'notes.tmp'), 'kept')
  for (const name of ['spare-2.tmp', 'spare-3.tmp', 'MANIFEST.tmp', 'salvage.tmp'])
    writeFileSync(join(dir, name), 'left over')

  open().handle('close', { projectedLsn: 0 })

  const left = readdirSync(dir).filter((name) => name.endsWith('.tmp'))
  expect(left).toEqual(['mybackup.tmp', 'notes.tmp'])
  expect(readFileSync(join(dir, 'mybackup.tmp', 'kept'), 'utf8')).toBe('kept')
})

describe('bytes', () => {
  test('are INVALID_ARGUMENT if they are detached, and an entry if they are empty', async () => {
    const wal = await walWorld().open()
    const given = new Uint8Array(8)
    structuredClone(given.buffer, { transfer: [given.buffer] })

    expect(await outcome(wal.append(1, given))).toBe('INVALID_ARGUMENT')
    expect(await outcome(wal.createCheckpoint(given))).toBe('INVALID_ARGUMENT')
    expect(await outcome(wal.append(1, Object.create(Uint8Array.prototype)))).toBe(
      'INVALID_ARGUMENT',
    )
    expect(await wal.append(1, new Uint8Array(0))).toEqual({ lsn: 1 })
  })

  test('are written with their real length if they report another one', async () => {
    class Liar extends Uint8Array {
      override get length(): never {
        return 1 as never
      }
      override get byteLength(): never {
        return (2 ** 40) as never
      }
    }
    const owner = new Uint8Array([4, 5, 6])
    Object.defineProperty(owner, 'length', { value: 2 ** 40 })
    const { wal } = await openedWal()
    await wal.append(1, new Liar([1, 2, 3]))
    await wal.append(2, owner)
    await wal.append(3, Buffer.from([7, 8, 9]))

    const entries = []
    for await (const { bytes } of wal.readAll()) entries.push([...bytes])
    expect(entries).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ])
    expect(await readAll(wal)).toHaveLength(3)
  })
})
