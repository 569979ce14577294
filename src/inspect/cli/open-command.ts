/**
 * `keelson open`: the prompt on a data folder or a backup as of a moment. It is restored into a
 * temporary folder beside it, which is opened without a user's tree and removed in the end. So what
 * is written at the prompt goes with it, and the folder itself is only read.
 */
import { join, resolve } from 'node:path'
import { type Disk, nodeDisk, readBackup, readDataFolder, refusing } from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { runBackup } from '../folder/backup-command.ts'
import type { OpenCommand } from '../folder/backup-command-line.ts'
import { checkMoment } from '../folder/backup-restoring.ts'
import { runPlainRestore } from '../folder/restore-command.ts'
import { runStart } from './start-command.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runBackup`, `runPlainRestore` and `runStart` do; the temporary folder is gone
 */
export const runOpen = async (
  command: OpenCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const disk = nodeDisk()
  const dir = resolve(environment.cwd, command.dir)
  const name = Buffer.from(environment.clock.randomBytes(6)).toString('hex')
  const temporary = `${dir}.view-${name}`
  try {
    const data = join(temporary, 'data')
    const status = await restored(disk, { ...command, dir }, temporary, data, environment)
    if (status !== 0) return status
    const config = join(temporary, 'view.json')
    refusing(() => writeConfiguration(disk, config))
    const { reveal } = command
    return await runStart(
      { kind: 'start', config, dir: data, verbose, reveal },
      environment,
      verbose,
    )
  } finally {
    refusing(() => disk.remove(temporary))
  }
}

/** Restores the folder as of the moment, a data folder through a backup. It prints errors only. */
const restored = async (
  disk: Disk,
  { dir, at, progress, verbose }: OpenCommand,
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

/** A configuration of the store alone: that of the present folder is not for this view. */
const writeConfiguration = (disk: Disk, path: string): void => {
  const file = disk.open(path, 'create')
  file.write(new TextEncoder().encode('{"app":false}'), 0)
  file.close()
}
