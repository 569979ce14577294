/**
 * An instance: a data folder, its shards, the tree over them, and the user's handle. It is
 * assembled here from options and ports: `start` passes the real ones, the simulation its own.
 *
 * `startInstance` inspects every shard before it opens any, so that a corrupt one makes it reject
 * with nothing changed.
 */
import { dirname, resolve } from 'node:path'
import {
  Access,
  Allowance,
  type ClockJump,
  Entities,
  Follower,
  Shard,
  SnapshotTurns,
  tell,
  WriteWindows,
  withSpace,
} from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type ChildSpec,
  createSystem,
  notStarted,
  type System,
  startSupervisor,
  stopProcess,
} from '../../runtime/index.ts'
import {
  type BlobHostFactory,
  type Disk,
  type LogHostFactory,
  type Projections,
  type ShardCopier,
  type SnapshotHostFactory,
  shardFolder,
} from '../../storage/index.ts'
import { App, closeShards } from '../app/app.ts'
import { appContext } from '../app/app-context.ts'
import { instanceTree, reopen } from '../tree/instance-tree.ts'
import { Readiness } from '../tree/readiness.ts'
import { treeNames } from '../tree/shard-tree.ts'
import { type AppTree, mapModules } from '../users-tree/app-tree.ts'
import { registeredName } from '../users-tree/child-tree.ts'
import { loadedServer } from '../users-tree/module-loader.ts'
import { claimFolder, type FolderClaim } from './folder-claim.ts'
import { floorOf, type InspectedEpochs, olderLog } from './log-floors.ts'
import { type CheckedOptions, checkStartOptions, type StartOptions } from './start-options.ts'

/** The ports of an instance to the outside. */
export type Ports = {
  readonly disk: Disk
  readonly clock: Clock
  readonly makeHost: LogHostFactory
  readonly projections: Projections
  readonly makeBlobHost: BlobHostFactory
  readonly makeSnapshotHost: SnapshotHostFactory
  readonly copyShard: ShardCopier
  /** The part of the tree that serves attached prompts. The promise never rejects. */
  readonly attach?: (instance: string, app: Promise<App>) => ChildSpec
}

/**
 * Checks the options of an instance, and loads the modules of the user's tree. That takes real
 * time, so it is over before a virtual clock moves.
 * @throws KeelsonError `CONFIG` with `details.path`
 */
