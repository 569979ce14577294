/**
 * A copy of a data folder or a backup, which a command opens in its place: it is restored into a temporary
 * folder beside it, a data folder through a backup. So the folder itself is only read, and the copy goes in
 * the end with whatever was written there. Copies of commands that were killed go with the next one.
 */
import { basename, dirname, join } from 'node:path'
import { type Disk, readBackup, readDataFolder, refusing } from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { runBackup } from './backup-command.ts'
import type { Moment } from './backup-command-line.ts'
import { checkMoment } from './backup-restoring.ts'
import { runPlainRestore } from './restore-command.ts'

/** The copy to make. `dir` is absolute; `word` is in the name of the temporary folder. */
export type CopyRequest = {
  readonly dir: string
  readonly at: Moment | undefined
  readonly word: string
  readonly progress: boolean
  readonly verbose: boolean
}

/** A copy: its data folder, and the temporary folder around it. `asOf`: the time of the data, in ms since 1970. */
export type Copy = { readonly data: string; readonly temporary: string; readonly asOf: number }

/**
 * Makes the copy and lets `use` have it; then the copy goes. Resolves with the result of `use`, or with the
 * exit status after a signal. Its lines go to the errors, so that it is no part of a report.
 * @throws KeelsonError as `runBackup` and `runPlainRestore` do
 */
export const withCopy = async <T>(
  disk: Disk,
  request: CopyRequest,
  environment: Environment,
  use: (copy: Copy) => Promise<T>,
): Promise<T | number> => {
  const { dir, word } = request
  removeLeft(disk, dir, word)
  const letters = Buffer.from(environment.clock.randomBytes(6)).toString('hex')
  const temporary = `${dir}.${word}-${process.pid}-${letters}`
  try {
    const data = join(temporary, 'data')
    const asOf = timeOf(disk, request, environment)
    const status = await restored(disk, request, temporary, data, environment)
    return status === 0 ? await use({ data, temporary, asOf }) : status
  } finally {
    refusing(() => disk.remove(temporary))
  }
}

/** The time of the data: the moment that was asked for, that of the backup, or now. */
const timeOf = (disk: Disk, { dir, at }: CopyRequest, { clock }: Environment): number => {
  if (at && 'time' in at) return at.time
  return refusing(() => readBackup(disk, dir))?.at ?? clock.now()
}

/** Removes the copies of commands whose process has ended. */
const removeLeft = (disk: Disk, dir: string, word: string): void => {
  const prefix = `${basename(dir)}.${word}-`
  for (const name of refusing(() => disk.list(dirname(dir)))) {
    const [, pid] = name.startsWith(prefix) ? name.slice(prefix.length - 1).split('-') : []
    if (pid && /^\d+$/.test(pid) && !isAlive(Number(pid)))
      refusing(() => disk.remove(join(dirname(dir), name)))
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Restores the folder as of the moment, a data folder through a backup. */
const restored = async (
  disk: Disk,
  { dir, at, progress, verbose }: CopyRequest,
  temporary: string,
  data: string,
  environment: Environment,
): Promise<number> => {
  const quiet = { ...environment, output: environment.errors }
  const words = { json: false, progress, verbose }
  const isBackup = refusing(() => readBackup(disk, dir)) !== undefined
  const backup = isBackup ? dir : join(temporary, 'backup')
  if (!isBackup) {
    const reading = refusing(() => readDataFolder(disk, dir))
    // Now, and not after the copy.
    if (reading.state === 'sound') checkMoment(at, reading.facts.shards)
    const made = { kind: 'backup', ...words, dir, to: backup, consistent: false } as const
    const status = await runBackup(made, quiet)
    if (status !== 0) return status
  }
  return runPlainRestore({ ...words, dir: backup, to: data, at }, quiet)
}
