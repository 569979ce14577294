/**
 * `keelson open`: the prompt on a data folder or a backup as of a moment. A copy of it is opened without a
 * user's tree and removed in the end. So the folder itself is only read.
 */
import { join, resolve } from 'node:path'
import { type Disk, nodeDisk, refusing } from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import type { OpenCommand } from '../folder/backup-command-line.ts'
import { withCopy } from '../folder/restored-copy.ts'
import { runStart } from './start-command.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runBackup`, `runPlainRestore` and `runStart` do; the temporary folder is gone
 */
export const runOpen = (
  command: OpenCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const disk = nodeDisk()
  const dir = resolve(environment.cwd, command.dir)
  return withCopy(disk, { ...command, dir, word: 'view' }, environment, (copy) => {
    const config = join(copy.temporary, 'view.json')
    refusing(() => writeConfiguration(disk, config))
    const { reveal } = command
    const start = { kind: 'start', config, dir: copy.data, verbose, reveal } as const
    return runStart(start, environment, verbose)
  })
}

/** A configuration of the store alone: that of the present folder is not for this view. */
const writeConfiguration = (disk: Disk, path: string): void => {
  const file = disk.open(path, 'create')
  file.write(new TextEncoder().encode('{"app":false}'), 0)
  file.close()
}
