/**
 * The supervision tree of an instance: its supervisors and their start order, and how a part of it
 * is started again. Children start after the ones that they depend on. The tree of one shard is in
 * `shard-tree.ts`.
 */

import {
  Control,
  type Entities,
  emit,
  type Follower,
  judgeSpec,
  Replicator,
  type ShardCore,
} from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type AppContext,
  type ChildSpec,
  type Name,
  Registry,
  restartChild,
  type StartGate,
  type SupervisorMessages,
  type System,
  supervisor,
  terminateChild,
  worker,
} from '../../runtime/index.ts'
import type { AppTree } from '../users-tree/app-tree.ts'
import { wholeTree } from '../users-tree/child-tree.ts'
import type { Readiness } from './readiness.ts'
import type { Shard } from './shard.ts'
import { reopenByItself } from './shard-reopening.ts'
import { type ShardForm, shardTree, treeNames, unlessDown, watched } from './shard-tree.ts'

/** The options of the tree. */
export type TreeOptions = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly Shard[]
  readonly form: ShardForm
  readonly entities: Entities
  readonly followers: readonly Follower[]
  readonly mailboxMax: number
  /** The child that serves attached prompts. */
  readonly attach: ChildSpec | undefined
  /** The service of other members, and the links to them. */
  readonly members: readonly ChildSpec[]
  /** The user's tree with its modules loaded, and its `context.app`. */
  readonly app: AppTree | undefined
  /** Whether actors at rest are judged. */
  readonly judges: boolean
  readonly appContext: AppContext
  /** Whether the user's tree must not start, because the instance ends. */
  readonly isClosing: () => boolean
  /** Called when the user's tree has started. */
  readonly readiness: Readiness
}

/** The whole tree of an instance. */
export const instanceTree = (options: TreeOptions): ChildSpec => {
  const names = treeNames(options.instance)
  const { system, shards, followers } = options
  const controlOptions: Control.Options = {
    shards,
    reopen: (shard, part) => reopen(system, shard, part, followers),
  }
  for (const shard of shards)
    reopenByItself(system, shard, () => reopen(system, shard, 'shard', followers))
  return supervisor(
    'keelson',
    {
      name: names.root,
      instance: options.instance,
      strategy: 'rest_for_one',
      intensity: 3,
      periodMs: 5_000,
    },
    [
      supervisor(
        'shards',
        { name: names.shards, strategy: 'one_for_one' },
        shards.map((shard) => unlessDown(shard, shardTree(shard, options.entities, options.form))),
      ),
      Registry.childSpec('registry', { keys: 'unique', name: names.registry }),
      // They need the shards, not each other.
      supervisor(
        'services',
        { name: names.services, strategy: 'one_for_one', intensity: 10, periodMs: 60_000 },
        [
          worker('control', Control.server, controlOptions, {
            name: Control.name(options.instance),
          }),
          // They end after the user's tree, so that the last answers leave.
          ...options.members,
          ...(options.attach ? [options.attach] : []),
          ...(options.followers.length > 0 ? [replicationTree(options)] : []),
          ...(options.app && options.judges ? [judgeSpec(options.entities)] : []),
          ...(options.app ? [unlessClosing(options, appSpec(options.app, options))] : []),
        ],
      ),
    ],
  )
}

/** A separate fuse: trouble with a replica never spends the restarts of anything else. */
const replicationTree = ({ instance, followers }: TreeOptions): ChildSpec => {
  const names = treeNames(instance)
  const senders = followers.map((follower) =>
    worker(`replicator(${follower.index})`, Replicator.server, follower, {
      mailboxMax: Number.POSITIVE_INFINITY,
      name: Replicator.name(instance, follower.index),
    }),
  )
  const fuse = { strategy: 'one_for_one', intensity: 10, periodMs: 60_000 } as const
  const tree = supervisor(
    'replication',
    { ...fuse, name: names.replication, restart: 'transient' },
    senders,
  )
  // Senders that have spent their restarts, or were ended by hand, are seen in `health()`.
  return watched(tree, names.services, (_, { reason }) => {
    for (const follower of followers) follower.gaveUp(reason)
  })
}

const appSpec = (tree: AppTree, options: TreeOptions): ChildSpec =>
  wholeTree(tree, {
    app: options.appContext,
    mailboxMax: options.mailboxMax,
    startGate: storageGate(options),
  })

/** The user's tree is not started while the instance closes; `app.ready` learns of each start. */
const unlessClosing = (
  { isClosing, readiness, entities }: TreeOptions,
  spec: ChildSpec,
): ChildSpec => ({
  ...spec,
  start: async (context) => {
    if (isClosing()) return { ignore: true }
    const result = await spec.start(context)
    if (result.ok) readiness.treeStarted(result.ref)
    // Calls of other members wait for no part that has not come.
    if (result.ok) entities.woke()
    return result
  },
})

