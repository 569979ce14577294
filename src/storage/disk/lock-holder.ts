/**
 * The holder of a lock: lines of text in the lock file, and data in the error for the second
 * opener. People read it, and so does `folder-lock.ts` for a lock without the kernel.
 */

import { plainJson } from '../../bytes/json.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'

/**
 * The `names` that a process may have left beside the lock file `lock` when it was killed while
 * locking without the kernel. The holder of the lock may remove them. Another process that is about
 * to use them notices, and tries again.
 */
export const lockLeftovers = (names: readonly string[], lock: string): string[] =>
  names.filter((name) => name.startsWith(`${lock}.`) && leftover.test(name.slice(lock.length)))

/**
 * The claim on a dead holder's lock (named after the CRC of its content), claims on claims, and
 * their temporary files.
 */
const leftover = /^(\.[0-9a-f]{6,8})*(\.\d+-\d+\.tmp)?$/

/** Facts about a holder: `pid`, `host`, and the facts that the caller of the lock added. */
export type LockHolder = Readonly<Record<string, unknown>>

/** The fact `by` of a lock that members share. Then the lock file names no process. */
export const sharedBy = 'members'

/** The line of a holder in its lock file: JSON, without a line break. */
export const describeHolder = (facts: LockHolder): string => plainJson(facts)

/**
 * Reads the lines of a lock file and merges their objects. Facts of an earlier line win. A line
 * that is not a JSON object (cut by a power failure, written by hand) becomes `text`, so that
 * people see it.
 */
export const readHolder = (content: string): LockHolder => {
  const holder: Record<string, unknown> = {}
  for (const line of content
    .split('\n')
    .filter((text) => text !== '')
    .reverse())
    Object.assign(holder, readLine(line))
  return holder
}

/**
 * The error for the second opener of a lock: `LOCKED_DIR` with the path and `details.holder`.
 * `details.certain` is false if this process cannot find out whether the holder lives. Then a
 * person must.
 */
export const lockedDir = (
  path: string,
  content: string,
  { certain = true }: { readonly certain?: boolean } = noOptions,
): KeelsonError => {
  const holder = readHolder(content)
  const others = holder.by === sharedBy ? 'members of an instance' : 'another process'
  const who = holder.pid === undefined ? others : `process ${holder.pid}`
  const where = holder.host === undefined ? '' : ` on ${holder.host}`
  const remedy = certain ? '' : ', which may be dead; if it is, remove the file'
  return new KeelsonError('LOCKED_DIR', `${path} is held by ${who}${where}${remedy}`, {
    details: { path, holder, certain },
  })
}

const readLine = (line: string): LockHolder => {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as LockHolder
  } catch {
    // Not our line, or damaged.
  }
  return { text: line }
}
