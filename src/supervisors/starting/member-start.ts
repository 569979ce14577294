/**
 * Starts an instance as a member of a cluster. It connects to the engine, waits until no other
 * member owns the instance, and starts it over the engine's logs. If it is replaced before,
 * it waits again. A running instance that is replaced ends: its user starts it again, as a standby.
 */
import { resolve } from 'node:path'
import { isAway } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { configError, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import { stopProcess } from '../../runtime/index.ts'
import {
  type Directory,
  loadSharedStorage,
  type SharedSession,
  type SharedStorage,
} from '../../storage/index.ts'
import type { App } from '../app/app.ts'
import type { ClusterHealth } from '../app/cluster-health.ts'
import { treeNames } from '../tree/shard-tree.ts'
import type { Cluster } from './cluster-options.ts'
import { startInstance } from './instance.ts'
import type { InstanceOwnership, Ports } from './machine-ports.ts'
import { membershipOf, ownersPorts } from './member-ports.ts'
import { lapsedLease, lostLease, Ownership } from './ownership.ts'
import { followUntil } from './standby.ts'
import type { CheckedOptions } from './start-options.ts'

type Calls = InstanceType<SharedStorage['EngineCalls']>

/**
 * Starts the instance of a cluster with the result of `loadedOptions`. Resolves when this member
 * owns it, and every read is right.
 * @throws KeelsonError as `startInstance`; `CONFIG` if the engine does not keep what it
 * acknowledges, or the cluster has another number of shards; `CLOSED` when `signal` was aborted
 */
export const startMember = async (
  options: CheckedOptions,
  cluster: Cluster,
  ports: Ports,
): Promise<App> => {
  const storage = await loadSharedStorage()
  const calls = new storage.EngineCalls(ports.clock)
  const waitsFor = waiting(options)
  const abort = (): void => void calls.end(new KeelsonError('CLOSED', 'the start was aborted'))
  // A start that waits for an engine may have no connection that would hold the process.
  const letEnd = ports.clock.after(Number.POSITIVE_INFINITY, () => undefined)
  cluster.signal?.addEventListener('abort', abort)
  if (cluster.signal?.aborted) abort()
  try {
    for (;;) {
      const app = await attempt({ options, cluster, ports, storage, calls, waitsFor })
      if (app) return app
    }
  } finally {
    letEnd()
    cluster.signal?.removeEventListener('abort', abort)
  }
}

type Parts = {
  readonly options: CheckedOptions
  readonly cluster: Cluster
  readonly ports: Ports
  readonly storage: SharedStorage
  /** The calls of the start. Aborting it ends them. */
  readonly calls: Calls
  readonly waitsFor: (detail: string) => void
}

/** Reports each change of the reason why a start waits. */
const waiting = ({ onProgress }: CheckedOptions): ((detail: string) => void) => {
  let last: string | undefined
  return (detail) => {
    if (detail === last) return
    last = detail
    onProgress({ step: 'waiting', detail })
  }
}

/** Waits for the ownership and starts the instance. `undefined`: it was replaced before. */
const attempt = async (parts: Parts): Promise<App | undefined> => {
  const { options, cluster, ports, calls, waitsFor } = parts
  const session = await connected(cluster, calls, waitsFor)
  try {
    await clocksAgree(session, ports.clock, calls, waitsFor)
    const shards = await shardCount(session.directory, calls, options.shards)
    return await startedOn(session, { ...parts, options: { ...options, shards } })
  } catch (error) {
    await session.close()
    if (!isOutrun(error)) throw error
    waitsFor(reasonText(error))
    return undefined
  }
}

/** Whether a start failed because the engine was away, or another member was faster. */
const isOutrun = (error: unknown): boolean =>
  isAway(error) ||
  isKeelsonError(error, 'FENCED') ||
  // It has made the log since this one looked.
  (isKeelsonError(error, 'CONFLICT') && error.details.lsn !== undefined)

const startedOn = async (
  session: SharedSession,
  parts: Parts & { readonly options: { readonly shards: number } },
): Promise<App> => {
  const { options, cluster, ports, storage, calls } = parts
  const { member, leaseMs, name, engine } = cluster
  const ownership = new Ownership(storage, {
    ...{ directory: session.directory, clock: ports.clock, member, leaseMs },
    onWait: (owner) => options.onProgress({ step: 'standby', detail: waitText(owner, cluster) }),
  })
  const instanceOwnership: InstanceOwnership = {
    isOwner: () => ownership.isOwner,
    health: () => healthOf(cluster, ownership),
    release: async () => {
      await ownership.close()
      await session.close()
    },
  }
  const origin = { cluster: name, engine: engine.description }
  const dir = resolve(options.dir)
  const membership = membershipOf({ storage, session, leaseMs, origin, dir })
  try {
    const turn = calls.ask(() => ownership.owned())
    await followUntil(turn, { options, ports, membership }, leaseMs)
    const app = await startInstance(options, {
      ...ownersPorts(ports, membership, ownership),
      ownership: instanceOwnership,
    })
    endWith(ownership, app)
    return app
  } catch (error) {
    await ownership.close()
    throw error
  }
}

const healthOf = (
  { name, member, engine, copies, leaseMs }: Cluster,
  { phase, epoch, leftMs }: Ownership,
): ClusterHealth => ({
  ...{ name, member, engine: engine.description, copies, leaseMs, leftMs, epoch },
  // A running instance was the owner.
  phase: phase === 'standby' ? 'ended' : phase,
})

const waitText = (owner: string, { name, member }: Cluster): string =>
  owner === member
    ? `another start of the member ${member} has its name`
    : `the member ${owner} owns ${name}`

/**
 * Ends the instance at once when another member may own it: no drain could do anything more. Its
 * `closed` resolves with `['shutdown', error]`, where the error is `FENCED`.
 */
const endWith = (ownership: Ownership, app: App): void => {
  const { root: name } = treeNames(app.instance)
  const root = app.system.whereis(name)
  const end = (error: unknown): void => {
    // The root may have ended by itself.
    if (root) stopProcess(root, ['shutdown', error]).catch(() => undefined)
  }
  const isFenced = (reason: unknown): boolean => isKeelsonError(reason, 'FENCED')
  app.events.on('shard.down', ({ instance, reason }) => {
    if (instance === app.instance && isFenced(reason)) end(reason)
  })
  ownership.listen((phase) => {
    tellPhase(app)
    if (phase === 'ended') end(lostLease())
    if (phase === 'unsure') app.entities.work.lapse(lapsedLease())
  })
  const fenced = app.shards.find(({ phase }) => phase.kind === 'down' && isFenced(phase.reason))
  if (fenced || ownership.phase === 'ended') end(lostLease())
}

const tellPhase = ({ events, system, health, instance }: App): void => {
  if (events.listenerCount('cluster.phase') === 0) return
  const { cluster } = health()
  if (!cluster) return
  const { member, phase, epoch } = cluster
  const bus = events as unknown as { emit(name: string, told: object): void }
  bus.emit('cluster.phase', { at: system.clock.now(), instance, member, phase, epoch })
}

/** A session with the engine, however long that takes. */
const connected = (
  { name, engine, copies }: Cluster,
  calls: Calls,
  waitsFor: Parts['waitsFor'],
): Promise<SharedSession> =>
  calls.ask(async () => {
    try {
      return await engine.open({ cluster: name, copies })
    } catch (error) {
      if (isKeelsonError(error, 'UNKNOWN_OUTCOME'))
        waitsFor(`${engine.description}: ${reasonText(error)}`)
      throw error
    }
  })

/** A clock that differs by more would decide times to live, locks and alarms wrongly. */
const clockOffMaxMs = 10_000

/** Waits until the clock of this machine agrees with that of the engine. */
const clocksAgree = (
  session: SharedSession,
  clock: Clock,
  calls: Calls,
  waitsFor: Parts['waitsFor'],
): Promise<void> =>
  calls.ask(async () => {
    const before = clock.now()
    const there = await session.now()
    const aheadMs = Math.max(before - there, 0) || Math.min(clock.now() - there, 0)
    if (Math.abs(aheadMs) <= clockOffMaxMs) return
    const seconds = Math.round(Math.abs(aheadMs) / 1_000)
    const detail = `the clock of this machine is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the engine's`
    waitsFor(detail)
    throw new KeelsonError('UNKNOWN_OUTCOME', detail)
  })

/** The entry of the directory that says what all members have in common. */
const instanceEntry = 'instance'

/**
 * The number of shards of the cluster. The first member decides it.
 * @throws KeelsonError `CONFIG` for another number
 */
const shardCount = async (
  directory: Directory,
  calls: Calls,
  wanted: number | undefined,
): Promise<number> => {
  for (;;) {
    const { entries } = await calls.ask(() => directory.view())
    const entry = entries.get(instanceEntry)
    if (entry) {
      const { shards } = JSON.parse(entry.value) as { readonly shards: number }
      if (wanted !== undefined && wanted !== shards)
        throw configError('shards', `${shards}, as the cluster was made with`, wanted)
      return shards
    }
    try {
      const value = JSON.stringify({ shards: wanted ?? 1 })
      await calls.ask(() => directory.set(instanceEntry, 0, value))
    } catch (error) {
      // Another member was first, or an earlier attempt without an answer was.
      if (!isKeelsonError(error, 'CONFLICT')) throw error
    }
  }
}
