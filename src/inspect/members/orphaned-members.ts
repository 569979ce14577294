/**
 * Members whose parent was killed. Each closes its shards in order and frees its name in the folder
 * then. A new start waits for that, because it cannot have the name before.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'

/** A member whose parent has ended. */
export type Orphan = { readonly pid: number; readonly parent: number }

/** The member of that sort that holds what a start was refused for. */
export const orphanIn = (
  error: unknown,
  isAlive: (pid: number) => boolean = isRunning,
): Orphan | undefined => {
  if (!isKeelsonError(error, 'LOCKED_DIR')) return undefined
  const { pid, parent } = Object(error.details.holder)
  if (!Number.isInteger(pid) || !Number.isInteger(parent)) return undefined
  return isAlive(pid) && !isAlive(parent) ? { pid, parent } : undefined
}

/** The refusal of a start that has waited for that member in vain. */
export const stillHeld = (
  { message, details }: KeelsonError,
  { pid, parent }: Orphan,
): KeelsonError =>
  new KeelsonError(
    'LOCKED_DIR',
    `${message}, a member whose parent, process ${parent}, has ended; it has not closed in time: end it with kill -9 ${pid}`,
    { details },
  )

/** The signal 0 asks whether there is a process. */
const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
