/**
 * An instance: a data folder, its shards, the tree over them, and the user's handle. It is
 * assembled here from options and ports: `start` passes the real ones, the simulation its own.
 *
 * `startInstance` inspects every shard before it opens any, so that a corrupt one makes it reject
 * with nothing changed.
 */
import { resolve } from 'node:path'
import {
  Access,
  Allowance,
  type ClockJump,
  Entities,
  emit,
  Follower,
  isAway,
  SnapshotTurns,
  WalkTurns,
  WriteWindows,
} from '../../actors/index.ts'
import { configError } from '../../errors.ts'
import { packageVersion } from '../../package-version.ts'
import {
  createSystem,
  type Name,
  type Ref,
  type SupervisorMessages,
  type System,
  startSupervisor,
  stopProcess,
} from '../../runtime/index.ts'
import { shardFolder } from '../../storage/index.ts'
import { type App, closeShards, runningApp } from '../app/app.ts'
import { appContext, type InstanceParts, innerParts } from '../app/app-context.ts'
import { drainShard, within } from '../app/closing.ts'
import { CrashLoops } from '../app/crash-loops.ts'
import type { AnyMessages } from '../app/member-links.ts'
import { MemberReports } from '../app/member-reports.ts'
import { endSpent } from '../app/spent-trees.ts'
import { endShard, instanceTree, openArrived } from '../tree/instance-tree.ts'
import { Readiness } from '../tree/readiness.ts'
import { Shard } from '../tree/shard.ts'
import { treeNames } from '../tree/shard-tree.ts'
import { type AppTree, checkAppTree, mapModules } from '../users-tree/app-tree.ts'
import { registeredName } from '../users-tree/child-tree.ts'
import { loadedServer } from '../users-tree/module-loader.ts'
import { claimFolder, type FolderClaim } from './folder-claim.ts'
import type { Ports } from './machine-ports.ts'
import { floorOf, type InspectedEpochs, inspectShards } from './shard-inspection.ts'
import {
  type CheckedOptions,
  checkPlan,
  checkStartOptions,
  type StartOptions,
} from './start-options.ts'
import {
  downError,
  nameTaken,
  refuseUnknownShards,
  refuseWaiting,
  treeError,
  withSpaceNeeded,
} from './start-refusals.ts'

/**
 * Checks the options of an instance, and loads the modules of the user's tree. That takes real
 * time, so it is over before a virtual clock moves.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const loadedOptions = async (options: StartOptions): Promise<CheckedOptions> => {
  const checked = checkStartOptions(options)
  // Again: the servers of workers are known only now.
  return { ...checked, app: checked.app && checkAppTree(await loadedTree(checked.app)) }
}

const loadedTree = (tree: AppTree): Promise<AppTree> =>
  mapModules(tree, async (module, path) =>
    typeof module === 'string' ? { server: await loadedServer(module, path) } : module,
  )

/**
 * Starts an instance with the result of `loadedOptions`; resolves when every read is right.
 * @throws KeelsonError `CONFIG`, `LOCKED_DIR`, `READ_ONLY`, `NO_SPACE`, `UNSUPPORTED_VERSION`,
 * `CORRUPT`: then nothing is changed but LOCK in an old folder
 */
export const startInstance = async (options: CheckedOptions, ports: Ports): Promise<App> => {
  const { instance, onProgress } = options
  if (options.attach && !ports.attach)
    throw configError('attach', 'false: no prompt can be attached here', true)
  const system = options.system ?? newSystem(options, ports)
  if (system.whereis(treeNames(instance).root)) throw nameTaken(instance)
  const { disk, clock } = ports
  const dir = resolve(options.dir)
  const { shared, copied } = ports
  const part = shared ?? copied
  const request = { disk, clock, dir, instance, shards: options.shards, cache: ports.cache }
  const claim = part?.claim ?? claimFolder(request)
  const shards = instanceShards(claim, options, ports, system)
  const own = shards.filter(({ index }) => !part || part.has(index))
  for (const shard of shards) if (!own.includes(shard)) shard.beElsewhere()
  let isStarting = true
  for (const shard of shards)
    shard.recovery.listen((recovery) => {
      emit(system, shard, 'shard.recovering', recovery)
      if (isStarting) onProgress({ step: 'recovering', shard: shard.index, recovery })
    })
  try {
    refuseUnknownShards(options, claim)
    checkPlan(options, claim.shards)
    refuseWaiting(options, claim)
    onProgress({ step: 'locked', detail: claim.dir })
    const epochs = await inspectShards(own, claim, options, ports)
    // A follower begins no epoch.
    const noteFloors = (): void => {
      if (!ports.follows) claim.raise(shards.map((shard) => floorOf(shard, epochs)))
    }
    const release = async (): Promise<void> => {
      try {
        noteFloors()
        await shared?.ended()
        claim.release()
      } finally {
        await ports.ownership?.release()
      }
    }
    // Before anything can act: after a crash it is known that this copy may have.
    if (options.acts) claim.act()
    const app = await run({ options, ports, system, claim, shards, release })
    noteFloors()
    isStarting = false
    const inspected = { options, ports, system, claim, shards }
    const open = arrivals(inspected, epochs, app)
    shared?.onRun({ open, close: departures(inspected, epochs, app) }, app[innerParts])
    return app
  } catch (error) {
    if (!options.system) await system.stop()
    await closeShards(shards)
    // A user's tree that does not start may have written into the new folder before.
    if (shards.every(({ appliedLsn }) => appliedLsn === 0)) claim.undo()
    claim.release()
    throw withSpaceNeeded(error, ports.disk, claim, options)
  }
}

