/**
 * Starts an instance as a member of a cluster. It connects to the engine, waits until no other
 * member owns the instance, and starts it over the engine's logs. If it is replaced before,
 * it waits again. A running instance that is replaced ends: its user starts it again, as a standby.
 */
import { setMaxListeners } from 'node:events'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { isAway, isLoss, type StorageEvents } from '../../actors/index.ts'
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, keptError, reasonText } from '../../errors.ts'
import { stopProcess } from '../../runtime/index.ts'
import {
  addressText,
  type CacheOrigin,
  type EngineSession,
  knownFeatures,
} from '../../storage/index.ts'
import {
  type App,
  type CheckedOptions,
  type Cluster,
  type ClusterHealth,
  claimFolder,
  innerParts,
  startInstance,
  treeNames,
} from '../../supervisors/index.ts'
import { type EngineStorage, loadEngineStorage } from '../cluster/engine-loading.ts'
import type { ClusterTerms } from '../leases/cluster-directory.ts'
import type { LeasePhase, LeaseWords, MemberAbout } from '../leases/member-lease.ts'
import { tellLastEnd } from '../sharing/engine-notes.ts'
import { EngineShares } from '../sharing/engine-shares.ts'
import { FeatureSwitch } from '../sharing/feature-switch.ts'
import { LossWitness, lostShard } from '../sharing/loss-witness.ts'
import { agreedTerms, clocksAgree, connected } from './cluster-session.ts'
import type { MemberPorts } from './folder-ports.ts'
import { logsOf, type Membership, membershipOf, ownersPorts } from './member-ports.ts'
import { lapsedLease, lostLease, Ownership } from './ownership.ts'
import { notesParts, spreadPart } from './spread-part.ts'
import { followUntil } from './standby.ts'

/** A shard is taken or given within this time, in ms, also with a long lease. */
const sharesMs = 5_000

type Calls = InstanceType<EngineStorage['EngineCalls']>

/**
 * Starts the instance of a cluster with the result of `loadedOptions`. Resolves when this member
 * owns it, and every read is right. A member that the engine has served once, such as a standby,
 * waits for what a person must mend.
 * @throws KeelsonError as `startInstance`; `CONFIG` if the engine does not keep what it
 * acknowledges, or the cluster has another number of shards; `CLOSED` when `signal` was aborted
 */
export const startMember = async (
  options: CheckedOptions,
  cluster: Cluster,
  ports: MemberPorts,
): Promise<App> => {
  const storage = await loadEngineStorage()
  const wait = new EngineWait({
    clock: ports.clock,
    limitMs: cluster.startTimeoutMs,
    onReason: (detail) => options.onProgress({ step: 'waiting', detail }),
  })
  const { description } = cluster.engine
  const calls = new storage.EngineCalls(ports.clock, {
    mayRefuse: () => !wait.isServed,
    onSilence: (error) => wait.because(`${description}: ${reasonText(error)}`),
  })
  wait.onLimit = (error) => void calls.end(error)
  const abort = (): void => void calls.end(aborted())
  // A start that waits for an engine may have no connection that would hold the process.
  const letEnd = ports.clock.after(Number.POSITIVE_INFINITY, () => undefined)
  cluster.signal?.addEventListener('abort', abort)
  if (cluster.signal?.aborted) abort()
  try {
    for (;;) {
      wait.begin()
      const app = await attempt({ options, cluster, ports, storage, calls, wait })
      if (app) return app
    }
  } finally {
    wait.close()
    letEnd()
    cluster.signal?.removeEventListener('abort', abort)
  }
}

type Parts = {
  readonly options: CheckedOptions
  readonly cluster: Cluster
  readonly ports: MemberPorts
  readonly storage: EngineStorage
  /** The calls of the start. Aborting it ends them. */
  readonly calls: Calls
  readonly wait: EngineWait
}

