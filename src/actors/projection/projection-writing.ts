/**
 * How `lmdb_writer` writes: the steps from what waits to what is committed. A commit
 * takes frames and, with them, the derived rows that come from these frames or earlier ones: both in
 * one transaction with the position. Another kind of rows joins here, in `commit`.
 */
import { isKeelsonError, reasonText } from '../../errors.ts'
import { describeReason, type Ref, type Settled, send } from '../../runtime/index.ts'
import {
  type HaltedProjection,
  isUndecided,
  type Projecting,
  ProjectionRows,
  type ProjectionStore,
  type ReadAnswer,
  type RowChange,
  type Rows,
  walkedOnce,
} from '../../storage/index.ts'
import { emit, isHeard } from '../core/storage-events.ts'
import * as WalWriter from '../log/wal-writer.ts'
import * as Applier from './applier.ts'
import type { AfterFlush } from './derived-queue.ts'
import type { FlushStep } from './projection-feed.ts'
import type { ProjectionEvent } from './projection-mode.ts'
import { Reconcile } from './projection-reconcile.ts'
import type { ProjectionShard } from './projection-shard.ts'
import type { Commit, Context, State, Walked } from './projection-state.ts'
import type { Waiter } from './projection-waiters.ts'

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024

/**
 * A file that takes no commit for damage is kept for so many ms. A disk that damages every file then
 * costs the shard too few restarts to take it down.
 */
const damageMs = 4_000

/** Begins the next step, if there is one. Its end calls this function again. */
export const step = (state: State, context: Context): State => {
  const { shard } = state
  if (!state.following || state.waiting || state.retryTimer || !shard.projection.takes) return state
  state.share.begin()
  let next = nextStep(state, state.following, context)
  while (next.kind === 'gather' && !state.share.isOver())
    next = nextStep(state, state.following, context)
  if (next.kind === 'nothing') settle(state, context)
  if (next.kind === 'due') flushIn(state, next.inMs, context)
  if (next.kind === 'sync') {
    const writer = context.to(WalWriter.name(shard.parts.instance, shard.index))
    state.waiting = true
    context.pipe(WalWriter.sync(writer), 'synced')
  }
  if (next.kind === 'read') {
    state.waiting = true
    context.pipe(readLog(shard, next.from), 'read')
  }
  if (next.kind === 'gather') stepLater(state, context)
  if (next.kind === 'commit') commit(state, state.following, { frames: next.batch }, context)
  if (next.kind === 'derived') commit(state, state.following, {}, context)
  if (next.kind === 'walk') commit(state, state.following, { walked: next.walked }, context)
  return state
}

/** Its rejection is an answer, even if there is no log. */
const readLog = async ({ files }: ProjectionShard, from: number): Promise<ReadAnswer> =>
  files.log().run('read', { from, maxBytes: readBytes })

/** Runs the next step in a later turn of the event loop, after pending I/O and messages. */
export const stepLater = (state: State, context: Context): void => {
  if (state.stepping) return
  state.stepping = true
  context.system.clock.soon(() => context.send(context.self, 'step'))
}

/** Each need has its own deadline, and the earliest one wins. */
const flushIn = (state: State, inMs: number, context: Context): void => {
  const ms = Math.ceil(inMs)
  const left = state.flushTimer && context.readTimer(state.flushTimer)
  if (typeof left === 'number' && left <= ms) return
  if (state.flushTimer) context.cancelTimer(state.flushTimer)
  // A start reads from the log what was not flushed, so nothing keeps Node open for it.
  state.flushTimer = context.sendAfter(ms, 'flushDue').unref()
}

/** A step of the feed, a commit of derived rows alone, or one of rebuilt rows. */
type Step =
  | FlushStep
  | { readonly kind: 'derived' }
  | { readonly kind: 'walk'; readonly walked: Walked }

const nextStep = (state: State, { projection }: Applier.Following, context: Context): Step => {
  const { derived, blobs, appends } = state.shard
  const now = context.system.clock.monotonic()
  const inMs = state.waiters.areThere ? 0 : derivedDueIn(state, now)
  // A group retried alone must not wait for an idle log.
  const isReady = derived.isReadyAt(state.feed.projectedLsn)
  if (inMs === 0 && derived.isolates && isReady) return { kind: 'derived' }
  try {
    state.rows ??= new ProjectionRows(projection, blobs.reader)
    const walked = walk(state, projection, state.rows, context)
    if (walked) return { kind: 'walk', walked }
    const next = state.feed.next(now, inMs === 0, state.rows, {
      hasProducers: derived.hasProducers,
      isWriting: appends.queue.inFlight.length > 0,
    })
    if (next.kind === 'due') return { kind: 'due', inMs: Math.min(next.inMs, inMs) }
    if (next.kind !== 'nothing' || !isReady) return next
    return inMs === 0 ? { kind: 'derived' } : { kind: 'due', inMs }
  } catch (error) {
    if (isUndecided(error)) Applier.unprojected(applierOf(state, context), error)
    else if (isKeelsonError(error, 'CORRUPT')) damaged(state, error.details, context)
    else throw error
    return { kind: 'nothing' }
  }
}