/** Opens one more shard, whose lock this member has got, and notes its epoch. */
const arrivals =
  (
    { options, ports, system, claim, shards }: Omit<Inspected, 'release'>,
    epochs: InspectedEpochs,
    app: App,
  ) =>
  async (index: number): Promise<void> => {
    const shard = shards[index] as Shard
    // A failed inspection takes it down, as at a start.
    shard.arrive(shards)
    const inspect = (): Promise<InspectedEpochs> =>
      inspectShards([shard], claim, { ...options, allowDown: true }, ports)
    const found = await answered(inspect, shard, app[innerParts].ending)
    const { phase } = shard
    if (phase.kind === 'down') emit(system, shard, 'shard.down', { reason: phase.reason })
    if (phase.kind === 'recovering') await openArrived(system, shard)
    // The instance may have closed before the epoch began.
    if (shard.phase.kind !== 'open') return
    epochs.set(shard, found.get(shard) ?? 0)
    claim.raise(shards.map((each) => (each === shard ? floorOf(shard, epochs) : undefined)))
  }

/** As `inspect`, which is repeated while the engine is away. Each attempt takes the patience of a host. */
const answered = async (
  inspect: () => Promise<InspectedEpochs>,
  { engine }: Shard,
  ending: AbortSignal,
): Promise<InspectedEpochs> => {
  for (;;)
    try {
      return await inspect()
    } catch (error) {
      if (!isAway(error) || ending.aborted) throw error
      engine.isAway(error)
    }
}

/** Messages that others sent before they knew that a shard leaves come within this time, in ms. */
const knownMs = 250

/** Its writes have so long at least, in ms, even if the work has taken all the time. */
const writesMs = 2_000

/** Closes a shard for the member that takes it next. */
const departures =
  ({ system, claim, shards }: Omit<Inspected, 'release'>, epochs: InspectedEpochs, app: App) =>
  async (index: number, withinMs: number, isLast: boolean): Promise<boolean> => {
    const { members, ending } = app[innerParts]
    const shard = shards[index] as Shard
    if (!mayLeave(shard, ending)) return false
    let hasLeft = false
    try {
      if (!(await endsWork(system, shard, app, withinMs, isLast))) return false
      claim.raise(shards.map((each) => (each === shard ? floorOf(shard, epochs) : undefined)))
      shard.beElsewhere()
      hasLeft = true
    } finally {
      if (!hasLeft) {
        shard.stay()
        if (!ending.aborted) members?.own(index, shard.isOwn)
      }
    }
    await endShard(system, shard)
    epochs.delete(shard)
    return true
  }

const mayLeave = (shard: Shard, ending: AbortSignal): boolean =>
  shard.phase.kind === 'open' && !ending.aborted && !shard.isHeld

/** Ends all work in a shard that leaves. False: something was not done in time. */
const endsWork = async (
  system: System,
  shard: Shard,
  app: App,
  withinMs: number,
  isLast: boolean,
): Promise<boolean> => {
  const { entities, members, ending } = app[innerParts]
  const { index, gate, journal } = shard
  const endsAt = system.clock.monotonic() + withinMs
  // The next owner begins with the entry after. All else goes on here while a handler is at one.
  shard.beginRest()
  if (!(await within(system, withinMs / 2, journal.atRest()))) return false
  if (!mayLeave(shard, ending)) return false
  shard.beginLeave()
  members?.own(index, false)
  if (members) await within(system, knownMs, members.exchanged())
  if (!(await entities.leave(shard, endsAt - system.clock.monotonic(), isLast))) return false
  shard.shut()
  const timeoutMs = Math.max(writesMs, endsAt - system.clock.monotonic())
  await drainShard(system, shard, timeoutMs)
  if (mayLeave(shard, ending)) await app.control.flush(index, { timeoutMs }).catch(() => undefined)
  // A write without an answer would end as `UNKNOWN_OUTCOME`, and one that waits to be admitted as
  // `ELSEWHERE`. A suspension or a backup may have begun since.
  const { entered, waiting } = gate.load
  return mayLeave(shard, ending) && entered + waiting === 0
}

