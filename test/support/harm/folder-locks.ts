/** Locks of folders in both ways, for tests. */
import { spawnSync } from 'node:child_process'
import { type ErrorDetails, isKeelsonError } from '../../../src/errors.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { DiskError, type DiskLock } from '../../../src/storage/ports/disk.ts'
import { lacks } from '../lacks.ts'

/** Why the tool cannot lock here; `undefined` when it can. */
export const noFlock = spawnSync('flock', ['--version']).error && 'the tool flock is not here'

/** A way to lock: by the tool, or by a file alone. */
export type Way = 'flock' | 'file'

/** The ways to lock that this machine has. */
export const ways: readonly Way[] = lacks(noFlock) ? ['file'] : ['flock', 'file']

/** Takes the lock at `path` for this process. */
export const lockBy = (way: Way, path: string): DiskLock =>
  nodeDisk({ flock: way === 'flock' }).lock(path, '{"a":1}')

/** The code of the error that `action` throws, with the details of a refused lock. */
export const refusal = (action: () => unknown): { code: string; details?: ErrorDetails } => {
  try {
    action()
  } catch (error) {
    if (isKeelsonError(error)) return { code: error.code, details: error.details }
    if (error instanceof DiskError) return { code: error.code }
    throw error
  }
  return { code: 'no error' }
}

/** Runs `action` with another search path for programs. */
export const withPath = <T>(value: string, action: () => T): T => {
  const before = process.env.PATH
  process.env.PATH = value
  try {
    return action()
  } finally {
    process.env.PATH = before
  }
}