/** The projections by users, as the writer of the shard feeds them. */
export const projectingOf = (
  { shard }: Pick<State, 'shard'>,
  { system }: Pick<Context, 'system'>,
): Projecting => ({
  projections: shard.parts.settings.projections,
  givenUp: shard.projection.givenUp,
  now: () => system.clock.now(),
})

/**
 * The next rows of projections by users to build or remove, if it is their turn: under load they
 * alternate with frames. `undefined` too if a batch has read the rows already.
 */
const walk = (
  state: State,
  projection: ProjectionStore,
  rows: Rows,
  context: Context,
): Walked | undefined => {
  const isTurn = !state.hasWalked || state.feed.lag === 0
  state.hasWalked = false
  if (!state.mayWalk || !isTurn || state.feed.isGathering) return undefined
  const position = projection.position()
  if (!position) {
    // No row was ever written: there is nothing to rebuild.
    for (const { begun } of state.rebuild.splice(0)) begun()
    return undefined
  }
  const names = state.rebuild.map(({ name }) => name)
  const { changes, halted } = walkedOnce(projectingOf(state, context), rows, position.lsn, names)
  halt(state, halted, context)
  state.mayWalk = state.hasWalked = changes.size > 0
  return state.hasWalked ? { changes, begins: names.length } : undefined
}

/**
 * Projections whose function threw: reported once, and not tried again by this incarnation of the writer.
 */
const halt = (state: State, halted: readonly HaltedProjection[], context: Context): void => {
  for (const { name, error } of halted) {
    const { givenUp } = state.shard.projection
    if (givenUp.has(name)) continue
    givenUp.add(name)
    emit(context.system, state.shard, 'projection.halted', { name, reason: reasonText(error) })
    const { index: shard } = state.shard
    context.system.logger.error(
      `the projection ${name} of shard ${shard} is halted: ${describeReason(error)}`,
      { name, shard, reason: error },
    )
  }
}

/** The ms until the derived rows that wait are due; `Infinity` without them. */
const derivedDueIn = ({ shard }: State, now: number): number => {
  const { oldestAt, operations } = shard.derived
  const { intervalMs, maxOps } = shard.parts.settings.lmdb
  if (oldestAt === undefined) return Number.POSITIVE_INFINITY
  return operations >= maxOps ? 0 : Math.max(0, oldestAt + intervalMs - now)
}

/** A row cannot be read: the applier sets the projection aside and ends, and this process with it. */
export const damaged = (state: State, evidence: unknown, context: Context): void => {
  state.shard.projection.onDamage(evidence)
  report(state.shard, 'restarted', context)
}

/** Commits in one transaction on another thread. Its end arrives as `committed`. */
const commit = (
  state: State,
  { projection, walId, epoch }: Applier.Following,
  { frames, walked }: Partial<Pick<Commit, 'frames' | 'walked'>>,
  context: Context,
): void => {
  if (frames) halt(state, frames.halted, context)
  const { derived: queue, releasedRows } = state.shard
  const { projectedLsn, chunkRows } = state.feed
  // Markers move the feed on and commit nothing: the mark of a frame goes with the LSN of that frame.
  const { lsn, frame } = frames ?? projection.position() ?? { lsn: projectedLsn }
  const position = { walId, epoch, lsn, ...(frame ? { frame } : {}) }
  const isAlone = !frames && !walked
  const takenLsn = frames?.lsn ?? projectedLsn
  const derived = queue.isolates && !isAlone ? undefined : queue.take(takenLsn, chunkRows)
  state.waiting = true
  state.committing = { frames, walked, derived, since: context.system.clock.monotonic() }
  const changes = releasedRows.before(changesOf(state.committing), projection)
  context.pipe(projection.commit(changes, position), 'committed')
}

function* changesOf({ frames, walked, derived }: Commit): IterableIterator<RowChange> {
  if (frames) yield* frames.changes
  if (walked) yield* walked.changes
  if (derived) yield* derived.changes
}

/** Handles the end of a commit. */
export const committed = (state: State, result: Settled<void>, context: Context): void => {
  const commit = state.committing
  state.waiting = false
  state.committing = undefined
  // The outcome of the commit is unknown: the next incarnation reads it from the projection.
  if (!result.ok && isKeelsonError(result.error, 'SHARD_DOWN')) throw result.error
  if (commit) emitFlushed(state, commit, result, context)
  if (!result.ok) failed(state, commit, result.error, context)
  else if (commit) succeeded(state, commit, context)
}

