/**
 * The supervision tree of an instance: its supervisors and their start order. Children start after
 * the ones that they depend on. The tree of one shard is in `shard-tree.ts`.
 */
import { Control, type Entities, type Follower, Replicator, type Shard } from '../actors/index.ts'
import {
  type ChildSpec,
  Registry,
  type StartGate,
  type System,
  supervisor,
  worker,
} from '../runtime/index.ts'
import type { AppContext } from './app-context.ts'
import type { AppTree } from './app-tree.ts'
import { wholeTree } from './child-tree.ts'
import type { Readiness } from './readiness.ts'
import { shardTree, treeNames, unlessDown } from './shard-tree.ts'

/** The options of the tree. */
export type TreeOptions = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly Shard[]
  readonly entities: Entities
  readonly followers: readonly Follower[]
  readonly mailboxMax: number
  /** The user's tree with its modules loaded, and its `context.app`. */
  readonly app: AppTree | undefined
  readonly appContext: AppContext
  /** Whether the user's tree must not start, because the instance ends. */
  readonly isClosing: () => boolean
  /** Told when the user's tree has started. */
  readonly readiness: Readiness
  readonly reopen: Control.Options['reopen']
}

/** The whole tree of an instance. */
export const instanceTree = (options: TreeOptions): ChildSpec => {
  const names = treeNames(options.instance)
  const controlOptions = { shards: options.shards, reopen: options.reopen }
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
        options.shards.map((shard) => unlessDown(shard, shardTree(shard, options.entities))),
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
          ...(options.followers.length > 0 ? [replicationTree(options)] : []),
          ...(options.app ? [unlessClosing(options, appSpec(options.app, options))] : []),
        ],
      ),
    ],
  )
}

/** A fuse of its own: trouble with a replica never spends the restarts of anything else. */
const replicationTree = ({ instance, followers }: TreeOptions): ChildSpec =>
  supervisor(
    'replication',
    {
      name: treeNames(instance).replication,
      strategy: 'one_for_one',
      intensity: 10,
      periodMs: 60_000,
      restart: 'transient',
    },
    followers.map((follower) =>
      worker(`replicator(${follower.index})`, Replicator.server, follower, {
        mailboxMax: Number.POSITIVE_INFINITY,
        name: Replicator.name(instance, follower.index),
      }),
    ),
  )

const appSpec = (tree: AppTree, options: TreeOptions): ChildSpec =>
  wholeTree(tree, {
    app: options.appContext,
    mailboxMax: options.mailboxMax,
    startGate: storageGate(options),
  })

/** The user's tree is not started while the instance closes; `app.ready` learns of each start. */
const unlessClosing = ({ isClosing, readiness }: TreeOptions, spec: ChildSpec): ChildSpec => ({
  ...spec,
  start: async (context) => {
    if (isClosing()) return { ignore: true }
    const result = await spec.start(context)
    if (result.ok) readiness.treeStarted(result.ref)
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
