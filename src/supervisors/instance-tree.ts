/**
 * The supervision tree of an instance: supervisors, start order, restarts. Children start after the
 * ones that they depend on. Restart types make a shard go *down* alone: its writer is transient and
 * significant, so its end ends the shard; the shard is transient, so its end does not end its
 * siblings.
 */
import {
  Alarms,
  Applier,
  Batcher,
  BlobStore,
  Control,
  defaultInstance,
  type Entities,
  Expirer,
  instanceName,
  LmdbWriter,
  type Shard,
  shardName,
  tell,
  WalWriter,
} from '../actors/index.ts'
import { KeelsonError, reasonText } from '../errors.ts'
import {
  type ChildSpec,
  type ExitReason,
  type Name,
  name,
  type Ref,
  Registry,
  restartChild,
  type StartGate,
  type SupervisorMessages,
  type System,
  supervisor,
  whichChildren,
  worker,
} from '../runtime/index.ts'
import type { AppContext } from './app-context.ts'
import type { AppTree } from './app-tree.ts'
import { wholeTree } from './child-tree.ts'
import type { Readiness } from './readiness.ts'

/** The options of the tree. */
export type TreeOptions = {
  readonly system: System
  readonly instance: string
  readonly shards: readonly Shard[]
  readonly entities: Entities
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

/** The names of the supervisors. */
export const treeNames = (instance = defaultInstance) => ({
  root: instanceName<SupervisorMessages>('keelson', instance),
  shards: instanceName<SupervisorMessages>('shards', instance),
  registry: instanceName<Registry.Messages>('registry', instance),
  services: instanceName<SupervisorMessages>('services', instance),
  shard: (shard: number) => shardName<SupervisorMessages>('shard')(instance, shard),
  followers: (shard: number) => shardName<SupervisorMessages>('followers')(instance, shard),
})

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
        options.shards.map((shard) => unlessDown(shard, shardTree(shard, options))),
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
          ...(options.app ? [unlessClosing(options, appSpec(options.app, options))] : []),
        ],
      ),
    ],
  )
}

/** One shard: each child reads from the children above it. */
const shardTree = (shard: Shard, { instance, entities }: TreeOptions): ChildSpec => {
  const names = treeNames(instance)
  const { index } = shard
  // The gate admits their messages, and so bounds their mailboxes.
  const actor = { mailboxMax: Number.POSITIVE_INFINITY }
  return supervisor(
    `shard(${index})`,
    {
      name: names.shard(index),
      strategy: 'rest_for_one',
      intensity: 5,
      periodMs: 10_000,
      restart: 'transient',
      autoShutdown: 'any_significant',
    },
    inOrder(shard, [
      // Blobs are durable before anything refers to them. A stream in progress is abandoned when it
      // ends.
      worker(`blob_store(${index})`, BlobStore.server, shard, {
        ...actor,
        name: BlobStore.name(instance, index),
      }),
      worker(`wal_writer(${index})`, WalWriter.server, shard, {
        ...actor,
        name: WalWriter.name(instance, index),
        restart: 'transient',
        significant: true,
        // If it were killed during its clean close, the next opening would need a recovery.
        shutdown: 'infinity',
      }),
      worker(`applier(${index})`, Applier.server, shard, {
        ...actor,
        name: Applier.name(instance, index),
      }),
      worker(`batcher(${index})`, Batcher.server, shard, {
        ...actor,
        name: Batcher.name(instance, index),
      }),
      // A fuse of their own: their failures never spend the restarts of the log.
      supervisor(
        `followers(${index})`,
        {
          name: names.followers(index),
          strategy: 'one_for_one',
          intensity: 10,
          periodMs: 60_000,
          restart: 'transient',
        },
        [
          worker(`lmdb_writer(${index})`, LmdbWriter.server, shard, {
            ...actor,
            name: LmdbWriter.name(instance, index),
          }),
          worker(`expirer(${index})`, Expirer.server, shard, {
            ...actor,
            name: Expirer.name(instance, index),
          }),
          worker(
            `alarms(${index})`,
            Alarms.server,
            { shard, entities },
            { ...actor, name: Alarms.name(instance, index) },
          ),
        ],
      ),
    ]),
  )
}

/**
 * The children of a shard read from those before them. One that is started by hand while later ones
 * run ends them first, and their supervisor starts them again behind it.
 */
const inOrder = (shard: Shard, children: readonly ChildSpec[]): ChildSpec[] =>
  children.map((spec, at) => ({
    ...spec,
    start: async (context) => {
      const { system } = context
      const names = actorNames(shard)
      for (const later of names.slice(at + 1, children.length)) system.kill(later)
      // What a killed supervisor of followers left ends in its own time.
      await gone(system, names.slice(at + 1))
      return spec.start(context)
    },
  }))

/** The names of a shard's children in start order, then of those below its last child. */
const actorNames = ({ parts: { instance }, index }: Shard): Name[] => [
  ...[BlobStore, WalWriter, Applier, Batcher].map(({ name }) => name(instance, index)),
  treeNames(instance).followers(index),
  ...[LmdbWriter, Expirer, Alarms].map(({ name }) => name(instance, index)),
]

