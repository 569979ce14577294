/**
 * The commands of `keelson cluster` that change one: `create`, `drain`, `move`, `copies` and `accept-loss`.
 */
import { resolve } from 'node:path'
import { configError } from '../../errors.ts'
import type { LostShard } from '../../members/index.ts'
import { nodeDisk } from '../../storage/index.ts'
import { type App, start } from '../../supervisors/index.ts'
import { printLine } from '../command/environment.ts'
import { printable } from '../text/paint.ts'
import { countText, pluralText } from '../text/quantities.ts'
import { factList } from '../text/text-table.ts'
import type {
  ClusterAcceptLossCommand,
  ClusterCopiesCommand,
  ClusterCreateCommand,
  ClusterDrainCommand,
  ClusterMoveCommand,
} from './cluster-command-line.ts'
import { onEngine } from './cluster-engine.ts'
import { moveFolder } from './cluster-move.ts'

/** Opens a folder to move it: nothing in it acts, and the log keeps its past. */
const open = (dir: string): Promise<App> =>
  start(
    { dir, app: false, retention: { log: Number.MAX_SAFE_INTEGER } },
    () => import('../../members/index.ts'),
  )

/** The shards of a new cluster whose members share them, as the first member makes it. */
const shardsOfSpread = 64

/** The report of `create`. `from`: the folder that was moved. */
type Made = {
  readonly cluster: string
  readonly engine: string
  readonly shards: number
  readonly bytes?: number
  readonly from?: string
}

/**
 * Makes a cluster and says so. Resolves with the exit status.
 * @throws KeelsonError `CONFLICT` if it was made before; `CONFIG` if the engine keeps fewer copies
 * than the configuration wants; as `moveFolder`; as the engine
 */
export const clusterCreate = onEngine(
  async (
    { cluster: { name, engine, placement }, durability, ...work },
    { from, ...command }: ClusterCreateCommand,
  ): Promise<Made> => {
    const { session, tools, clock, signal, display, environment } = work
    const { copies, refusal } = durability
    if (refusal !== undefined)
      throw configError('cluster.copies', 'as many as the engine keeps', refusal)
    const made = { cluster: name, engine: engine.description }
    const isSpread = placement === 'spread'
    const terms = { copies, ...(isSpread && { placement }) }
    if (from !== undefined) {
      const dir = resolve(environment.cwd, from)
      const parts = { session, tools, clock, signal, display, terms }
      const moved = await moveFolder({ ...parts, dir, disk: nodeDisk(), open, origin: made })
      return { ...made, ...moved, from: dir }
    }
    const { shards = isSpread ? shardsOfSpread : 1 } = command
    await tools.makeCluster(session, clock, { shards, ...terms })
    return { ...made, shards }
  },
  {
    text: ({ cluster, engine, shards, from }) => {
      const made = `made the cluster ${cluster} with ${pluralText(shards, 'shard')} in ${engine}`
      if (from === undefined) return made
      return `${made}, with everything of ${from}, which is a cache now`
    },
  },
)

const drainSteps = {
  asked: (member: string) => `the member ${member} is asked to end; it drains what it has accepted`,
  released: (member: string) => `the member ${member} has given its lease back`,
}

/**
 * Drains a member and says who owns then. Resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a member that was never there; `NO_PROCESS` for one
 * that is gone; as the engine
 */
export const clusterDrain = onEngine(
  async (work, { member }: ClusterDrainCommand) => {
    const { cluster, session, tools, clock, signal, environment } = work
    const onStep = (step: keyof typeof drainSteps): void =>
      printLine(environment.errors, drainSteps[step](member))
    const parts = { session, clock, signal, onStep }
    return { cluster: cluster.name, ...(await tools.drainMember(parts, member)) }
  },
  {
    text: ({ cluster, member, wasOwner, owner, down, unowned }) => {
      if (unowned) return spreadText(member, unowned)
      const left = down.length > 0 ? `; down at ${member}: shard ${down.join(', ')}` : ''
      if (owner !== undefined && wasOwner) return `the member ${owner} owns ${cluster} now${left}`
      if (owner !== undefined) return `the member ${owner} is the owner of ${cluster}, as before`
      return `nobody owns ${cluster}: no other member has taken over`
    },
  },
)

const spreadText = (member: string, unowned: readonly number[]): string =>
  unowned.length === 0
    ? `the other members have the shards of ${member}`
    : `the member ${member} has ended, and nobody has ${unowned.length === 1 ? 'shard' : 'the shards'} ${unowned.join(', ')}`

/**
 * Gives a shard to a member and says where it is then. Resolves with the exit status: 1 if it is not there yet.
 * @throws KeelsonError as `placeShard`
 */
export const clusterMove = onEngine(
  async (work, { shard, member }: ClusterMoveCommand) => {
    const { cluster, session, tools, clock, signal } = work
    const placed = await tools.placeShard({ session, clock, signal }, shard, member)
    return { cluster: cluster.name, ...placed }
  },
  {
    text: ({ shard, owner, place }) => {
      if (place === undefined) return `the members decide where shard ${shard} is`
      if (owner === place) return `the member ${place} has shard ${shard}`
      const now = owner === undefined ? 'nobody has it' : `${owner} has it`
      return `shard ${shard} is not at ${place} yet: ${now}. It moves as soon as it can`
    },
    status: ({ owner, place }) => (place === undefined || owner === place ? 0 : 1),
  },
)

/** The report of `copies`. */
type Changed = { readonly cluster: string; readonly copies: number; readonly before: number }

/**
 * Changes the number of copies and says so. Resolves with the exit status.
 * @throws KeelsonError `NO_SEGMENTS` without the cluster; `CONFLICT` while a member runs; as the engine
 */
export const clusterCopies = onEngine(
  async (work, { copies }: ClusterCopiesCommand): Promise<Changed> => {
    const { cluster, session, tools, clock, signal } = work
    const before = await tools.changeCopies(session, clock, signal, copies)
    return { cluster: cluster.name, copies, before }
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
export const clusterAcceptLoss = onEngine(
  async (work, { shard, yes }: ClusterAcceptLossCommand): Promise<Acceptance> => {
    const { cluster, session, tools, clock, signal } = work
    const loss = await tools.findLoss(session, shard)
    if (yes) await tools.acceptLoss(session, clock, signal, shard)
    return { cluster: cluster.name, ...loss, accepted: yes }
  },
  { text: (loss) => lossText(loss), status: ({ accepted }) => (accepted ? 0 : 1) },
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
    : 'not accepted: with --yes members continue with what the engine has, and the rest is lost for ever'
  return `${facts}\n\n${outcome}`
}