const newSystem = ({ logger }: CheckedOptions, { clock }: Ports): System =>
  createSystem({ clock, ...(logger && { logger }) })

/** An instance whose shards were inspected. */
type Inspected = {
  readonly options: CheckedOptions
  readonly ports: Ports
  readonly system: System
  readonly claim: FolderClaim
  readonly shards: readonly Shard[]
  /** Gives the folder back, and what the ports hold. */
  readonly release: () => Promise<void>
}

/**
 * Starts the tree and waits until each shard is open or down. If it rejects, everything it started
 * has ended.
 */
const run = async (inspected: Inspected): Promise<App> => {
  const { options, ports, system, claim, shards, release } = inspected
  const { instance } = options
  const userTree = options.app || undefined
  const named = userTree && { id: userTree.id, name: registeredName(userTree) }
  const [outsideAccess, insideAccess] = [new Access(), new Access()]
  const ending = new AbortController()
  const isClosing = (): boolean => outsideAccess.isEnded
  const parts = instanceParts(inspected, isClosing, ending.signal)
  const { readiness } = parts
  const inside = appContext(parts, insideAccess)
  if (parts.way) ports.shared?.answer(parts.way, parts, inside)
  let begun: (app: App) => void = () => undefined
  const started = new Promise<App>((resolve) => {
    begun = resolve
  })
  options.onProgress({ step: 'recovering' })
  const tree = instanceTree({
    ...parts,
    form: ports.follows ? 'follower' : 'owner',
    mailboxMax: options.mailboxMax,
    attach: options.attach ? ports.attach?.(instance, started) : undefined,
    members: [
      ...(parts.way?.childSpecs() ?? []),
      ...[parts.entities, parts.members].flatMap((part) => part?.childSpec() ?? []),
    ],
    app: userTree,
    judges: options.judge,
    appContext: inside,
    isClosing,
  })
  const root = await unlessAbandoned(ports.abandoned, system, instance, async () => {
    const begun = await startSupervisor(system, tree).catch((error: unknown) => {
      throw treeError(instance, error)
    })
    await settled(shards, begun, options)
    return begun
  }).catch((error: unknown) => {
    // The System may be the user's: nothing of this start listens to it from now on.
    ending.abort()
    throw error
  })
  const app = runningApp({
    dir: claim.dir,
    system,
    ownsSystem: !options.system,
    shards,
    outside: appContext(parts, outsideAccess),
    outsideAccess,
    readiness,
    inside,
    insideAccess,
    root,
    members: parts.members,
    giveAll: ports.shared?.giveAll,
    userTree: named,
    ending,
    release,
  })
  const { giveUpAfter: times } = options
  if (named && times > 0) endSpent({ system, instance, tree: named, times, ending: ending.signal })
  begun(app)
  return app
}

/**
 * Starts something, unless the start is given up: then the tree ends at once. An engine that is away
 * could hold up the start for ever. @throws the reason of `abandoned`; as `work`
 */
const unlessAbandoned = async <T>(
  abandoned: AbortSignal | undefined,
  system: System,
  instance: string,
  work: () => Promise<T>,
): Promise<T> => {
  if (!abandoned) return work()
  abandoned.throwIfAborted()
  let giveUp = (): void => undefined
  const given = new Promise<never>((_, reject) => {
    giveUp = () => {
      const root = system.whereis(treeNames(instance).root)
      const ended = root ? stopProcess(root, ['shutdown', abandoned.reason]) : Promise.resolve()
      ended.catch(() => undefined).finally(() => reject(abandoned.reason))
    }
  })
  abandoned.addEventListener('abort', giveUp)
  try {
    return await Promise.race([work(), given])
  } finally {
    abandoned.removeEventListener('abort', giveUp)
  }
}