export const loadedOptions = async (options: StartOptions): Promise<CheckedOptions> => {
  const checked = checkStartOptions(options)
  return { ...checked, app: checked.app && (await loadedTree(checked.app)) }
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
export const startInstance = async (checked: CheckedOptions, ports: Ports): Promise<App> => {
  if (checked.attach && !ports.attach)
    throw configError('attach', 'false: no prompt can be attached here', true)
  const system = checked.system ?? newSystem(checked, ports)
  if (system.whereis(treeNames(checked.instance).root))
    throw configError(
      'instance',
      'a name that no other instance on this System has',
      checked.instance,
    )
  const claim = claimFolder({
    disk: ports.disk,
    clock: ports.clock,
    dir: resolve(checked.dir),
    instance: checked.instance,
    shards: checked.shards,
  })
  const { admission, batcher } = checked.settings
  let isStarting = true
  const shared: Shared = {
    shardCount: claim.shards,
    allowance: new Allowance(admission.bytes, admission.commands),
    windows: new WriteWindows(batcher.windows),
    snapshotTurns: new SnapshotTurns(),
    watch: (process, onDown) => system.monitor(process, onDown),
    logger: system.logger,
  }
  const shards = Array.from({ length: claim.shards }, (_, index) =>
    shardOf(index, claim, checked, ports, system.clock, shared),
  )
  for (const shard of shards) {
    shard.time.listen((jump) => clockJumped(system, shard, jump))
    shard.recovery.listen((recovery) => {
      tell(system, shard, 'shard.recovering', recovery)
      if (isStarting) checked.onProgress({ step: 'recovering', shard: shard.index, recovery })
    })
  }
  try {
    checkMinDurable(checked, claim)
    if (claim.waits && !checked.acts && checked.app !== false) throw waiting(claim)
    checked.onProgress({ step: 'locked', detail: claim.dir })
    const epochs = await prepare(shards, claim, checked, ports)
    const noteFloors = (): void => claim.raise(shards.map((shard) => floorOf(shard, epochs)))
    const release = (): void => {
      noteFloors()
      claim.release()
    }
    const parts = { ...claim, ...ports, release }
    // Before anything can act: after a crash it is known that this copy may have.
    if (checked.acts) claim.act()
    const running = await run(checked, system, shards, parts, shared.windows)
    noteFloors()
    isStarting = false
    return running
  } catch (error) {
    if (!checked.system) await system.stop()
    await closeShards(shards)
    // A user's tree that does not start may have written into the new folder before.
    if (shards.every(({ appliedLsn }) => appliedLsn === 0)) claim.undo()
    claim.release()
    throw spaceTold(error, ports.disk, claim, checked)
  }
}

/** A refusal of the disk for want of space says how much a start needs. */
const spaceTold = (
  error: unknown,
  disk: Disk,
  { dir, shards }: FolderClaim,
  { settings }: CheckedOptions,
): unknown => {
  const isDisk = isKeelsonError(error, 'NO_SPACE') && error.details.errno !== undefined
  if (!isDisk) return error
  const neededBytes = shards * 2 * settings.wal.maxFileSize
  return withSpace(error, { freeBytes: freeAt(disk, dir), neededBytes })
}

/** A new folder is gone again: the disk is that of the folder above it. */
const freeAt = (disk: Disk, path: string): number | undefined => {
  try {
    return disk.free(path)
  } catch {
    return path === dirname(path) ? undefined : freeAt(disk, dirname(path))
  }
}

const newSystem = ({ logger }: CheckedOptions, { clock }: Ports): System =>
  createSystem({ clock, ...(logger && { logger }) })

/** The machine's clock was set. Its operator has to know. */
const clockJumped = (system: System, shard: Shard, jump: ClockJump): void => {
  const { jumpMs, aheadMs } = jump
  tell(system, shard, 'clock.jumped', jump)
  system.logger.warn(
    `the clock of the machine was set by ${jumpMs} ms: the time of shard ${shard.index} goes on as before, ${aheadMs} ms ahead of it; ${goesOn(aheadMs)}`,
    { shard: shard.index, jumpMs, aheadMs },
  )
}

/** Less than a minute is made up by itself. */
const goesOn = (aheadMs: number): string =>
  aheadMs > 0 && aheadMs < 60_000
    ? 'it goes a tenth slower until the clock has caught up'
    : 'control.acceptClock() follows it'

const waiting = ({ dir }: FolderClaim): KeelsonError =>
  new KeelsonError(
    'CONFIG',
    `${dir} is a copy: what its origin has done since would be done again. ` +
      'Start it with acts: true (--acts) if it takes the place of its origin, ' +
      'or with app: false (--no-app) to look at its store alone',
    { details: { path: 'acts', expected: 'true, or app: false', found: false, dir } },
  )

const checkMinDurable = ({ settings }: CheckedOptions, { shards }: FolderClaim): void => {
  for (const shard of settings.wal.minDurable.keys())
    if (shard >= shards)
      throw configError('wal.minDurable', `shards from 0 to ${shards - 1}`, shard)
}

/** The parts that the shards of an instance share. */
type Shared = Pick<
  Shard['parts'],
  'shardCount' | 'allowance' | 'windows' | 'snapshotTurns' | 'watch' | 'logger'
>

const shardOf = (
  index: number,
  { dir, lockOf, floors }: FolderClaim,
  { instance, settings }: CheckedOptions,
  { makeHost, projections, makeBlobHost, makeSnapshotHost, disk }: Ports,
  clock: Clock,
  shared: Shared,
): Shard =>
  new Shard({
    instance,
    index,
    folders: shardFolder(dir, index),
    settings,
    minDurable: settings.wal.minDurable.get(index),
    floor: floors?.[index],
    lock: lockOf(index),
    clock,
    makeHost,
    projections,
    makeBlobHost,
    makeSnapshotHost,
    disk,
    ...shared,
  })

/**
 * Inspects every shard, and makes the logs of a new folder. Each shard is then ready to open, or
 * down.
 */
const prepare = async (
  shards: readonly Shard[],
  claim: FolderClaim,
  { allowDown, onProgress }: CheckedOptions,
  ports: Ports,
): Promise<InspectedEpochs> => {
  const { failures, epochs } = await inspect(shards, claim)
  const [first] = failures.values()
  if (first !== undefined && !(allowDown && claim.logs)) throw first
  for (const [shard, reason] of failures) shard.goDown(reason)
  if (!claim.logs) {
    await refuseRemains(shards, claim, ports)
    const logs: string[] = []
    for (const shard of shards) {
      logs.push(await shard.files.create())
      epochs.set(shard, shard.files.inspection?.epoch ?? 0)
    }
    claim.finish(logs)
    onProgress({ step: 'created', detail: claim.dir })
  }
  for (const { index, phase } of shards)
    onProgress({ step: phase.kind === 'down' ? 'down' : 'inspected', shard: index })
  return epochs
}

/**
 * Inspects all shards to the end, so that no inspection runs when the first failure is reported.
 */
const inspect = async (
  shards: readonly Shard[],
  { logs, floors }: FolderClaim,
): Promise<{ readonly failures: Map<Shard, unknown>; readonly epochs: Map<Shard, number> }> => {
  const looks = await Promise.allSettled(shards.map(({ files }) => files.inspect()))
  const failures = new Map<Shard, unknown>()
  const epochs = new Map<Shard, number>()
  looks.forEach((look, at) => {
    const shard = shards[at] as Shard
    const floor = floors?.[at]?.epoch ?? 0
    if (look.status === 'rejected') failures.set(shard, look.reason)
    else if (logs && !look.value.exists) failures.set(shard, noSegments(shard))
    else if (logs && look.value.walId !== logs[at]) failures.set(shard, anothersLog(shard))
    else if (look.value.epoch < floor) failures.set(shard, olderLog(shard, look.value.epoch, floor))
    else epochs.set(shard, look.value.epoch)
  })
  return { failures, epochs }
}

const noSegments = (shard: Shard): KeelsonError =>
  new KeelsonError('CORRUPT', `shard ${shard.index} has no log in ${shard.parts.folders.wal}`, {
    details: {
      shard: shard.index,
      file: shard.parts.folders.wal,
      evidence: 'keelson.json says that it was made',
    },
  })

const anothersLog = (shard: Shard): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `the log of shard ${shard.index} in ${shard.parts.folders.wal} belongs to another shard or folder`,
    {
      details: {
        shard: shard.index,
        file: shard.parts.folders.wal,
        evidence: 'keelson.json names another log for this shard',
      },
    },
  )