const succeeded = (state: State, { frames, walked }: Commit, context: Context): void => {
  for (const { begun } of state.rebuild.splice(0, walked?.begins ?? 0)) begun()
  if (frames) {
    state.feed.committed(frames)
    state.mayWalk = true
  }
  act(state.shard.derived.committed())
  // The last lock may be gone. Puts look for locks as long as the hint says there is one.
  if (state.rows?.hints.locks) state.rows = undefined
  if (state.shard.projection.flushed()) heal(state, context)
  reportSource(state, context)
  emitLag(state, context)
  settle(state, context)
}

/** Handles a failed commit: the writer retries later. Reads stay right, from overlay and log. */
const failed = (
  state: State,
  commit: Commit | undefined,
  error: unknown,
  context: Context,
): void => {
  const { shard } = state
  const { projection, derived } = shard
  const reason = reasonText(error)
  const { code } = (error ?? {}) as { code?: unknown }
  Applier.unprojected(applierOf(state, context), error)
  state.waiters.fail(projection.recordFlushFailure(error))
  report(shard, 'failed', context)
  emit(context.system, shard, 'lmdb.degraded', { reason, failures: projection.failuresInRow })
  const found = derived.failed(!commit?.frames && !commit?.walked, { code, message: reason })
  if (found) {
    emit(context.system, shard, 'lmdb.setAside', found.setAside)
    act(found.onLost)
  }
  const rows = (commit?.frames?.changes.size ?? 0) + (commit?.derived?.operations ?? 0)
  if (code === 'NO_SPACE' && rows > 0) state.feed.hadNoRoom(rows)
  state.damage = isKeelsonError(error, 'CORRUPT') ? error : undefined
  const retryInMs = projection.retryInMs(context.system.clock.random)
  const inMs = Math.max(retryInMs, state.damage ? damageMs : 0)
  state.retryTimer = context.sendAfter(inMs, 'retryDue').unref()
}

/** Tries again after a failed commit. After damage no commit succeeds: only a new file helps. */
export const retry = (state: State, context: Context): void => {
  state.retryTimer = undefined
  if (state.damage) damaged(state, state.damage.details, context)
  else step(state, context)
}

/** Does what was asked for after a commit, or after a loss. A process that is gone misses it. */
export const act = (actions: readonly AfterFlush[]): void => {
  for (const { to, message, payload } of actions)
    try {
      send(to as Ref<AnyInfo>, message, payload)
    } catch (error) {
      if (!isKeelsonError(error, 'NO_PROCESS')) throw error
    }
}

type AnyInfo = { infos: { [name: string]: (payload: unknown) => void } }

/** Ends `degraded` when neither a failure nor a mark is left. */
export const heal = (state: State, context: Context): void => {
  if (state.shard.projection.trouble) return
  emit(context.system, state.shard, 'lmdb.healed', {})
  report(state.shard, 'healed', context)
  reportSource(state, context)
}

const emitFlushed = (
  { shard, feed }: State,
  { frames, derived, since }: Commit,
  result: Settled<void>,
  { system }: Context,
): void => {
  const { code = 'error' } = (result.ok ? {} : (result.error ?? {})) as { code?: unknown }
  emit(system, shard, 'lmdb.flushed', {
    frames: frames?.frames ?? 0,
    rows: frames?.changes.size ?? 0,
    operations: derived?.operations ?? 0,
    lag: feed.lag,
    projectedLsn: (result.ok && frames?.lsn) || feed.projectedLsn,
    durationMs: system.clock.monotonic() - since,
    result: result.ok ? 'ok' : String(code),
  })
}

/** Emits the lag and the load of the outbox. */
export const emitLag = ({ shard, feed }: State, { system }: Context): void => {
  shard.projection.reached(feed.targetLsn, feed.projectedLsn)
  if (!isHeard(system, 'lmdb.lag')) return
  const { references, bytes, tailing } = feed.load
  emit(system, shard, 'lmdb.lag', {
    lag: feed.lag,
    ageMs: shard.projection.behindMs,
    projectedLsn: feed.projectedLsn,
    requestedLsn: shard.projection.health.requestedLsn,
    outbox: references,
    outboxBytes: bytes,
    operations: shard.derived.operations,
    tailing,
  })
}

