/**
 * The engine of members that share a data folder. Its logs are the files that an instance has
 * without members. It has the names of all members: each waits for the others at its start. Pure.
 */
import { configError } from '../../errors.ts'

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

/** No folder has more. */
export const membersMax = 64

/**
 * The engine of these members.
 * @throws KeelsonError `CONFIG` unless they are 1 to 64 different names of 1 to 64 letters, digits,
 * `_`, `.` or `-`
 */
export const folderEngine = (
  options: Pick<FolderEngine, 'members'> & Partial<FolderEngine>,
): FolderEngine => {
  const { arrivalMs = 5_000 } = Object(options)
  const names: unknown = Object(options).members
  const isNames =
    Array.isArray(names) &&
    names.every((name) => typeof name === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(name))
  if (!isNames || names.length < 1 || names.length > membersMax)
    throw configError('cluster.engine.members', `1 to ${membersMax} names of members`, names)
  if (new Set(names).size < names.length)
    throw configError('cluster.engine.members', 'different names', names)
  return { description: 'the data folder', members: [...names], arrivalMs }
}