/** Waits for the ownership and starts the instance. `undefined`: it was replaced before. */
const attempt = async (parts: Parts): Promise<App | undefined> => {
  const { options, cluster, ports, storage, calls, wait } = parts
  const session = await connected(cluster, calls)
  try {
    await clocksAgree(session, ports.clock, calls)
    const { directory } = session
    const logOf = logsOf(session)
    const { copies, placement } = cluster
    const wanted = { shards: options.shards, copies, placement }
    const terms = await agreedTerms({ storage, directory, calls }, wanted, (shards) =>
      storage.makeLogs(logOf, ports.clock, shards),
    )
    wait.served()
    return await startedOn(session, logOf, terms, parts)
  } catch (error) {
    await session.close()
    if (!isOutrun(error)) throw error
    wait.because(outrunText(error))
    return undefined
  }
}

/** Whether a start failed because the engine was away, or another member was faster. */
const isOutrun = (error: unknown): boolean => isAway(error) || isKeelsonError(error, 'FENCED')

/** With the reason why the engine gave no answer, such as too many connections of a role. */
const outrunText = (error: unknown): string =>
  isAway(error) && error.cause !== undefined
    ? `${reasonText(error)}: ${keptError(error.cause).message}`
    : reasonText(error)

const startedOn = async (
  session: EngineSession,
  logOf: Membership['logOf'],
  { shards, losses }: ClusterTerms,
  parts: Parts,
): Promise<App> => {
  const { cluster, ports, storage, calls, wait } = parts
  const { readsFeatures: reads = knownFeatures } = ports
  const { member, leaseMs, name, engine, listen, advertise = listen, placement } = cluster
  const isSpread = placement === 'spread'
  const { directory } = session
  const options = { ...parts.options, shards }
  const origin = { cluster: name, engine: engine.description, ...(losses > 0 && { losses }) }
  const dir = resolve(options.dir)
  tryFolder(options, ports, dir, origin)
  const abandoned = new AbortController()
  // Each shard listens. Node warns of a leak from the eleventh listener on.
  setMaxListeners(0, abandoned.signal)
  const giveUp = (reason: KeelsonError): void => {
    calls.end(reason)
    abandoned.abort(reason)
  }
  const abort = (): void => giveUp(aborted())
  cluster.signal?.addEventListener('abort', abort)
  wait.onLimit = giveUp
  let isStarting = true
  let waits = (): void => undefined
  const waiting = new Promise<void>((resolve) => {
    waits = resolve
  })
  const reportStandby = (detail: string): void => options.onProgress({ step: 'standby', detail })
  const running = new RunningMember(ports.clock, giveUp)
  const notes = new Set<Promise<void>>()
  const noteLoss = (shard: number, error: KeelsonError): Promise<void> => {
    const note = witness.found(shard, error).finally(() => notes.delete(note))
    notes.add(note)
    return note
  }
  /** A note is in the engine before the shards are free: the next owner would serve a log that lacks writes. */
  const areNoted = (): Promise<void> => {
    if (notes.size === 0) return Promise.resolve()
    return new Promise<void>((resolve) => {
      // The engine may be away.
      const cancel = ports.clock.after(leaseMs, resolve)
      void Promise.all(notes).then(() => {
        cancel()
        resolve()
      })
    })
  }
  const onLoss = (error: KeelsonError): void => {
    if (typeof error.details.shard === 'number') void noteLoss(error.details.shard, error)
    running.end(error)
  }
  const ownership = new Ownership(storage, {
    directory,
    clock: ports.clock,
    member,
    leaseMs,
    about: { ...aboutThis(ports.clock), ...(advertise && { listen: addressText(advertise) }) },
    says: () => running.words,
    isSpread,
    readsFirst: !isSpread,
    reads,
    onWait: (owner) => {
      reportStandby(waitText(owner, cluster))
      waits()
    },
    onFailure: (error) => {
      // A damaged directory does not show who owns.
      if (isKeelsonError(error, 'CORRUPT')) running.end(error)
      else if (isStarting) wait.because(reasonText(error))
      else if (ownership.phase === 'unsure') running.waits.because(reasonText(error))
    },
    onView: (view) => {
      wait.end()
      const { members, losses } = storage.directory.factsIn(view)
      const own = members.find(({ incarnation }) => incarnation === ownership.incarnation)
      if (own?.isLeaving) running.leave(new KeelsonError('CLOSED', 'the member is asked to leave'))
      if (losses[0]) running.end(lostShard(losses[0]))
      features.saw(view)
      if (isSpread) shares.saw(view)
      // The engine may be away: the next view has the entry, too.
      witness.judge(view).catch((error) => isLoss(error) && running.end(error))
    },
  })
  const incarnation = (): string => ownership.incarnation
  const features: FeatureSwitch = new FeatureSwitch({
    features: storage.features,
    directory,
    calls,
    incarnation,
    reads,
    clock: ports.clock,
    leaseMs,
  })
  const shares: EngineShares = new EngineShares({
    holds: storage.holds,
    directory,
    calls,
    clock: ports.clock,
    member,
    shards,
    incarnation,
    patienceMs: Math.min(leaseMs, sharesMs),
  })
  const witness: LossWitness = new LossWitness({
    storage,
    directory,
    calls,
    clock: ports.clock,
    member,
    logOf,
    features: { reads },
    owns: (shard) => (isSpread ? shares.own.has(shard) : ownership.isOwner),
    onRefuted: ({ shard, member, message }) =>
      options.onProgress({
        step: 'standby',
        detail: `the log of shard ${shard} is sound; the member ${member} had read: ${message}`,
      }),
  })
  const membership = membershipOf(ports, {
    storage,
    session,
    logOf,
    leaseMs,
    origin,
    dir,
    features,
    abandoned: abandoned.signal,
  })
  try {
    if (isSpread) await tellLastEnd(notesParts({ cluster, ports, membership, calls }))
    const turn = calls.ask(() => ownership.owned())
    const onRead = (): void => {
      ownership.ready()
      reportStandby(`it has read the logs of ${name}, and may take over`)
    }
    const standby = { options, ports, membership, waits: waiting, onRead }
    await (isSpread ? turn : followUntil(turn, standby, leaseMs))
    await features.join()
    // Before anything is served. With shards that are shared, each view is judged.
    if (!isSpread) await witness.judge(await calls.ask(() => directory.view()))
    const shared =
      isSpread && (await spreadPart({ options, cluster, ports, membership, shares, calls, onLoss }))
    const app = await startInstance(options, {
      ...ownersPorts(ports, membership, ownership),
      ...(shared && { shared }),
      ownership: {
        isOwner: () => ownership.isOwner,
        health: () => healthOf(cluster, ownership, shared ? shared.follows?.() : undefined),
        release: async () => {
          await areNoted()
          await ownership.close()
          await session.close()
        },
      },
    })
    isStarting = false
    running.began(app, ownership, (shard, error) => void noteLoss(shard, error))
    return app
  } catch (error) {
    if (isLoss(error) && typeof error.details.shard === 'number')
      await noteLoss(error.details.shard, error)
    isStarting = false
    await ownership.close()
    throw error
  } finally {
    cluster.signal?.removeEventListener('abort', abort)
  }
}