/** Notifies the applier and the waiters of the projection's position. */
export const settle = (state: State, context: Context): void => {
  const { feed, shard, waiters } = state
  const { projectedLsn } = feed
  // Waiters read this LSN at once; the applier's notification arrives later.
  shard.projectedLsn = projectedLsn
  // Markers of the log move the feed on without a commit.
  shard.projection.reached(feed.targetLsn, projectedLsn)
  Applier.projected(applierOf(state, context), projectedLsn)
  waiters.reach(projectedLsn, shard.derived.ended)
  const isAllDone = feed.lag === 0 && shard.derived.oldestAt === undefined
  if (isAllDone && shard.projection.recovered()) heal(state, context)
}

/** Adds a waiter, and commits for it at once, if the mode lets callers wait. */
export const wait = (state: State, waiter: Waiter, context: Context): State => {
  const { refusal } = state.shard.projection
  state.shard.projection.requested(waiter.lsn)
  if (refusal) waiter.failed(refusal)
  else {
    state.waiters.add(waiter)
    state.waiters.reach(state.feed.projectedLsn, state.shard.derived.ended)
    if (state.waiters.areThere) return step(state, context)
  }
  return state
}

/** Sets a suspension from flushing to holding, if it has not ended. */
export const hold = (state: State, token: string, context: Context): boolean => {
  const { suspensions } = state.shard
  if (!suspensions.held(token)) return false
  report(state.shard, 'suspended', context)
  const owner = String(suspensions.byToken.get(token)?.owner ?? 'app')
  emit(context.system, state.shard, 'lmdb.suspended', { token, owner })
  return true
}

/** Continues at once, also after a failure: its delay has passed, or the cause may be gone. */
export const resumed = (state: State, context: Context): void => {
  if (state.retryTimer) context.cancelTimer(state.retryTimer)
  state.retryTimer = undefined
  report(state.shard, 'resumed', context)
  reportSource(state, context)
}

/** Begins the reconcile that was asked for, if there is one. A running one ends first. */
export const reconcile = (state: State, context: Context): void => {
  const { projection, derived } = state.shard
  if (!state.following || state.reconcile || !projection.isDirty) return
  act(derived.reminders())
  state.reconcile = new Reconcile(projection.epoch, context.system.clock.monotonic())
  context.send(context.self, 'readRows')
}

/** Reads the next rows. The end of a reconcile is clean, as damage ends this process. */
export const continueReconcile = (state: State, context: Context): void => {
  const { following, reconcile: walk, shard, share } = state
  if (!following || !walk) return
  try {
    if (walk.readSome(following.projection, share)) {
      context.system.clock.soon(() => context.send(context.self, 'readRows'))
      return
    }
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    state.reconcile = undefined
    damaged(state, error.details, context)
    return
  }
  state.reconcile = undefined
  shard.projection.reconciled(walk.epoch)
  const durationMs = context.system.clock.monotonic() - walk.since
  emit(context.system, shard, 'lmdb.reconciled', { rows: walk.rows, durationMs })
  if (shard.projection.mode === 'degraded') heal(state, context)
  reconcile(state, context)
}

/** A projection that did not fail for so long, in ms, is well again. */
const wellMs = 60_000

/**
 * Records what happened, and emits a change of the mode. A degraded projection is logged, and when it is
 * well again: on a full disk it may heal and fail many times between.
 */
export const report = (
  shard: ProjectionShard,
  event: ProjectionEvent,
  { system }: Pick<Context, 'system'>,
): void => {
  const change = shard.projection.report(event)
  if (!change) return
  emit(system, shard, 'lmdb.mode', change)
  const { index, projection } = shard
  const { clock, logger } = system
  if (change.to === 'degraded' && projection.spell.begins(clock.now())) {
    const reason = projection.trouble?.cause
    logger.warn(`the projection of shard ${index} is degraded: ${reasonText(reason)}`, {
      shard: index,
      reason,
    })
  }
  if (change.from !== 'degraded' || change.to === 'halted') return
  const healed = projection.spell.heals()
  const look = (): void => {
    const since = projection.spell.endsAt(healed)
    if (since === undefined) return
    const lasted = `${Math.round((clock.now() - wellMs - since) / 1_000)} s`
    logger.info(`the projection of shard ${index} is no longer degraded, after ${lasted}`, {
      shard: index,
    })
  }
  clock.after(wellMs, look, { holdsProcess: false })
}

/** Records where the next frames come from, and a mark that is still there. */
export const reportSource = (state: State, context: Context): void => {
  const { tailing } = state.feed.load
  if (!tailing) state.rebuilds = false
  report(state.shard, !tailing ? 'caughtUp' : state.rebuilds ? 'beganEmpty' : 'fellBehind', context)
  if (state.shard.projection.isMarked) report(state.shard, 'failed', context)
}

/** The applier of the same shard. */
export const applierOf = ({ shard }: State, context: Context): Ref<Applier.Messages> =>
  context.to(Applier.name(shard.parts.instance, shard.index))