/**
 * Nothing below `app` starts while a shard recovers: a user's `init` may read and write. If the
 * supervisor of the shards ends, they stay closed, and a start that waits fails.
 */
const storageGate = ({ system, instance, shards }: TreeOptions): StartGate => {
  let settling: Promise<void> | undefined
  const settled = async (recovering: readonly Shard[]): Promise<void> => {
    let forget = (): void => undefined
    const ended = new Promise<never>((_, reject) => {
      forget = system.monitor(treeNames(instance).shards, () =>
        reject(recovering[0]?.unavailable()),
      )
    })
    await Promise.race([Promise.all(recovering.map((shard) => shard.settled())), ended])
    forget()
  }
  return () => {
    const recovering = shards.filter(({ phase }) => phase.kind === 'recovering')
    if (recovering.length === 0) return undefined
    settling ??= settled(recovering).finally(() => {
      settling = undefined
    })
    return settling
  }
}

// How a part comes back that is down, gave up or waits.

/**
 * Restarts the part if it is down; without a part whatever is down. Running parts are left alone.
 * @throws KeelsonError `SHARD_DOWN` when it is down again, with the reason as its cause;
 * `INVALID_ARGUMENT` for the replication of an instance without replicas
 */
const reopen = async (
  system: System,
  shard: ShardCore,
  part: Control.ReopenPart | undefined,
  followers: readonly Follower[],
): Promise<Control.Reopened> => {
  const reopened: Control.ReopenPart[] = []
  const isThere = (each: Control.ReopenPart) => each !== 'replication' || followers.length > 0
  for (const each of part ? [part] : Control.reopenParts.filter(isThere))
    if (await openers[each](system, shard, followers)) reopened.push(each)
  return { shard: shard.index, was: reopened.length > 0 ? 'down' : 'running', reopened }
}

/**
 * Opens a shard that has come to this member and was inspected. Resolves when it is open, or down.
 */
export const openArrived = async (system: System, shard: Shard): Promise<void> => {
  shard.arrive()
  const { shards } = treeNames(shard.parts.instance)
  await restarted(system, shards, `shard(${shard.index})`, shard)
  await shard.settled()
}

/** Ends the actors of a shard that is elsewhere from now on, and closes its files. */
export const endShard = async (system: System, shard: Shard): Promise<void> => {
  const names = treeNames(shard.parts.instance)
  await terminateChild(system.to(names.shards), `shard(${shard.index})`)
  await ended(system, names.shard(shard.index))
  await shard.depart()
}

/** Opens a part. True: it was down. */
type Opener = (system: System, shard: ShardCore, followers: readonly Follower[]) => Promise<boolean>

const openers: Record<Control.ReopenPart, Opener> = {
  shard: async (system, shard) => {
    const names = treeNames(shard.parts.instance)
    if (shard.phase.kind !== 'down') {
      // Another caller may be reopening it: this call waits for that result.
      if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
      return false
    }
    await ended(system, names.shard(shard.index))
    // Another caller may have asked at the same time.
    if (shard.phase.kind === 'down') {
      shard.clearDown()
      await restarted(system, names.shards, `shard(${shard.index})`, shard)
    }
    const phase = await shard.settled()
    if (phase.kind !== 'open') throw shard.unavailable()
    emit(system, shard, 'shard.reopened', {})
    return true
  },

  followers: async (system, shard) => {
    const names = treeNames(shard.parts.instance)
    if (system.whereis(names.followers(shard.index)) !== undefined) return false
    return restarted(system, names.shard(shard.index), `followers(${shard.index})`, shard)
  },

  replication: async (system, shard, followers) => {
    if (followers.length === 0)
      throw new KeelsonError('INVALID_ARGUMENT', 'nothing replicates: there is no replica')
    const names = treeNames(shard.parts.instance)
    const waited = followers.filter((follower) => follower.tryNow(shard))
    if (system.whereis(names.replication) !== undefined) return waited.length > 0
    return restarted(system, names.services, 'replication', shard)
  },
}

/**
 * A shard that has just gone down may still be stopping: the new actors must not meet the old ones.
 */
const ended = (system: System, name: Name<SupervisorMessages>): Promise<void> =>
  new Promise((resolve) => {
    system.monitor(name, () => resolve())
  })

/** Starts a child that still has its place. False: its supervisor had restarted it. */
const restarted = async (
  system: System,
  supervisor: Name<SupervisorMessages>,
  id: string,
  shard: ShardCore,
): Promise<boolean> => {
  const result = await restartChild(system.to(supervisor), id)
  if (result.ok) return true
  if (result.reason === 'running' || result.reason === 'restarting') return false
  throw new KeelsonError('SHARD_DOWN', `${id} cannot be started again`, {
    details: { shard: shard.index, state: 'down', reason: result.reason },
    cause: result.reason,
  })
}