const aborted = (): KeelsonError => new KeelsonError('CLOSED', 'the start was aborted')

/**
 * Refuses a folder that cannot be the cache, before the member waits: it would find out when its
 * turn has come, and nobody would own the instance then. @throws KeelsonError as `claimFolder`
 */
const tryFolder = (
  { instance, shards }: CheckedOptions,
  { disk, clock }: MemberPorts,
  dir: string,
  cache: CacheOrigin,
): void => {
  const claim = claimFolder({ disk, clock, dir, instance, shards, cache })
  claim.undo()
  claim.release()
}

/** For people who look at the directory. */
const aboutThis = (clock: Clock): MemberAbout => ({
  host: hostname(),
  pid: process.pid,
  since: clock.now(),
})

const healthOf = (
  { name, member, engine, copies, leaseMs }: Cluster,
  { phase, since, epoch, leftMs, failure }: Ownership,
  follows: ClusterHealth['follows'],
): ClusterHealth => ({
  name,
  member,
  engine: engine.description,
  copies,
  leaseMs,
  leftMs,
  epoch,
  since,
  // A running instance was the owner.
  phase: phase === 'standby' ? 'ended' : phase,
  ...(follows && { follows }),
  ...(failure !== undefined && { reason: reasonText(failure) }),
})

const waitText = (owner: string | undefined, { name, member }: Cluster): string => {
  if (owner === undefined) return `nobody owns ${name}, and it reads the logs first`
  if (owner === member) return `another start of the member ${member} has its name`
  return `the member ${owner} owns ${name}`
}

