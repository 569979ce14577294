/** The two ways to lock a folder, by the tool and by a file, exclude each other. */
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readHolder } from '../../../src/storage/disk/lock-holder.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { lockBy, noFlock, refusal, ways, withPath } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'

let dir: string

let path: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keelson-lock-'))
  path = join(dir, 'LOCK')
})

afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('the two ways to lock', () => {
  test.skipIf(lacks(noFlock))('exclude each other', () => {
    for (const [first, second] of [
      ['flock', 'file'],
      ['file', 'flock'],
    ] as const) {
      const lock = lockBy(first, path)
      expect(refusal(() => lockBy(second, path)).code, `${first}, then ${second}`).toBe(
        'LOCKED_DIR',
      )
      lock.release()
      expect(refusal(() => lockBy(second, path).release()).code).toBe('no error')
    }
  })

  test('without the tool, the file is used', () => {
    withPath(dir, () => nodeDisk().lock(path, ''))

    expect(readHolder(readFileSync(path, 'utf8')).by).toBe('file')
  })

  test.skipIf(lacks(noFlock))('with the tool, the tool is used', () => {
    nodeDisk().lock(path, '')

    expect(readHolder(readFileSync(path, 'utf8')).by).toBe('flock')
  })

  test('a tool that fails for another reason than a held lock is ENOLCK', () => {
    writeFileSync(join(dir, 'flock'), '#!/bin/sh\nexit 71\n')
    chmodSync(join(dir, 'flock'), 0o755)

    expect(refusal(() => withPath(dir, () => nodeDisk().lock(path, ''))).code).toBe('ENOLCK')
  })

  test.each(ways)('a lock by %s has the identity of its file', (way) => {
    const lock = lockBy(way, path)
    expect(lock.identity).toBe(nodeDisk().identity(path))
    renameSync(path, `${path}.old`)
    writeFileSync(path, '')
    expect(lock.identity).not.toBe(nodeDisk().identity(path))
  })

  test.each(ways)('a lock by %s on a missing folder leaves no file', (way) => {
    path = join(dir, 'missing', 'LOCK')

    expect(refusal(() => lockBy(way, path)).code).toBe('ENOENT')
    expect(readdirSync(dir)).toEqual([])
  })
})
