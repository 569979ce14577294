/**
 * The applier of a shard: applies committed frames in LSN order, answers their callers, and
 * publishes the read view.
 *
 * At its start it subscribes to the log, then rebuilds the overlay from the log files: every frame
 * from the projection's position to the last committed LSN. Then it publishes its view. If that is
 * too much (the projection was deleted, or lags far behind), the applier waits until the projection
 * has caught up, which commits as it goes. No committed frame is skipped. A projection that takes
 * no changes during that time takes the shard down after `deadlineMs`, with `DEGRADED`.
 */
import { type ErrorCode, isGone, isKeelsonError, type KeelsonError } from '../../errors.ts'
import {
  call,
  cast,
  foreseen,
  type GenServer,
  isRef,
  noReply,
  ok,
  type Ref,
  reply,
  type System,
  stop,
  type Timer,
} from '../../runtime/index.ts'
import {
  applyUnits,
  type FrameUnits,
  frameBytes,
  isUndecided,
  type ProjectionStore,
} from '../../storage/index.ts'
import { isCount, isIgnored, isRecord } from '../core/payload-check.ts'
import { ReadView } from '../core/read-view.ts'
import { shardName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import type { CommittedGroup } from '../log/appends.ts'
import { isLoss } from '../log/log-failures.ts'
import * as WalWriter from '../log/wal-writer.ts'
import { LogLag } from '../overlay/log-lag.ts'
import { Overlay } from '../overlay/overlay.ts'
import type { ShardRows } from '../overlay/shard-rows.ts'
import { type AppliedFrames, type FrameChanges, NotedChanges } from './applied-frames.ts'
import { streamsApplied, streamsBefore } from './applied-streams.ts'
import { type Behind, logBehind, type Rebuilt, rebuildOverlay } from './overlay-rebuild.ts'
import { openProjection, unprojectable } from './projection-opening.ts'
import type { ProjectionShard } from './projection-shard.ts'

/** The process that takes applied frames: the projection's writer. */
export type ApplyFollower = {
  casts: {
    enqueueProjectionOutbox: (frames: AppliedFrames) => void
    /** Writers wait at the gate until the frames sent so far are projected. */
    makeRoom: () => void
  }
}

/**
 * Where the projection's writer begins: it reads the log up to `appliedLsn`; later frames are sent
 * to it.
 */
export type Following = {
  readonly walId: string
  readonly epoch: number
  readonly appliedLsn: number
  readonly projection: ProjectionStore
}

/** The messages of the applier. */
export type Messages = {
  calls: {
    /** Sends applied frames to `follower` from now on. */
    follow: (follower: Ref<ApplyFollower>) => Following
    describe: () => ApplierDescription
  }
  casts: {
    /** The log has a group that was not applied. */
    committed: () => void
    /** The projection durably shows every frame up to this LSN. */
    projected: (lsn: number) => void
    /** The projection takes no changes, for this reason. */
    unprojected: (reason: unknown) => void
    /** A row has a wrong checksum. */
    damaged: (evidence: unknown) => void
  }
  infos: {
    /** The rows that the projection shows up to this LSN were kept for `hotTtlMs`. */
    cooled: (lsn: number) => void
    /** The projection that is waited for has taken no changes for `deadlineMs`. */
    givenUp: (reason: unknown) => void
  }
  continues: { open: () => void; rebuild: () => void }
}

/** `waiting`: there are too many frames that the projection does not show yet. */
type Mode = 'recovering' | 'waiting' | 'open'

/** The state of the applier, for `describe`. */
export type ApplierDescription = {
  readonly mode: Mode
  readonly appliedLsn: number
  readonly overlayKeys: number
  readonly overlayBytes: number
  /** The bytes of the log that the projection does not show. */
  readonly lagBytes: number
}

type State = {
  readonly shard: ProjectionShard
  mode: Mode
  subscription: WalWriter.Subscription
  projection: ProjectionStore | undefined
  overlay: Overlay
  lag: LogLag
  /** The log that the projection has to take before this process can go on. */
  behind: Behind | undefined
  /** Ends the wait for a projection that takes no changes. */
  giveUp: Timer | undefined
  /** Overlay and projection as one, to apply frames to. Set while the mode is `open`. */
  rows: ShardRows | undefined
  follower: Ref<ApplyFollower> | undefined
  /** The last frame that was applied, or read from the log. */
  appliedLsn: number
  /** The LSN up to which the projection shows the frames, as far as this process was notified. */
  shownLsn: number
}

/** The name of the hold on the gate while too much is not projected. */
const fullHold = 'projection'

/** The applier of a shard. */
export const server: GenServer<Messages, State, ProjectionShard> = {
  init: (shard, context) => {
    // No read is answered from the view after this process has ended, for any reason.
    context.system.monitor(context.self, () => {
      shard.retract()
      shard.gate.release(fullHold)
    })
    shard.projection.onDamage = (evidence) => {
      // The next incarnation begins with a rebuilt projection. Until then nobody reads.
      shard.files.distrustProjection()
      shard.retract()
      cast(context.self, 'damaged', evidence)
    }
    return ok(initialState(shard), { continue: ['open'] })
  },

  continues: {
    open: async (state, _, context) => {
      try {
        state.subscription = await WalWriter.subscribe(
          context.to(WalWriter.name(state.shard.parts.instance, state.shard.index)),
          context.self,
        )
      } catch (error) {
        // The log did not open: the shard is going down, and this process with it.
        if (isGone(error)) return stop(['shutdown', foreseen(error)], state)
        throw error
      }
      state.appliedLsn = state.subscription.lastLsn
      try {
        state.projection = await openProjection(state.shard, context)
      } catch (error) {
        if (!state.shard.files.hasLog) return noReply(state)
        return beyondRestart(state, error, ['DEGRADED', 'CORRUPT', 'FENCED'], context)
      }
      return noReply(state, { continue: ['rebuild'] })
    },
    rebuild: async (state, _, context) => {
      const { shard, subscription } = state
      // The projection's writer is answered after this, and leaves the projection alone until then.
      const projection = projectionOf(state)
      try {
        const behind = await logBehind(shard, projection)
        const { lastLsn } = subscription
        const rebuilt = await rebuildOverlay(shard, projection, behind, lastLsn, context)
        return noReply(rebuilt ? opened(state, rebuilt, context) : waiting(state, behind))
      } catch (error) {
        if (!shard.files.hasLog) return noReply(state)
        // Another member owns the log, and may have trimmed it; or its engine has lost a part.
        const codes: ErrorCode[] = isLoss(error) ? ['CORRUPT'] : ['FENCED']
        if (isUndecided(error)) codes.push('SHARD_DOWN')
        return beyondRestart(state, error, codes, context)
      }
    },
  },

  accepts: {
    calls: { follow: isRef, describe: isIgnored },
    casts: {
      committed: isIgnored,
      projected: isCount,
      unprojected: () => true,
      damaged: isRecord({}),
    },
    infos: { cooled: isCount, givenUp: () => true },
  },

  calls: {
    follow: (state, follower) => {
      const { walId, epoch } = state.subscription
      const projection = projectionOf(state)
      return reply(
        { walId, epoch, appliedLsn: state.appliedLsn, projection },
        { ...state, follower },
      )
    },
    describe: (state) =>
      reply(
        {
          mode: state.mode,
          appliedLsn: state.appliedLsn,
          overlayKeys: state.overlay.size,
          overlayBytes: state.overlay.bytes,
          lagBytes: state.lag.bytes,
        },
        state,
      ),
  },

  casts: {
    committed: (state, _, context) => {
      if (state.mode === 'open') takeAll(state, context)
      return noReply(state)
    },
    projected: (state, notice, context) => {
      const lsn = shownOf(state, notice)
      const isNews = lsn > state.shownLsn
      state.shownLsn = lsn
      if (state.mode === 'waiting') {
        if (isNews) progressed(state, lsn, context)
        return lsn >= state.subscription.lastLsn
          ? noReply(state, { continue: ['rebuild'] })
          : noReply(state)
      }
      state.lag.shown(lsn)
      state.shard.lagBytes = state.lag.bytes
      const { hotTtlMs } = state.shard.parts.settings.overlay
      if (hotTtlMs === 0 || state.overlay.isFull) state.overlay.forget(lsn)
      else if (isNews) context.sendAfter(hotTtlMs, 'cooled', lsn).unref()
      if (!isFull(state)) state.shard.gate.release(fullHold)
      return noReply(state)
    },
    unprojected: (state, reason, context) => {
      const { deadlineMs } = state.shard.parts.settings
      if (isUndecided(reason)) goDown(state.shard, reason, context)
      else if (state.mode === 'waiting')
        state.giveUp ??= context.sendAfter(Math.ceil(deadlineMs), 'givenUp', reason)
      return noReply(state)
    },
    damaged: (state, evidence) => stop(['damaged_projection', evidence], state),
  },

  infos: {
    cooled: (state, lsn) => {
      state.overlay.forget(shownOf(state, lsn))
      return noReply(state)
    },
    givenUp: (state, reason, context) => {
      const { shard, mode, giveUp } = state
      if (mode !== 'waiting' || !giveUp) return noReply(state)
      // No reader would ever see it: the callers must hear it. `control.reopen` tries again.
      goDown(shard, unprojectable(shard, reason), context)
      return noReply(state)
    },
  },
}

/**
 * `lsn`, or the projection's own position if that is less. Any process may send the applier a
 * message, and a row that is forgotten too early is hidden from every reader.
 */
const shownOf = ({ shard }: State, lsn: number): number => Math.min(lsn, shard.projectedLsn)

type Context = Parameters<NonNullable<(typeof server)['casts']>['committed']>[2]

/** The name of a shard's applier; prints as `applier(0)`. */
export const name = shardName<Messages>('applier')

/**
 * Subscribes to applied frames. Resolves when the applier follows the log, without a time limit.
 */
export const follow = (applier: Ref<Messages>, follower: Ref<ApplyFollower>): Promise<Following> =>
  call(applier, 'follow', follower, { timeoutMs: Number.POSITIVE_INFINITY })

/** Notifies the applier: the projection durably shows every frame up to `lsn`. */
export const projected = (applier: Ref<Messages>, lsn: number): void => {
  cast(applier, 'projected', lsn)
}

/** Notifies the applier: the projection takes no changes at the moment, for `reason`. */
export const unprojected = (applier: Ref<Messages>, reason: unknown): void => {
  cast(applier, 'unprojected', reason)
}

/** Describes the applier and its overlay. */
export const describe = (applier: Ref<Messages>, timeoutMs?: number): Promise<ApplierDescription> =>
  call(applier, 'describe', undefined, { timeoutMs })

const initialState = (shard: ProjectionShard): State => ({
  shard,
  mode: 'recovering',
  subscription: { walId: '', epoch: 0, lastLsn: 0 },
  projection: undefined,
  overlay: new Overlay(shard.parts.settings.overlay),
  lag: new LogLag(shard.parts.settings.lmdb.lagBytesMax),
  behind: undefined,
  giveUp: undefined,
  rows: undefined,
  follower: undefined,
  appliedLsn: 0,
  shownLsn: 0,
})

const projectionOf = ({ projection, shard }: State): ProjectionStore => {
  if (!projection) throw shard.unavailable()
  return projection
}

/**
 * Takes the shard down if the error has one of these codes: a restart cannot help. The way back is
 * `control.reopen`, or a new process. @throws any other error
 */
const beyondRestart = (
  state: State,
  error: unknown,
  codes: readonly ErrorCode[],
  context: Context,
) => {
  if (!(isKeelsonError(error) && codes.includes(error.code))) throw error
  goDown(state.shard, error, context)
  return noReply(state)
}

/** Takes the shard down, and ends its tree. */
const goDown = (shard: ProjectionShard, reason: KeelsonError, context: Context): void => {
  if (shard.goDown(reason, context.signal)) emit(context.system, shard, 'shard.down', { reason })
  WalWriter.end(context.to(WalWriter.name(shard.parts.instance, shard.index)), reason)
}

const waiting = (state: State, behind: Behind): State => {
  state.shard.recovery.begin('log', behind.bytes)
  return { ...state, mode: 'waiting', behind }
}

/** The projection that this process waits for has come to `lsn`. */
const progressed = (state: State, lsn: number, context: Context): void => {
  const { shard, behind, giveUp } = state
  if (giveUp) context.cancelTimer(giveUp)
  state.giveUp = undefined
  if (!behind) return
  const { from, to, bytes } = behind
  // Frames count as equally long.
  const part = Math.min(1, (lsn - from) / Math.max(1, to - from))
  shard.recovery.reach(lsn - from, Math.round(part * bytes))
}

const opened = (state: State, { overlay, rows, lag }: Rebuilt, context: Context): State => {
  const { shard } = state
  const { signal } = context
  // A rebuild that outlives its killed applier publishes nothing.
  if (signal.aborted) return state
  const projection = projectionOf(state)
  // Frames that the projection shows by now are not needed.
  overlay.forget(projection.position()?.lsn ?? 0)
  shard.projectedLsn = projection.position()?.lsn ?? 0
  shard.appliedLsn = state.appliedLsn
  shard.lagBytes = lag.bytes
  shard.recovery.end()
  const open: State = {
    ...state,
    mode: 'open',
    overlay,
    rows,
    lag,
    behind: undefined,
  }
  // Frames that were read from the log were shown to no watcher.
  shard.changes.rebuilt()
  takeAll(open, context)
  shard.publish(new ReadView(overlay, projection), signal)
  return open
}

/** Whether writers must wait until the projection shows more. */
const isFull = ({ overlay, lag }: State): boolean => overlay.isFull || lag.isFull

/** Takes the groups in the log that were not applied. An earlier applier may have left them. */
const takeAll = (state: State, context: Context): void => {
  const { appends } = state.shard
  for (let next = appends.unheard; next; next = appends.unheard) take(state, next, context)
}

/** Applies a group, passes it on, and holds the gate if too much is not projected. */
const take = (state: State, committed: CommittedGroup, context: Context): void => {
  const { group, units, time, durableLsn } = committed
  const { rows } = state
  if (!rows) throw state.shard.unavailable()
  const changes = apply(context.system, state, rows, committed)
  state.shard.appends.heard()
  emit(context.system, state.shard, 'applier.applied', {
    frames: group.lsns.length,
    appliedLsn: state.appliedLsn,
    overlayKeys: state.overlay.size,
    overlayBytes: state.overlay.bytes,
  })
  state.shard.expiry.note(rows.takeSoonest())
  state.shard.due.note(rows.takeSoonestDue())
  state.shard.removals.note(rows.takeSoonestRemoval())
  const { lsns } = group
  if (state.follower)
    cast(state.follower, 'enqueueProjectionOutbox', { time, durableLsn, lsns, units, changes })
  // Rows that are kept only as a cache make room first.
  if (state.overlay.isFull) state.overlay.forget(state.shard.projectedLsn)
  if (!isFull(state)) return
  state.shard.gate.hold(fullHold)
  if (state.follower) cast(state.follower, 'makeRoom', undefined)
}

/**
 * Applies a group and answers its callers. A unit that the state refuses is answered with the
 * refusal. Returns what the frames changed.
 */
const apply = (
  system: System,
  state: State,
  rows: ShardRows,
  committed: CommittedGroup,
): FrameChanges => {
  const { group, units, time } = committed
  const { shard } = state
  const { lsns, lengths } = group
  const { bytes: lagAtFirst } = state.lag
  const changes = new NotedChanges(rows)
  for (let at = 0; at < lsns.length; at++) {
    const lsn = lsns[at] as number
    state.lag.add(lsn, frameBytes(lengths[at] ?? 0))
    rows.begin(lsn)
    const frame = units[at] as FrameUnits
    const streams = streamsBefore(system, frame, rows)
    const answers = applyUnits(frame, rows, { lsn, time }, changes)
    changes.end(lengths[at] ?? 0)
    state.appliedLsn = lsn
    shard.appliedLsn = lsn
    if (shard.changes.isWatched) shard.changes.show({ lsn, time, units: frame, answers, rows })
    if (streams) streamsApplied(system, shard, streams, frame, answers, rows)
    group.claim(at)?.applied(lsn, answers)
  }
  shard.lagBytes = state.lag.bytes
  shard.snapshots.grew(state.appliedLsn, state.lag.bytes - lagAtFirst)
  shard.replication.grew(state.lag.bytes - lagAtFirst)
  return changes
}
