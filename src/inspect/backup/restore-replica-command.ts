/**
 * `keelson restore --from`: makes a data folder of what is replicated in PostgreSQL. The package `pg`
 * is loaded here alone.
 */
import { resolve } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import type { RestoreReplicaCommand } from './backup-command-line.ts'
import { waitsText } from './restore-command.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `restore` of `keelson/postgres`; `CONFIG` if the server cannot be reached
 */
export const runRestoreReplica = (
  command: RestoreReplicaCommand,
  environment: Environment,
): Promise<number> =>
  runReported(command, environment, (work) => restored(command, work), { text: reportText })

const restored = async (command: RestoreReplicaCommand, { environment, signal, display }: Work) => {
  const { postgres, restore } = await import('keelson/postgres')
  return restore({
    client: postgres({ connectionString: command.from }),
    dir: resolve(environment.cwd, command.to),
    ...(command.instance !== undefined && { instanceId: command.instance }),
    signal,
    onProgress: ({ shard, lsn, of }) =>
      display.show({ what: `restoring shard ${shard}`, bytes: lsn, totalBytes: of }),
  }).catch((error: unknown) => {
    throw named(error)
  })
}

/** An error of the client has no code of ours. */
const named = (error: unknown): unknown =>
  error instanceof Error && !isKeelsonError(error)
    ? new KeelsonError('CONFIG', `the server cannot be read: ${error.message}`, {
        details: { path: '--from' },
        cause: error,
      })
    : error

type Report = Awaited<ReturnType<typeof import('keelson/postgres').restore>>

const reportText = ({ dir, shards }: Report): string =>
  [
    `restored to ${printable(dir)}`,
    ...shards.map(({ lsn, walId }, shard) => `shard ${shard}  lsn ${countText(lsn)}, log ${walId}`),
    'Its logs have the ids of the origin: replicated to the same place, they fence the origin.',
    waitsText,
  ].join('\n')