/**
 * A shard that is down is not restarted by a supervisor. Only `control.reopen` clears that and
 * tries again; or `restartChild`, if the shard was ended by hand.
 */
const unlessDown = (shard: Shard, spec: ChildSpec): ChildSpec => {
  let isByHand = false
  return {
    ...spec,
    start: async (context) => {
      const { system } = context
      const wasDown = shard.phase.kind === 'down'
      if (wasDown && !isByHand) return { ignore: true }
      isByHand = false
      shard.clearDown()
      // A killed supervisor leaves its writer to end later; a new writer must not meet it.
      const { shard: own } = treeNames(shard.parts.instance)
      await gone(system, [own(shard.index), ...actorNames(shard)])
      const result = await spec.start(context)
      if (result.ok)
        watch(system, shard, result.ref, () => {
          isByHand = true
        })
      if (wasDown)
        void shard.settled().then(({ kind }) => {
          if (kind === 'open') tell(system, shard, 'shard.reopened', {})
        })
      return result
    },
  }
}

/** Resolves when all of these names are free. */
const gone = async (system: System, names: readonly string[]): Promise<void> => {
  await Promise.all(
    names.map(
      (each) => new Promise<void>((resolve) => system.monitor(name(each), () => resolve())),
    ),
  )
}

/**
 * A shard supervisor has ended and was not restarted, and its writer gave no reason. It has spent
 * its restarts or was ended by hand. If the supervisor above ended it, the instance is ending or
 * restarts it: asked then, that supervisor is gone or reports it as running.
 */
const watch = (system: System, shard: Shard, ref: Ref, endedByHand: () => void): void => {
  const names = treeNames(shard.parts.instance)
  let hasGivenUp = false
  const onGaveUp = ({ pid }: { readonly pid: number }): void => {
    if (pid === ref.pid) hasGivenUp = true
  }
  const goDown = (reason: ExitReason): void => {
    if (!hasGivenUp) endedByHand()
    const told = hasGivenUp
      ? 'its supervisor has spent its restarts'
      : `its supervisor was ended: ${reasonText(reason)}`
    if (shard.goDown(told)) tell(system, shard, 'shard.down', { reason: told })
  }
  system.events.on('supervisor.gave_up', onGaveUp)
  system.monitor(ref, (reason) => {
    system.events.off('supervisor.gave_up', onGaveUp)
    // A shard that was down may be reopening by the time of the answer.
    if (shard.phase.kind === 'down') return
    whichChildren(system.to(names.shards)).then(
      (children) => {
        const child = children.find(({ id }) => id === `shard(${shard.index})`)
        if (child && child.ref === undefined && child.status === 'stopped') goDown(reason)
      },
      () => undefined,
    )
  })
}

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
 * supervisor of the shards ends, nobody opens them, and a start that waits fails.
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

// Reopens a shard that is down, or followers that gave up.

/**
 * Restarts the part if it is down. If it runs, it only says so.
 * @throws KeelsonError `SHARD_DOWN` when it is down again, with the reason as its cause
 */
export const reopen = async (
  system: System,
  shard: Shard,
  part: Control.ReopenPart,
): Promise<Control.Reopened> => {
  const names = treeNames(shard.parts.instance)
  const { index } = shard
  if (part === 'followers') {
    const runs = system.whereis(names.followers(index)) !== undefined
    if (runs) return { shard: index, part, was: 'running' }
    await restarted(system, names.shard(index), `followers(${index})`, shard)
    return { shard: index, part, was: 'down' }
  }
  if (shard.phase.kind !== 'down') {
    // Another caller may be reopening it: this call waits for that result.
    if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
    return { shard: index, part, was: 'running' }
  }
  await ended(system, names.shard(index))
  // Another caller may have asked at the same time.
  if (shard.phase.kind === 'down') {
    shard.clearDown()
    await restarted(system, names.shards, `shard(${index})`, shard)
  }
  const phase = await shard.settled()
  if (phase.kind !== 'open') throw shard.unavailable()
  tell(system, shard, 'shard.reopened', {})
  return { shard: index, part, was: 'down' }
}

/**
 * A shard that has just gone down may still be stopping: the new actors must not meet the old ones.
 */
const ended = (system: System, name: Name<SupervisorMessages>): Promise<void> =>
  new Promise((resolve) => {
    system.monitor(name, () => resolve())
  })

/** Starts a child that still has its place. */
const restarted = async (
  system: System,
  supervisor: Name<SupervisorMessages>,
  id: string,
  shard: Shard,
): Promise<void> => {
  const result = await restartChild(system.to(supervisor), id)
  // Its supervisor may have restarted it: this call waits for that result.
  if (result.ok || result.reason === 'running' || result.reason === 'restarting') return
  throw new KeelsonError('SHARD_DOWN', `${id} cannot be started again`, {
    details: { shard: shard.index, state: 'down', reason: result.reason },
    cause: result.reason,
  })
}
