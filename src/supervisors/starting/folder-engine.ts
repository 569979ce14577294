/**
 * The engine of members that share a data folder. Its logs are the files that an instance has
 * without members. It has the names of all members: each waits for the others at its start. Pure.
 */
import { config, noMore, object, or, that, wholeFrom } from '../../check.ts'

/** The folder, as the engine of a cluster. */
export type FolderEngine = {
  /** For people. */
  readonly description: string
  /** All members, in any order: processes of one machine. */
  readonly members: readonly string[]
  /**
   * All members begin within this time, in ms. The shards of one that does not are taken by the
   * others.
   */
  readonly arrivalMs: number
}

/** The engine of a member that `keelson run` has started. */
export type ForkedEngine = FolderEngine & {
  /** The process that has started it, and starts it again. A lock of the member names it. */
  readonly parent?: number
}

/** The options of `folderEngine`. */
export type FolderEngineOptions = {
  /**
   * The names of all members, 1 to 64, the same at each: of 1 to 64 letters, digits, `_`, `.` or
   * `-`.
   */
  readonly members: readonly string[]
  /** How long a start waits for the shards of members that have not begun, in ms; 5,000 by default. */
  readonly arrivalMs?: number
}

/** No folder has more. */
export const membersMax = 64

/** The name of a member is that of a file, too. */
const isName = (found: unknown): boolean =>
  typeof found === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(found)

const namesOfMembers = that<readonly string[]>(
  `1 to ${membersMax} different names of members`,
  (found) =>
    Array.isArray(found) &&
    found.length >= 1 &&
    found.length <= membersMax &&
    found.every(isName) &&
    new Set(found).size === found.length,
)

const checkOptions = object({
  members: namesOfMembers,
  arrivalMs: or(wholeFrom(0, 600_000), 5_000),
})

/**
 * The engine of members that share a data folder: the option `cluster.engine` of `start` in each of
 * the processes. `keelson run --members` does this by itself, and starts a member again that has
 * ended; with this function that is up to you.
 * @throws KeelsonError `CONFIG` for other options, names or times
 */
export const folderEngine = (options: FolderEngineOptions, ...surplus: []): FolderEngine => {
  noMore(surplus, 'folderEngine({ members })')
  const { members, arrivalMs } = checkOptions(options, config('cluster.engine'))
  return { description: 'the data folder', members: [...members], arrivalMs }
}
