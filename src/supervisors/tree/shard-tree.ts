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
  emit,
  instanceName,
  JournalActor,
  LmdbWriter,
  Snapshotter,
  shardName,
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
import type { Shard } from './shard.ts'

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

/**
 * The actors in a shard's tree by its form, in start order. `chain`: each reads from those before
 * it. The owner of a shard has all of them. A follower, whose log another member writes, begins
 * nothing by itself: it delivers no entry, expires no row, fires no alarm, and makes no snapshot.
 */
export const shardForms = {
  owner: {
    chain: ['blob_store', 'wal_writer', 'applier', 'batcher', 'journal'],
    followers: ['lmdb_writer', 'expirer', 'alarms', 'snapshotter'],
  },
  follower: {
    chain: ['blob_store', 'wal_writer', 'applier', 'batcher'],
    followers: ['lmdb_writer'],
  },
} as const

/** A form of a shard's tree. */
export type ShardForm = keyof typeof shardForms

type ActorName = (typeof shardForms)['owner']['chain' | 'followers'][number]

type ActorOptions = { readonly name: Name<never>; readonly mailboxMax: number }

const specs: Record<
  ActorName,
  (id: string, shard: Shard, options: ActorOptions, entities: Entities) => ChildSpec
> = {
  // Blobs are durable before anything refers to them. A stream in progress is abandoned when it
  // ends.
  blob_store: (id, shard, options) => worker(id, BlobStore.server, shard, options),
  wal_writer: (id, shard, options) =>
    worker(id, WalWriter.server, shard, {
      ...options,
      restart: 'transient',
      significant: true,
      // If it were killed during its clean close, the next opening would need a recovery.
      shutdown: 'infinity',
    }),
  applier: (id, shard, options) => worker(id, Applier.server, shard, options),
  batcher: (id, shard, options) => worker(id, Batcher.server, shard, options),
  journal: (id, shard, options) => worker(id, JournalActor.server, shard, options),
  lmdb_writer: (id, shard, options) => worker(id, LmdbWriter.server, shard, options),
  expirer: (id, shard, options) => worker(id, Expirer.server, shard, options),
  alarms: (id, shard, options, entities) => worker(id, Alarms.server, { shard, entities }, options),
  snapshotter: (id, shard, options) => worker(id, Snapshotter.server, shard, options),
}

const nameOf = (shard: Shard, actor: ActorName): Name<never> =>
  shardName<never>(actor)(shard.parts.instance, shard.index)

const specOf = (actor: ActorName, shard: Shard, entities: Entities): ChildSpec => {
  // The gate admits their messages, and so bounds their mailboxes.
  const options = { name: nameOf(shard, actor), mailboxMax: Number.POSITIVE_INFINITY }
  return specs[actor](`${actor}(${shard.index})`, shard, options, entities)
}

/** The tree of one shard. */
export const shardTree = (shard: Shard, entities: Entities, form: ShardForm): ChildSpec => {
  const { index } = shard
  const names = treeNames(shard.parts.instance)
  const { chain, followers } = shardForms[form]
  const below = supervisor(
    `followers(${index})`,
    {
      name: names.followers(index),
      strategy: 'one_for_one',
      // A fuse of their own: their failures never spend the restarts of the log.
      intensity: 10,
      periodMs: 60_000,
      restart: 'transient',
    },
    followers.map((actor) => specOf(actor, shard, entities)),
  )
  const children = [
    ...chain.map((actor) => specOf(actor, shard, entities)),
    // Followers that have given up, or were ended by hand, leave the projection `DEGRADED`.
    watched(below, names.shard(index), (system, { reason }) => {
      const change = shard.projection.giveUp(reason)
      if (change) emit(system, shard, 'lmdb.mode', change)
    }),
  ]
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
    inOrder(actorNames(shard, form), children),
  )
}

/**
 * The children of a shard read from those before them. One that is started by hand while later ones
 * run ends them first, and their supervisor starts them again after it.
 */
const inOrder = (names: readonly Name[], children: readonly ChildSpec[]): ChildSpec[] =>
  children.map((spec, at) => ({
    ...spec,
    start: async (context) => {
      const { system } = context
      for (const later of names.slice(at + 1, children.length)) system.kill(later)
      // The children of a killed supervisor of followers end in their own time.
      await gone(system, names.slice(at + 1))
      return spec.start(context)
    },
  }))

/** The names of a shard's children in start order, then of those below its last child. */
const actorNames = (shard: Shard, form: ShardForm): Name[] => [
  ...shardForms[form].chain.map((actor) => nameOf(shard, actor)),
  treeNames(shard.parts.instance).followers(shard.index),
  ...shardForms[form].followers.map((actor) => nameOf(shard, actor)),
]

/**
 * A shard that is down is not restarted by a supervisor, and one that is elsewhere is not started. Only `control.reopen` clears that and
 * tries again; or `restartChild`, if the shard was ended by hand.
 */
export const unlessDown = (shard: Shard, spec: ChildSpec): ChildSpec => {
  let isByHand = false
  return {
    ...spec,
    start: async (context) => {
      const { system } = context
      const wasDown = shard.phase.kind === 'down'
      if ((wasDown && !isByHand) || shard.phase.kind === 'elsewhere') return { ignore: true }
      isByHand = false
      shard.clearDown()
      // A killed supervisor leaves its writer to end later; a new writer must not meet it.
      const { shard: own } = treeNames(shard.parts.instance)
      await gone(system, [own(shard.index), ...actorNames(shard, 'owner')])
      const result = await spec.start(context)
      if (result.ok)
        watch(system, shard, result.ref, () => {
          isByHand = true
        })
      if (wasDown)
        void shard.settled().then(({ kind }) => {
          if (kind === 'open') emit(system, shard, 'shard.reopened', {})
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
  let isKnown = false
  system.monitor(ref, () => {
    isKnown = shard.phase.kind === 'down' || shard.phase.kind === 'elsewhere'
  })
  onLeft(system, shards, `shard(${shard.index})`, ref, ({ reason, byHand }) => {
    // A shard that was down may be reopening by now, and one that was elsewhere may have come back: it
    // must not go down for its old end.
    if (isKnown || shard.phase.kind === 'down') return
    if (byHand) endedByHand()
    if (shard.goDown(reason)) emit(system, shard, 'shard.down', { reason: reason })
  })
}

/** Why a supervisor stays away. */
type Left = { readonly reason: string; readonly byHand: boolean }

/** The supervisor `spec` below `above`, and `left` for each time that it stays away. */
export const watched = (
  spec: ChildSpec,
  above: Name<SupervisorMessages>,
  left: (system: System, why: Left) => void,
): ChildSpec => ({
  ...spec,
  start: async (context) => {
    const { system } = context
    const result = await spec.start(context)
    if (result.ok) onLeft(system, above, spec.id, result.ref, (why) => left(system, why))
    return result
  },
})

/**
 * Calls `left` when the supervisor `ref` has ended, and the one above leaves its child `id` so. It
 * has spent its restarts or was ended by hand. If the supervisor above ended it, it is ending itself
 * or restarts it: asked then, that supervisor is gone or reports the child as running.
 */
const onLeft = (
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
        const why = hasGivenUp
          ? 'its supervisor has spent its restarts'
          : `its supervisor was ended: ${reasonText(reason)}`
        left({ reason: why, byHand: !hasGivenUp })
      },
      () => undefined,
    )
  })
}
