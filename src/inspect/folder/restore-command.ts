/** `keelson restore`: makes a data folder of a backup, or of a replica. */
import { resolve } from 'node:path'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import type { ShardCopy } from '../../storage/index.ts'
import { isError } from '../../thrown.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, type Work } from '../command/long-work.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import type { RestoreCommand, RestoreReplicaCommand } from './backup-command-line.ts'
import { restored, waitsText } from './backup-restoring.ts'
import { runSplitRestore } from './split-command.ts'

/** The new folder, and the copy of each shard. */
type Restored = {
  readonly dir: string
  readonly shards: readonly Pick<ShardCopy, 'lsn' | 'walId'>[]
}

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that ended it; nothing is left of DIR then
 */
export const runRestore = (command: RestoreCommand, environment: Environment): Promise<number> =>
  command.shards === undefined
    ? runPlainRestore(command, environment)
    : runSplitRestore({ ...command, shards: command.shards }, environment)

/** The same, with the shards of the backup. */
export const runPlainRestore = (
  command: Pick<RestoreCommand, 'dir' | 'to' | 'at' | 'json' | 'progress'>,
  environment: Environment,
): Promise<number> => {
  const from = resolve(environment.cwd, command.dir)
  const dir = resolve(environment.cwd, command.to)
  return runReported(
    command,
    environment,
    async (work) => ({ dir, shards: await restored(work, from, dir, command.at) }),
    {
      text: (report) => reportText(report, newIds),
      json: ({ shards }) => ({ dir, shards: shards.map(({ walId, lsn }) => ({ walId, lsn })) }),
    },
  )
}

const reportText = ({ dir, shards }: Restored, ids: string): string =>
  [
    `restored to ${printable(dir)}`,
    ...shards.map(({ lsn, walId }, shard) => `shard ${shard}  lsn ${countText(lsn)}, log ${walId}`),
    ids,
    waitsText,
  ].join('\n')

const newIds = 'Its logs have new ids: what is written here never mixes with the origin.'
const sameIds =
  'Its logs have the ids of the origin: replicated to the same place, they fence the origin.'

/**
 * Runs `keelson restore --from`: makes a data folder of what is replicated in PostgreSQL. The package
 * `pg` is loaded here alone. Resolves with the exit status.
 * @throws KeelsonError as `restore` of `keelson/postgres`; `CONFIG` if the server cannot be reached
 */
export const runRestoreReplica = (
  command: RestoreReplicaCommand,
  environment: Environment,
): Promise<number> =>
  runReported(command, environment, (work) => replicaRestored(command, work), {
    text: (report) => reportText(report, sameIds),
  })

const replicaRestored = async (
  command: RestoreReplicaCommand,
  { environment, signal, display }: Work,
) => {
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
  isError(error) && !isKeelsonError(error)
    ? new KeelsonError('CONFIG', `the server cannot be read: ${keptError(error).message}`, {
        details: { path: '--from' },
        cause: error,
      })
    : error
