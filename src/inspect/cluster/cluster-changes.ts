/**
 * The commands of `keelson cluster` that change one: `create`, `drain`, `copies` and `accept-loss`.
 */
import { resolve } from 'node:path'
import { configError } from '../../errors.ts'
import { type LostShard, nodeDisk } from '../../storage/index.ts'
import { type App, type ClusterOptions, start } from '../../supervisors/index.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type {
  ClusterAcceptLossCommand,
  ClusterCopiesCommand,
  ClusterCreateCommand,
  ClusterDrainCommand,
} from './cluster-command-line.ts'
import { runOnEngine } from './cluster-engine.ts'
import { moveFolder } from './cluster-move.ts'

/** Opens a folder to move it: nothing in it acts, and the log keeps its past. */
const open = (dir: string): Promise<App> =>
  start({ dir, app: false, retention: { log: Number.MAX_SAFE_INTEGER } })

/** The report of `create`. `from`: the folder that was moved. */
type Made = {
  readonly cluster: string
  readonly engine: string
  readonly shards: number
  readonly bytes?: number
  readonly from?: string
}

/**
 * Makes a cluster and says so. Resolves with the exit status. `shards`: as the configuration has it.
 * @throws KeelsonError `CONFLICT` if it was made before; `CONFIG` if the engine keeps fewer copies
 * than the configuration wants; as `moveFolder`; as the engine
 */
export const clusterCreate = (
  cluster: ClusterOptions | undefined,
  shards: number | undefined,
  command: ClusterCreateCommand,
  environment: Environment,
): Promise<number> =>
  runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name, engine }, durability, ...work }): Promise<Made> => {
      const { session, tools, clock, signal, display } = work
      if (durability.refusal !== undefined)
        throw configError('cluster.copies', 'as many as the engine keeps', durability.refusal)
      const made = { cluster: name, engine: engine.description }
      if (command.from !== undefined) {
        const dir = resolve(environment.cwd, command.from)
        const origin = { cluster: name, engine: engine.description }
        return {
          ...made,
          ...(await moveFolder({
            dir,
            disk: nodeDisk(),
            open,
            origin,
            copies: durability.copies,
            session,
            tools,
            clock,
            signal,
            display,
          })),
          from: dir,
        }
      }
      const count = command.shards ?? shards ?? 1
      await tools.makeCluster(session, clock, { shards: count, copies: durability.copies })
      return { ...made, shards: count }
    },
    {
      text: ({ cluster, engine, shards, from }) => {
        const made = `made the cluster ${cluster} with ${pluralText(shards, 'shard')} in ${engine}`
        if (from === undefined) return made
        return `${made}, with everything of ${from}, which is a cache now`
      },
    },
  )

/**
 * Drains a member and says who owns then. Resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a member that was never there; `NO_PROCESS` for one
 * that is gone; as the engine
 */
export const clusterDrain = (
  cluster: ClusterOptions | undefined,
  command: ClusterDrainCommand,
  environment: Environment,
): Promise<number> => {
  const { member } = command
  const texts = {
    asked: `the member ${member} is asked to end; it drains what it has accepted`,
    released: `the member ${member} has given its lease back`,
  }
  return runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name }, session, tools, clock, signal }) => {
      const onStep = (step: keyof typeof texts): void => printLine(environment.errors, texts[step])
      const parts = { session, clock, signal, onStep }
      return { cluster: name, ...(await tools.drainMember(parts, member)) }
    },
    {
      text: ({ cluster, wasOwner, owner, down }) => {
        const left = down.length > 0 ? `; down at ${member}: shard ${down.join(', ')}` : ''
        if (owner !== undefined && wasOwner) return `the member ${owner} owns ${cluster} now${left}`
        if (owner !== undefined) return `the member ${owner} is the owner of ${cluster}, as before`
        return `nobody owns ${cluster}: no other member has taken over`
      },
    },
  )
}

/** The report of `copies`. */
type Changed = { readonly cluster: string; readonly copies: number; readonly before: number }

/**
 * Changes the number of copies and says so. Resolves with the exit status.
 * @throws KeelsonError `NO_SEGMENTS` without the cluster; `CONFLICT` while a member runs; as the engine
 */
export const clusterCopies = (
  cluster: ClusterOptions | undefined,
  command: ClusterCopiesCommand,
  environment: Environment,
): Promise<number> =>
  runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name }, session, tools, clock, signal }): Promise<Changed> => {
      const { copies } = command
      const before = await tools.changeCopies(session, clock, signal, copies)
      return { cluster: name, copies, before }
    },
    {
      text: ({ cluster, copies, before }) =>
        `${pluralText(copies, 'machine')} must have what ${cluster} acknowledges, and not ${before}: ` +
        `start its members with copies: ${copies}`,
    },
  )

/** The report of `accept-loss`. */
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