/** The parts that the tree and the handles share. With `app: false` nothing acts or replicates. */
const instanceParts = (
  { options, ports, system, claim, shards }: Inspected,
  isClosing: () => boolean,
  ending: AbortSignal,
): InstanceParts => {
  const { instance, settings, app } = options
  const { claimBackup, copyShard, exportLog, makeScanner } = ports
  const identity = {
    instanceId: claim.instanceId() ?? '',
    holder: Buffer.from(system.clock.randomBytes(16)).toString('hex'),
  }
  const readiness = new Readiness(system, shards, Boolean(app))
  const ways = ports.shared?.link({
    system,
    instance,
    shards,
    ending,
    reach: (name) => entities.meant<AnyMessages>(name) ?? system.to(name as Name<AnyMessages>),
  })
  const way = ways?.client
  for (const shard of shards) shard.way = way
  const entities: Entities = new Entities(system, instance, shards, {
    isClosing,
    isStoreAlone: app === false,
    isStarting: () => readiness.isTreeStarting,
    scanTurns: makeScanner(ending),
    elsewhere: ways?.elsewhere,
    ledger: ports.shared?.ledger,
  })
  return {
    system,
    instance,
    shards,
    windows: (shards[0] as Shard).parts.windows,
    registry: system.to(treeNames(instance).registry),
    entities,
    followers: followersOf(options, shards, identity),
    backups: {
      system,
      shards,
      instance,
      copyShard,
      exportLog,
      dir: claim.dir,
      signal: ending,
      claimFolder: claimBackup,
    },
    readiness,
    crashLoops: new CrashLoops(system, instance, ending),
    members: ways?.links,
    way,
    reports: way && new MemberReports(system, way, ending),
    cluster: ports.ownership?.health,
    since: system.clock.now(),
    runs: { version: packageVersion(), build: options.build },
    ending,
    deadlineMs: settings.deadlineMs,
    kept: new Map(),
  }
}

/** The followers; with `app: false` none, and the log stays as it is for one that is required. */
const followersOf = (
  { app, replication }: CheckedOptions,
  shards: readonly Shard[],
  identity: ConstructorParameters<typeof Follower>[3],
): readonly Follower[] => {
  if (app !== false)
    return replication.map((terms, at) => new Follower(at, terms, shards, identity))
  if (replication.some(({ required }) => required))
    for (const shard of shards) shard.replication.hold()
  return []
}

/**
 * Waits until each shard is open or down. If one is down and may not be, it ends the tree, and
 * rejects with the reason.
 */
const settled = async (
  shards: readonly Shard[],
  root: Ref<SupervisorMessages>,
  { allowDown, onProgress }: CheckedOptions,
): Promise<void> => {
  const phases = await Promise.all(shards.map((shard) => shard.settled()))
  phases.forEach(({ kind }, shard) => {
    if (kind !== 'elsewhere') onProgress({ step: kind === 'open' ? 'open' : 'down', shard })
  })
  const down = phases.find((phase) => phase.kind === 'down')
  if (!down || allowDown) return
  const error = downError(shards, down.reason)
  // The caller gets this error, even if the tree has ended by itself.
  await stopProcess(root, 'shutdown').catch(() => undefined)
  throw error
}

// The shards of an instance, before anything is known of their files. `instance.ts`, its only
// importer, says the order of a start; here is what a shard is made of.

/** Makes the shards of a claimed folder. They share the bound of unfinished writes, and turns. */
export const instanceShards = (
  { dir, shards: shardCount, lockOf }: FolderClaim,
  { instance, settings, shardsPlan = shardCount }: CheckedOptions,
  { makeHost, projections, makeBlobHost, makeSnapshotHost, disk, ...ports }: Ports,
  system: System,
): readonly Shard[] => {
  const { admission, batcher, wal } = settings
  const shared = {
    instance,
    settings,
    shardCount,
    shardsPlan,
    makeHost,
    projections,
    makeBlobHost,
    makeSnapshotHost,
    disk,
    isCache: ports.cache !== undefined,
    isOwner: ports.ownership?.isOwner,
    allowance: new Allowance(admission.bytes, admission.commands),
    windows: new WriteWindows(batcher.windows),
    walks: new WalkTurns(system.clock),
    snapshotTurns: new SnapshotTurns(),
    clock: system.clock,
    watch: system.monitor.bind(system),
    logger: system.logger,
  }
  return Array.from({ length: shardCount }, (_, index) => {
    const shard = new Shard({
      ...shared,
      index,
      folders: shardFolder(dir, index),
      minDurable: wal.minDurable.get(index),
      lock: lockOf(index),
    })
    shard.time.listen((jump) => clockJumped(system, shard, jump))
    return shard
  })
}

/** The machine's clock was set. Its operator has to know. */
const clockJumped = (system: System, shard: Shard, jump: ClockJump): void => {
  const { jumpMs, aheadMs } = jump
  emit(system, shard, 'clock.jumped', jump)
  system.logger.warn(
    `the clock of the machine was set by ${jumpMs} ms: the time of shard ${shard.index} continues as before, ${aheadMs} ms ahead of it; ${goesOn(aheadMs)}`,
    { shard: shard.index, jumpMs, aheadMs },
  )
}

/** Less than a minute is made up by itself. */
const goesOn = (aheadMs: number): string =>
  aheadMs > 0 && aheadMs < 60_000
    ? 'it goes a tenth slower until the clock has caught up'
    : 'control.acceptClock() follows it'