/**
 * A folder without a description but with frames or rows has lost its `keelson.json` or its logs.
 * No new logs are made in it, and its files are left alone.
 */
const refuseRemains = async (
  shards: readonly Shard[],
  claim: FolderClaim,
  { makeHost }: Ports,
): Promise<void> => {
  const remains = shards.filter(({ files }) => files.hasRemains).map(({ index }) => index)
  for (const index of claim.leftovers) {
    const host = makeHost(index)
    const { logOptions } = (shards[0] as Shard).files.parts
    const { wal } = shardFolder(claim.dir, index)
    const { hasFrames } = await host
      .run('inspect', { dir: wal, options: logOptions, evidence: [] })
      .finally(() => host.end())
    if (hasFrames) remains.push(index)
  }
  if (remains.length > 0)
    throw new KeelsonError(
      'CORRUPT',
      `${claim.dir} holds data, but its keelson.json is missing or damaged; \`keelson wal salvage\` can rescue the data`,
      {
        details: { file: 'keelson.json', shards: remains },
      },
    )
}

/**
 * Starts the tree and waits until each shard is open or down. If it rejects, everything it started
 * has ended.
 */
const run = async (
  options: CheckedOptions,
  system: System,
  shards: readonly Shard[],
  claim: FolderClaim & Pick<Ports, 'disk' | 'copyShard' | 'attach'>,
  windows: WriteWindows,
): Promise<App> => {
  const { instance, settings, onProgress } = options
  const { deadlineMs } = settings
  const registry = system.to(treeNames(instance).registry)
  const [outsideAccess, insideAccess] = [new Access(), new Access()]
  const identity = {
    instanceId: claim.instanceId() ?? '',
    holder: Buffer.from(system.clock.randomBytes(16)).toString('hex'),
  }
  const userTree = options.app || undefined
  const replicas = options.app === false ? [] : options.replication
  const followers = replicas.map((terms, at) => new Follower(at, terms, shards, identity))
  const isClosing = (): boolean => outsideAccess.isEnded
  const entities = new Entities(system, instance, shards, isClosing, options.app === false)
  const ending = new AbortController()
  const { dir, disk, copyShard } = claim
  const backups = { system, shards, disk, copyShard, dir, instance, signal: ending.signal }
  const parts = {
    ...{ system, instance, shards, windows, registry, entities, followers, backups, deadlineMs },
  }
  const inside = appContext(parts, insideAccess)
  let begun: (app: App) => void = () => undefined
  const started = new Promise<App>((resolve) => {
    begun = resolve
  })
  const readiness = new Readiness(system, shards, userTree !== undefined)
  onProgress({ step: 'recovering' })
  const tree = instanceTree({
    system,
    instance,
    shards,
    entities,
    followers,
    mailboxMax: options.mailboxMax,
    attach: options.attach ? claim.attach?.(instance, started) : undefined,
    app: userTree,
    appContext: inside,
    isClosing,
    readiness,
    reopen: (shard, part) => reopen(system, shard, part, followers),
  })
  const root = await startSupervisor(system, tree).catch((error: unknown) => {
    throw startError(instance, error)
  })
  try {
    await settled(shards, options)
  } catch (error) {
    // The caller gets the reason why it did not settle, even if the tree ended before.
    await stopProcess(root, 'shutdown').catch(() => undefined)
    throw error
  }
  const app = new App({
    dir,
    system,
    ownsSystem: !options.system,
    shards,
    outside: appContext(parts, outsideAccess),
    outsideAccess,
    readiness,
    inside,
    insideAccess,
    root,
    userTree: userTree && { id: userTree.id, name: registeredName(userTree) },
    ending,
    release: claim.release,
  })
  begun(app)
  return app
}

