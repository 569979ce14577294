/** `keelson cluster accept-loss`: what the engine lost of a shard, and the way back from it. */
import type { LostShard } from '../../storage/index.ts'
import type { ClusterOptions } from '../../supervisors/index.ts'
import type { Environment } from '../command/environment.ts'
import { printable } from '../text/paint.ts'
import { countText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type { ClusterAcceptLossCommand } from './cluster-command-line.ts'
import { runOnEngine } from './cluster-engine.ts'

/** The report. */
type Acceptance = LostShard & { readonly cluster: string; readonly accepted: boolean }

/**
 * Shows the loss, and accepts it with `--yes`. Resolves with the exit status: 1 if it was only shown.
 * @throws KeelsonError `INVALID_ARGUMENT` if the shard is not marked; `CONFLICT` while a member runs;
 * as the engine
 */
export const clusterAcceptLoss = (
  cluster: ClusterOptions | undefined,
  command: ClusterAcceptLossCommand,
  environment: Environment,
): Promise<number> =>
  runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name }, session, tools, clock, signal }): Promise<Acceptance> => {
      const { shard, yes } = command
      const loss = await tools.findLoss(session, shard)
      if (yes) await tools.acceptLoss(session, clock, signal, shard)
      return { cluster: name, ...loss, accepted: yes }
    },
    { text: lossText, status: ({ accepted }) => (accepted ? 0 : 1) },
  )

const lossText = ({ cluster, shard, head, member, at, message, accepted }: Acceptance) => {
  const facts = factList([
    ['cluster', cluster],
    ['shard', String(shard)],
    ['found by', `${member}, ${new Date(at).toISOString()}`],
    ['lost', printable(message)],
    ['the engine has', head ? `the log up to lsn ${countText(head.end.lsn)}` : 'no log'],
  ])
  const outcome = accepted
    ? 'accepted: members start again with what the engine has, and empty their caches first'
    : 'not accepted: with --yes members go on with what the engine has, and the rest is lost for ever'
  return `${facts}\n\n${outcome}`
}
