/**
 * Who holds a lock, as text in the lock file and as data in the error that the second opener gets. Reading it is for
 * people and for judging a lock file without a kernel lock; the lock itself is made in `folder-lock.ts`.
 */
import { KeelsonError } from '../../errors.ts'

// What locking a folder by a file alone may leave beside the lock file when its process is killed on the way: the file that
// was to become the lock, and the right to replace a dead holder's. Whoever holds the lock may remove them: another one who is
// about to use them finds that, and is refused or tries again. Pure.

/** Of `names`, those that stand beside the lock file `lock` and are of no use while somebody holds it. */
export const lockLeftovers = (names: readonly string[], lock: string): string[] =>
  names.filter((name) => name.startsWith(`${lock}.`) && leftover.test(name.slice(lock.length)))

/** Claims named after the sum of what a dead holder left, one in another maybe, and a file that was being written for either. */
const leftover = /^(\.[0-9a-f]{6,8})*(\.\d+-\d+\.tmp)?$/

/** Facts about a holder: `pid`, `host` and whatever its owner wrote down. */
export type LockHolder = Readonly<Record<string, unknown>>

/** The line that a holder leaves in its lock file: JSON, without a line break. */
export const describeHolder = (facts: LockHolder): string => JSON.stringify(facts)

/**
 * Reads the lines of a lock file back: the objects in it merged, an earlier line's facts winning. A line that is no
 * JSON object (cut by a power failure, written by hand) is kept as `text`, so that nothing is hidden from people.
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
 * What the second opener of a lock is told: `LOCKED_DIR`, with the path and `details.holder`. Not `certain` when the
 * holder cannot be judged from here; then a person must, and `details.certain` is false.
 */
export const lockedDir = (
  path: string,
  content: string,
  { certain = true }: { readonly certain?: boolean } = {},
): KeelsonError => {
  const holder = readHolder(content)
  const who = holder.pid === undefined ? 'somebody' : `process ${holder.pid}`
  const where = holder.host === undefined ? '' : ` on ${holder.host}`
  const remedy = certain
    ? ''
    : ', as far as can be told from here; when it is dead, remove the file'
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
    // Not ours, or damaged: shown as it is.
  }
  return { text: line }
}
