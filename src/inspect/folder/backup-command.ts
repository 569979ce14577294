/**
 * `keelson backup`: opens the data folder as `start` does, without a user's tree, lets the instance
 * make the backup, and closes it. A running instance makes its own.
 */
import { resolve } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { nodeDisk, readDataFolder, refusing } from '../../storage/index.ts'
import { type BackupReport, start } from '../../supervisors/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import { printable } from '../text/paint.ts'
import { bytesText, countText, pluralText } from '../text/quantities.ts'
import type { BackupCommand } from './backup-command-line.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `LOCKED_DIR` for a folder that is open; as `App.backup` does
 */
export const runBackup = (command: BackupCommand, environment: Environment): Promise<number> =>
  runReported(command, environment, (work) => madeBackup(command, work), { text: reportText })

const madeBackup = async (
  { dir, to, consistent }: BackupCommand,
  { environment, signal, display }: Work,
): Promise<BackupReport> => {
  const app = await opened(resolve(environment.cwd, dir))
  signal.addEventListener('abort', () => void app.close())
  if (signal.aborted) void app.close()
  try {
    return await app.backup(resolve(environment.cwd, to), {
      consistent,
      onProgress: ({ shard, ...done }) => display.show({ ...done, what: `copying shard ${shard}` }),
    })
  } finally {
    await app.close()
  }
}

/** @throws KeelsonError `INVALID_ARGUMENT` for a folder without an instance's data */
export const checkDataFolder = (dir: string): void => {
  if (refusing(() => readDataFolder(nodeDisk(), dir)).state !== 'absent') return
  throw new KeelsonError('INVALID_ARGUMENT', `${dir} is not a data folder`, {
    details: { path: dir },
  })
}

const opened = async (dir: string) => {
  checkDataFolder(dir)
  try {
    return await start({ dir })
  } catch (error) {
    if (!isKeelsonError(error, 'LOCKED_DIR')) throw error
    const hint =
      'a running instance makes its own backup: app.backup(dir), context.app.backup(dir) in an actor, backup(dir) at its prompt'
    throw new KeelsonError('LOCKED_DIR', `${error.message}; ${hint}`, {
      details: error.details,
      cause: error,
    })
  }
}

const reportText = ({ dir, shards }: BackupReport): string =>
  [
    `backup in ${printable(dir)}`,
    ...shards.map(({ shard, fromLsn, lsn, copiedBytes, missing }) => {
      const reach = `lsn ${countText(fromLsn)} to ${countText(lsn)}`
      const lack = missing.length > 0 ? `, without ${pluralText(missing.length, 'blob')}` : ''
      return `shard ${shard}  ${reach}, ${bytesText(copiedBytes)} copied${lack}`
    }),
  ].join('\n')