/**
 * Another instance with this name may have started on the same System since. A part of the user's
 * tree that fails is named from the root of that tree on.
 */
const startError = (instance: string, error: unknown): unknown => {
  if (!isKeelsonError(error, 'EXITED')) return error
  const { reason, path } = error.details as { reason: unknown; path: readonly string[] }
  if (Array.isArray(reason) && reason[0] === 'already_started')
    return configError('instance', 'a name that no other instance on this System has', instance)
  if (path[1] !== 'services' || !Array.isArray(reason)) return error
  return notStarted(reason[1][2], [])
}

/**
 * Waits until each shard is open or down. Rejects with the reason of the first that is down, unless
 * that is allowed.
 */
const settled = async (
  shards: readonly Shard[],
  { allowDown, onProgress }: CheckedOptions,
): Promise<void> => {
  const phases = await Promise.all(shards.map((shard) => shard.settled()))
  phases.forEach(({ kind }, shard) => {
    onProgress({ step: kind === 'open' ? 'open' : 'down', shard })
  })
  const down = phases.find((phase) => phase.kind === 'down')
  if (down && !allowDown) throw downError(shards, down.reason)
}

/** The error of a failed start, with a code. */
const downError = (shards: readonly Shard[], reason: unknown): KeelsonError => {
  if (reason instanceof KeelsonError) return reason
  const shard = shards.find(({ phase }) => phase.kind === 'down')
  return shard?.unavailable() ?? new KeelsonError('SHARD_DOWN', String(reason))
}
