/**
 * The supervision tree of one shard, and how it ends. Restart types make a shard go *down* alone:
 * its writer is transient and significant, so its end ends the shard; the shard is transient, so its
 * end does not end its siblings.
 */
import {
  Alarms,
  Applier,
  Batcher,
  BlobStore,
  defaultInstance,
  type Entities,
  Expirer,
  instanceName,
  JournalActor,
  LmdbWriter,
  type Shard,
  Snapshotter,
  shardName,
  tell,
  WalWriter,
} from '../../actors/index.ts'
import { reasonText } from '../../errors.ts'
import {
  type ChildSpec,
  type Name,
  name,
  type Ref,
  type Registry,
  type SupervisorMessages,
  type System,
  supervisor,
  whichChildren,
  worker,
} from '../../runtime/index.ts'

/** The names of the supervisors. */
export const treeNames = (instance = defaultInstance) => ({
  root: instanceName<SupervisorMessages>('keelson', instance),
  shards: instanceName<SupervisorMessages>('shards', instance),
  registry: instanceName<Registry.Messages>('registry', instance),
  services: instanceName<SupervisorMessages>('services', instance),
  replication: instanceName<SupervisorMessages>('replication', instance),
  shard: (shard: number) => shardName<SupervisorMessages>('shard')(instance, shard),
  followers: (shard: number) => shardName<SupervisorMessages>('followers')(instance, shard),
})

/** One shard: each child reads from the children above it. */
export const shardTree = (shard: Shard, entities: Entities): ChildSpec => {
  const { index } = shard
  const { instance } = shard.parts
  const names = treeNames(instance)
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
      worker(`journal(${index})`, JournalActor.server, shard, {
        ...actor,
        name: JournalActor.name(instance, index),
      }),
      watchedFollowers(shard, followersTree(shard, entities, actor)),
    ]),
  )
}

/** A fuse of their own: their failures never spend the restarts of the log. */
const followersTree = (
  shard: Shard,
  entities: Entities,
  actor: { readonly mailboxMax: number },
): ChildSpec => {
  const { index } = shard
  const { instance } = shard.parts
  return supervisor(
    `followers(${index})`,
    {
      name: treeNames(instance).followers(index),
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
      worker(`snapshotter(${index})`, Snapshotter.server, shard, {
        ...actor,
        name: Snapshotter.name(instance, index),
      }),
    ],
  )
}

/** Followers that have given up, or were ended by hand, leave the projection `DEGRADED`. */
const watchedFollowers = (shard: Shard, spec: ChildSpec): ChildSpec => ({
  ...spec,
  start: async (context) => {
    const { system } = context
    const names = treeNames(shard.parts.instance)
    const result = await spec.start(context)
    if (result.ok)
      onLeft(system, names.shard(shard.index), spec.id, result.ref, ({ told }) => {
        const change = shard.projection.giveUp(told)
        if (change) tell(system, shard, 'lmdb.mode', change)
      })
    return result
  },
})

/**
 * The children of a shard read from those before them. One that is started by hand while later ones
 * run ends them first, and their supervisor starts them again after it.
 */
const inOrder = (shard: Shard, children: readonly ChildSpec[]): ChildSpec[] =>
  children.map((spec, at) => ({
    ...spec,
    start: async (context) => {
      const { system } = context
      const names = actorNames(shard)
      for (const later of names.slice(at + 1, children.length)) system.kill(later)
      // The children of a killed supervisor of followers end in their own time.
      await gone(system, names.slice(at + 1))
      return spec.start(context)
    },
  }))

/** The names of a shard's children in start order, then of those below its last child. */
const actorNames = ({ parts: { instance }, index }: Shard): Name[] => [
  ...[BlobStore, WalWriter, Applier, Batcher, JournalActor].map(({ name }) =>
    name(instance, index),
  ),
  treeNames(instance).followers(index),
  ...[LmdbWriter, Expirer, Alarms, Snapshotter].map(({ name }) => name(instance, index)),
]

/**
 * A shard that is down is not restarted by a supervisor. Only `control.reopen` clears that and
 * tries again; or `restartChild`, if the shard was ended by hand.
 */
export const unlessDown = (shard: Shard, spec: ChildSpec): ChildSpec => {
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
 * A shard supervisor has ended and was not restarted, and its writer gave no reason: the shard is
 * down.
 */
const watch = (system: System, shard: Shard, ref: Ref, endedByHand: () => void): void => {
  const { shards } = treeNames(shard.parts.instance)
  let wasDown = false
  system.monitor(ref, () => {
    wasDown = shard.phase.kind === 'down'
  })
  onLeft(system, shards, `shard(${shard.index})`, ref, ({ told, byHand }) => {
    // A shard that was down may be reopening by now: it must not go down again for its old end.
    if (wasDown || shard.phase.kind === 'down') return
    if (byHand) endedByHand()
    if (shard.goDown(told)) tell(system, shard, 'shard.down', { reason: told })
  })
}

/** Why a supervisor stays away. */
type Left = { readonly told: string; readonly byHand: boolean }

/**
 * Calls `left` when the supervisor `ref` has ended, and the one above leaves its child `id` so. It
 * has spent its restarts or was ended by hand. If the supervisor above ended it, it is ending itself
 * or restarts it: asked then, that supervisor is gone or reports the child as running.
 */
export const onLeft = (
  system: System,
  above: Name<SupervisorMessages>,
  id: string,
  ref: Ref,
  left: (why: Left) => void,
): void => {
  let hasGivenUp = false
  const onGaveUp = ({ pid }: { readonly pid: number }): void => {
    if (pid === ref.pid) hasGivenUp = true
  }
  system.events.on('supervisor.gave_up', onGaveUp)
  system.monitor(ref, (reason) => {
    system.events.off('supervisor.gave_up', onGaveUp)
    whichChildren(system.to(above)).then(
      (children) => {
        const child = children.find((each) => each.id === id)
        if (!child || child.ref !== undefined || child.status !== 'stopped') return
        const told = hasGivenUp
          ? 'its supervisor has spent its restarts'
          : `its supervisor was ended: ${reasonText(reason)}`
        left({ told, byHand: !hasGivenUp })
      },
      () => undefined,
    )
  })
}
