/**
 * What locking a folder by a file alone may leave beside the lock file when its process is killed on the way: the file that
 * was to become the lock, and the right to replace a dead holder's. Whoever holds the lock may remove them: another one who is
 * about to use them finds that, and is refused or tries again. Pure.
 */

/** Of `names`, those that stand beside the lock file `lock` and are of no use while somebody holds it. */
export const lockLeftovers = (names: readonly string[], lock: string): string[] =>
  names.filter((name) => name.startsWith(`${lock}.`) && leftover.test(name.slice(lock.length)))

/** Claims named after the sum of what a dead holder left, one in another maybe, and a file that was being written for either. */
const leftover = /^(\.[0-9a-f]{6,8})*(\.\d+-\d+\.tmp)?$/
