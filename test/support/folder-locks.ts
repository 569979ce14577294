/** Taking locks of folders, in either way, and what a refusal says. */
import { spawnSync } from 'node:child_process'
import { type ErrorDetails, isKeelsonError } from '../../src/errors.ts'
import { nodeDisk } from '../../src/storage/disk/node-disk.ts'
import { DiskError, type DiskLock } from '../../src/storage/ports/disk.ts'

/** Whether this machine has the tool. */
export const hasFlock = spawnSync('flock', ['--version']).error === undefined

/** By the tool, and by a file alone. */
export const ways = ['flock', 'file'] as const

/** One of them. */
export type Way = (typeof ways)[number]

/** Takes the lock at `path` for this process. */
export const lockBy = (way: Way, path: string): DiskLock =>
  nodeDisk({ flock: way === 'flock' }).lock(path, '{"a":1}')

/** The code, and for a refused lock the details, of what `action` throws. */
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

/** Does `action` with another search path for programs. */
export const withPath = <T>(value: string, action: () => T): T => {
  const before = process.env.PATH
  process.env.PATH = value
  try {
    return action()
  } finally {
    process.env.PATH = before
  }
}