/** The instance of a member, from its start on. */
export class RunningMember {
  /** The wait for an engine that does not renew the lease. */
  readonly waits: EngineWait
  /** Ends the start while there is no instance. */
  readonly #giveUp: (reason: KeelsonError) => void
  #app: App | undefined
  #ended: KeelsonError | undefined

  constructor(clock: Clock, giveUp: (reason: KeelsonError) => void) {
    this.#giveUp = giveUp
    const onReason = (reason: string): void => this.#app && logWait(this.#app, reason)
    this.waits = new EngineWait({ clock, onReason })
  }

  /** Its words to other machines. A shard that is down stays here: nobody takes over by itself. */
  get words(): LeaseWords {
    if (!this.#app) return {}
    const { shards } = this.#app
    const { way, cluster, readiness } = this.#app[innerParts]
    const down = shards.filter(({ phase }) => phase.kind === 'down').map(({ index }) => index)
    const follows = cluster?.().follows
    return {
      ...(down.length > 0 && { down }),
      ...(follows && { follows }),
      ...(readiness.state === 'closing' && { closes: true }),
      ...(way && { links: way.others.filter((member) => way.isLinked(member)) }),
    }
  }

  /** The instance runs. `noteLoss`: its engine has lost acknowledged writes of a shard. */
  began(
    app: App,
    ownership: Ownership,
    noteLoss: (shard: number, error: KeelsonError) => void,
  ): void {
    this.#app = app
    const downFor = (shard: number, reason: unknown): void => {
      if (isLoss(reason)) noteLoss(shard, reason)
      if (isLoss(reason) || isKeelsonError(reason, 'FENCED')) this.end(reason)
      else logDown(app, shard)
    }
    const onDown: StorageEvents['shard.down'] = ({ instance, shard, reason }) => {
      if (instance === app.instance) downFor(shard, reason)
    }
    app.events.on('shard.down', onDown)
    // The next start of the member may be on the same system.
    void app.closed.then(() => app.events.off('shard.down', onDown))
    const isIn = (phase: LeasePhase): void => {
      if (phase === 'unsure') {
        this.waits.because(app[innerParts].cluster?.().reason ?? 'no answer yet')
        app.entities.work.lapse(lapsedLease())
      } else this.waits.end()
      if (phase === 'owner') app.entities.work.resume()
      if (phase === 'ended') this.end(lostLease())
    }
    ownership.listen((phase) => {
      announcePhase(app)
      isIn(phase)
    })
    for (const { index, phase } of app.shards)
      if (phase.kind === 'down') downFor(index, phase.reason)
    // It may have changed while the tree started.
    isIn(ownership.phase)
    if (this.#ended) this.end(this.#ended)
  }

  /** Ends in order: an operator has asked the member to leave. */
  leave(reason: KeelsonError): void {
    if (this.#app) this.#app.close().catch(() => undefined)
    else this.#giveUp(reason)
  }

  /**
   * Ends at once: another member may own the instance, and no drain could do anything more. `closed`
   * of the instance resolves with `['shutdown', error]`.
   */
  end(error: KeelsonError): void {
    const isFirst = this.#ended === undefined
    this.#ended ??= error
    const app = this.#app
    if (!app) {
      this.#giveUp(error)
      return
    }
    const root = app.system.whereis(treeNames(app.instance).root)
    // It may have ended by itself.
    if (!root) return
    if (isFirst) app.system.logger.warn(`the member ends: ${reasonText(error)}`)
    stopProcess(root, ['shutdown', error]).catch(() => undefined)
  }
}

/** The other shards serve. Only a person knows whether another machine would help this one. */
const logDown = ({ system, health }: App, shard: number): void => {
  const { member = '' } = health().cluster ?? {}
  const command = `keelson cluster drain ${member}`
  const text = `no standby takes over for shard ${shard}: \`${command}\` lets one take over all shards`
  system.logger.warn(text, { shard, member })
}

const logWait = ({ system, instance, [innerParts]: parts }: App, reason: string): void => {
  const cluster = parts.cluster?.()
  if (!cluster) return
  const { name, member, epoch } = cluster
  const text = `the member ${member} cannot renew its lease of ${name}, and refuses reads: ${reason}`
  system.logger.warn(text, { instance, member, epoch })
}

/** Announces a change of the phase. That it is unsure, or ends, is logged with the reason elsewhere. */
const announcePhase = ({ events, system, instance, [innerParts]: parts }: App): void => {
  const cluster = parts.cluster?.()
  if (!cluster) return
  const { name, member, phase, epoch } = cluster
  const facts = { instance, member, epoch }
  if (phase === 'owner') system.logger.info(`the member ${member} owns ${name} again`, facts)
  if (events.listenerCount('cluster.phase') === 0) return
  const bus = events as unknown as { emit(name: string, payload: object): void }
  bus.emit('cluster.phase', { at: system.clock.now(), instance, member, phase, epoch })
}

/** How often the same reason is reported, in ms. */
const againMs = 60_000

/** `limitMs`: of a start; absent: none. */
export type EngineWaitOptions = {
  readonly clock: Clock
  readonly limitMs?: number | undefined
  readonly onReason: (detail: string) => void
}

const nothing: Cancel = () => undefined

/** The wait of one member. It begins, ends, and may begin again. */
export class EngineWait {
  /** Ends the start at the limit. */
  onLimit: (error: KeelsonError) => void = nothing
  readonly #options: EngineWaitOptions
  readonly #reported = new Set<string>()
  #reason: string | undefined
  #isServed = false
  #isClosed = false
  #again = nothing
  #limit: Cancel | undefined

  constructor(options: EngineWaitOptions) {
    this.#options = options
  }

  /** Whether the engine has ever served the member. */
  get isServed(): boolean {
    return this.#isServed
  }

  /** The member waits. */
  begin(): void {
    const { clock, limitMs } = this.#options
    if (limitMs === undefined || this.#isClosed) return
    this.#limit ??= clock.after(limitMs, () => {
      const why = this.#reason ?? 'it gave no answer'
      const message = `the engine did not serve this member within ${limitMs} ms: ${why}`
      this.onLimit(new KeelsonError('TIMEOUT', message, { details: { limitMs, reason: why } }))
    })
  }

  /** The member waits, for this reason. */
  because(reason: string): void {
    if (this.#isClosed) return
    this.begin()
    this.#reason = reason
    if (this.#reported.has(reason)) return
    this.#reported.add(reason)
    this.#report()
  }

  /** The engine serves the member. */
  served(): void {
    this.#isServed = true
    this.end()
  }

  /** Nothing is waited for. */
  end(): void {
    this.#again()
    this.#reported.clear()
    this.#limit?.()
    this.#limit = undefined
    this.#reason = undefined
  }

  /** The start is over. An instance that runs goes on with its calls, and has no limit. */
  close(): void {
    this.end()
    this.#isClosed = true
  }

  #report(): void {
    const { clock, onReason } = this.#options
    this.#again()
    if (this.#reason !== undefined) onReason(this.#reason)
    this.#again = clock.after(againMs, () => this.#report(), { holdsProcess: false })
  }
}
