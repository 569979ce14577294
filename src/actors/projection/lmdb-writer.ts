/**
 * The writer of a shard's projection. It commits applied frames in batches: rows and position in
 * one transaction. Writes do not wait for it until the overlay is full. Frames that do not fit the
 * outbox are read from the log files. So a lag makes the writer slower, never wrong.
 *
 * A full disk is a state (`degraded`, retried with back-off), not a crash. Suspensions are kept in
 * the `Shard` value: a restart of this process does not end them.
 */
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import {
  call,
  type GenServer,
  noReply,
  ok,
  type Ref,
  reply,
  type Settled,
  stop,
  type Timer,
} from '../../runtime/index.ts'
import { ProjectionRows, type ReadAnswer, type Rows, TurnShare } from '../../storage/index.ts'
import * as WalWriter from '../log/wal-writer.ts'
import {
  isCount,
  isFlag,
  isIgnored,
  isList,
  isRecord,
  isSettled,
  isText,
} from '../shard/payload-check.ts'
import type { ProjectionEvent } from '../shard/projection-mode.ts'
import type { Shard } from '../shard/shard.ts'
import { shardName } from '../shard/shard-name.ts'
import { isHeard, tell } from '../shard/storage-events.ts'
import * as Applier from './applier.ts'
import type { ProjectionBatch } from './projection-batch.ts'
import { descriptionOf, type ProjectionWriterDescription } from './projection-description.ts'
import { type FlushStep, ProjectionFeed } from './projection-feed.ts'
import { answering, ProjectionWaiters, unheard, type Waiter } from './projection-waiters.ts'

export type { ProjectionWriterDescription } from './projection-description.ts'

/** The messages of the projection's writer. */
export type Messages = {
  calls: {
    /**
     * Resolves when the projection shows every frame applied before the call, with its LSN.
     * @throws `DEGRADED`
     */
    flush: () => number
    /** Resolves when the projection durably shows `lsn`. @throws `DEGRADED` */
    request: (lsn: number) => number
    /**
     * Flushes if `flush` is set, then holds if the suspension has not ended.
     * @throws `DEGRADED` if the flush fails
     */
    suspend: (request: { token: string; flush: boolean }) => void
    /** Continues if no suspension is left. */
    resume: () => void
    /** Drops the queued references and reads the log instead. Returns their number. */
    discard: () => number
    describe: () => ProjectionWriterDescription
  }
  casts: {
    enqueueProjectionOutbox: (frames: Applier.AppliedFrames) => void
    makeRoom: () => void
  }
  infos: {
    flushDue: () => void
    retryDue: () => void
    step: () => void
    read: (read: Settled<ReadAnswer>) => void
    synced: (durableLsn: Settled<number>) => void
    committed: (commit: Settled<void>) => void
  }
  continues: { follow: () => void }
}

type State = {
  readonly shard: Shard
  /** The applier's answer to `follow`, and the feed of frames to commit. */
  following: Applier.Following | undefined
  /** The projection's rows, once this process follows the applier. */
  rows: Rows | undefined
  feed: ProjectionFeed
  readonly waiters: ProjectionWaiters
  flushTimer: Timer | undefined
  retryTimer: Timer | undefined
  /** A read, a sync or a commit is under way. The next step runs when it is answered. */
  waiting: boolean
  /** The batch under commit. Its rows stay in the overlay until the commit is answered. */
  committing: ProjectionBatch | undefined
  /** Calls to make after the present commit, before the next one begins. */
  afterCommit: (() => void)[]
  /** Limits the time that gathering takes from one turn of the event loop. */
  readonly share: TurnShare
  /** The next step is scheduled in a later turn. */
  stepping: boolean
  /** The projection had no position, and the log is read from its first frame. */
  rebuilds: boolean
}

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024
/** The projection's writer of a shard. */
export const server: GenServer<Messages, State, Shard> = {
  init: (shard, context) => {
    report(shard, 'restarted', context)
    return ok(initialState(shard), { continue: ['follow'] })
  },

  continues: {
    follow: async (state, _, context) => {
      const { shard } = state
      try {
        const applier = context.to(Applier.name(shard.parts.instance, shard.index))
        state.following = await Applier.follow(applier, context.self)
      } catch (error) {
        // The applier has ended. Its supervisor restarts it, and this process after it.
        if (isKeelsonError(error, 'EXITED') || isKeelsonError(error, 'NO_PROCESS'))
          return stop('shutdown', state)
        throw error
      }
      const { projection, appliedLsn } = state.following
      // A commit that an earlier process began has now either succeeded or failed for good.
      await projection.settled()
      const projectedLsn = projection.position()?.lsn ?? 0
      state.rebuilds = projectedLsn === 0
      state.feed = new ProjectionFeed(shard.parts.settings.lmdb, projectedLsn, appliedLsn)
      // The LSN is lower than before if a damaged projection was set aside.
      shard.projectedLsn = state.feed.projectedLsn
      reportSource(state, context)
      if (shard.isHeld) report(shard, 'suspended', context)
      return noReply(step(state, context))
    },
  },

  accepts: {
    calls: {
      flush: isIgnored,
      request: isCount,
      suspend: isRecord({ token: isText, flush: isFlag }),
      resume: isIgnored,
      discard: isIgnored,
      describe: isIgnored,
    },
    casts: {
      enqueueProjectionOutbox: isRecord({
        time: isCount,
        durableLsn: isCount,
        lsns: isList,
        units: isList,
        lengths: isList,
      }),
      makeRoom: isIgnored,
    },
    infos: {
      flushDue: isIgnored,
      retryDue: isIgnored,
      step: isIgnored,
      read: isSettled(isRecord({ frames: isList, next: isCount })),
      synced: isSettled(isCount),
      committed: isSettled(),
    },
  },

  calls: {
    flush: (state, _, context) => {
      const waiter = { lsn: state.feed.targetLsn, ...answering(context.from) }
      return noReply(wait(state, waiter, context))
    },
    request: (state, lsn, context) =>
      noReply(wait(state, { lsn, ...answering(context.from) }, context)),
    suspend: (state, { token, flush }, context) => {
      const { from } = context
      const held = () => {
        if (hold(state, token, context)) from.reply(undefined)
        else from.fail(new KeelsonError('DISCARDED', 'the suspension ended before it held'))
      }
      // A held projection must not change: no commit may be under way.
      const reached = () => {
        if (state.committing) state.afterCommit.push(held)
        else held()
      }
      const failed = (error: KeelsonError) => from.fail(error)
      // The flush cannot complete before the other suspension ends, and this one would hold its
      // writers as long.
      if (flush && state.shard.isHeld && state.feed.lag > 0) {
        failed(
          new KeelsonError('BUSY', 'another suspension holds the projection, which lags behind'),
        )
        return noReply(state)
      }
      if (flush)
        return noReply(wait(state, { lsn: state.feed.targetLsn, reached, failed }, context))
      reached()
      return noReply(state)
    },
    resume: (state, _, context) => {
      tell(context.system, state.shard, 'lmdb.resumed', { held: state.shard.suspensions.size })
      if (!state.shard.isHeld) resumed(state, context)
      return reply(undefined, step(state, context))
    },
    discard: (state, _, context) => {
      const discarded = state.feed.discard()
      reportSource(state, context)
      const error = new KeelsonError('DISCARDED', 'a discard ended the wait for the projection')
      state.waiters.fail(error)
      tell(context.system, state.shard, 'lmdb.discarded', { references: discarded })
      tellLag(state, context)
      return reply(discarded, step(state, context))
    },
    describe: (state) => reply(descriptionOf(state), state),
  },

  casts: {
    enqueueProjectionOutbox: (state, frames, context) => {
      state.feed.enqueue(frames, context.system.clock.monotonic())
      reportSource(state, context)
      tellLag(state, context)
      return noReply(step(state, context))
    },
    makeRoom: (state, _, context) =>
      noReply(wait(state, { lsn: state.feed.targetLsn, ...unheard }, context)),
  },

  infos: {
    flushDue: (state, _, context) => {
      state.flushTimer = undefined
      return noReply(step(state, context))
    },
    retryDue: (state, _, context) => {
      state.retryTimer = undefined
      return noReply(step(state, context))
    },
    step: (state, _, context) => {
      state.stepping = false
      return noReply(step(state, context))
    },
    read: (state, result, context) => {
      if (!result.ok) throw result.error
      state.waiting = false
      state.feed.tailed(result.value)
      reportSource(state, context)
      settle(state, context)
      return noReply(step(state, context))
    },
    synced: (state, result, context) => {
      state.waiting = false
      // Without an answer the log's writer has ended. This process ends with it, or starts again.
      if (!result.ok) return noReply(state)
      state.feed.durable(result.value)
      return noReply(step(state, context))
    },
    committed: (state, result, context) => {
      const batch = state.committing
      state.waiting = false
      state.committing = undefined
      // The outcome of the commit is unknown: the next incarnation reads it from the projection.
      if (!result.ok && isKeelsonError(result.error, 'SHARD_DOWN')) throw result.error
      if (!result.ok) degrade(state, result.error, context)
      else if (batch) committed(state, batch, context)
      for (const act of state.afterCommit.splice(0)) act()
      // The next commit gets a turn of its own.
      if (result.ok) stepLater(state, context)
      return noReply(state)
    },
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['step']>[2]

/** The name of a shard's projection writer; prints as `lmdb_writer(0)`. */
export const name = shardName<Messages>('lmdb_writer')

/**
 * The answer of a shard's writer. If there is none because the followers have given up, the error is
 * `DEGRADED` at once: neither waiting nor asking again would help.
 */
export const answerOf = async <T>(shard: Shard, answer: Promise<T>): Promise<T> => {
  try {
    return await answer
  } catch (error) {
    const isGone = isKeelsonError(error, 'NO_PROCESS') || isKeelsonError(error, 'EXITED')
    throw (isGone && shard.projection.refusal) || error
  }
}

/**
 * Resolves when the projection shows every frame applied before the call, with the LSN that it
 * shows.
 */
export const flush = (writer: Ref<Messages>, timeoutMs: number): Promise<number> =>
  call(writer, 'flush', undefined, { timeoutMs })

/** Resolves when the projection durably shows `lsn`. */
export const request = (writer: Ref<Messages>, lsn: number, timeoutMs: number): Promise<number> =>
  call(writer, 'request', lsn, { timeoutMs })

/** Holds the projection; with `flush` it is flushed first. */
export const suspend = (
  writer: Ref<Messages>,
  token: string,
  flush: boolean,
  timeoutMs: number,
): Promise<void> => call(writer, 'suspend', { token, flush }, { timeoutMs })

/** Continues to commit if no suspension is left. */
export const resume = (writer: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(writer, 'resume', undefined, { timeoutMs })

/** Drops the queued references and reads the log instead. Resolves with their number. */
export const discard = (writer: Ref<Messages>, timeoutMs: number): Promise<number> =>
  call(writer, 'discard', undefined, { timeoutMs })

/** Describes the projection and its writer. */
export const describe = (writer: Ref<Messages>): Promise<ProjectionWriterDescription> =>
  call(writer, 'describe')

const initialState = (shard: Shard): State => ({
  shard,
  share: new TurnShare(shard.parts.clock),
  following: undefined,
  rows: undefined,
  feed: new ProjectionFeed(shard.parts.settings.lmdb, 0, 0),
  waiters: new ProjectionWaiters(),
  flushTimer: undefined,
  retryTimer: undefined,
  waiting: false,
  committing: undefined,
  afterCommit: [],
  stepping: false,
  rebuilds: false,
})

/** Begins the next step, if there is one. Its end calls this function again. */
const step = (state: State, context: Context): State => {
  const { shard } = state
  if (!state.following || state.waiting || state.retryTimer || !shard.projection.takes) return state
  state.share.begin()
  let next = nextStep(state, state.following, context)
  while (next.kind === 'gather' && !state.share.isOver())
    next = nextStep(state, state.following, context)
  if (next.kind === 'nothing') settle(state, context)
  if (next.kind === 'due') state.flushTimer ??= context.sendAfter(Math.ceil(next.inMs), 'flushDue')
  if (next.kind === 'sync') {
    const writer = context.to(WalWriter.name(shard.parts.instance, shard.index))
    state.waiting = true
    context.pipe(WalWriter.sync(writer), 'synced')
  }
  if (next.kind === 'read') {
    state.waiting = true
    context.pipe(shard.files.log().run('read', { from: next.from, maxBytes: readBytes }), 'read')
  }
  if (next.kind === 'gather') stepLater(state, context)
  if (next.kind === 'commit') commit(state, state.following, next.batch, context)
  return state
}

/** Runs the next step in a later turn of the event loop, after pending I/O and messages. */
const stepLater = (state: State, context: Context): void => {
  if (state.stepping) return
  state.stepping = true
  context.system.clock.soon(() => context.send(context.self, 'step'))
}

const nextStep = (state: State, { projection }: Applier.Following, context: Context): FlushStep => {
  const urgent = state.waiters.areThere
  try {
    state.rows ??= new ProjectionRows(projection, state.shard.blobs.reader)
    return state.feed.next(context.system.clock.monotonic(), urgent, state.rows)
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    Applier.damaged(applierOf(state, context), error.details)
    // The applier ends, and this process with it.
    report(state.shard, 'restarted', context)
    return { kind: 'nothing' }
  }
}

/** Commits a batch in one transaction on another thread. Its end arrives as `committed`. */
const commit = (
  state: State,
  { projection, walId, epoch }: Applier.Following,
  batch: ProjectionBatch,
  context: Context,
): void => {
  const { lsn, frame } = batch
  state.waiting = true
  state.committing = batch
  const position = { walId, epoch, lsn, ...(frame ? { frame } : {}) }
  context.pipe(projection.commit(batch.changes, position), 'committed')
}

/** Handles a committed batch. */
const committed = (state: State, batch: ProjectionBatch, context: Context): void => {
  state.feed.committed(batch)
  // The last lock may be gone. Puts look for locks as long as the hint says there is one.
  if (state.rows?.hints.locks) state.rows = undefined
  if (state.shard.projection.flushed(context.now())) {
    tell(context.system, state.shard, 'lmdb.healed', {})
    report(state.shard, 'healed', context)
  }
  reportSource(state, context)
  tell(context.system, state.shard, 'lmdb.flushed', {
    frames: batch.frames,
    rows: batch.changes.size,
    lag: state.feed.lag,
  })
  tellLag(state, context)
  settle(state, context)
}

const tellLag = ({ shard, feed }: State, { system }: Context): void => {
  if (!isHeard(system, 'lmdb.lag')) return
  const { references, bytes, tailing } = feed.load
  const { lag, projectedLsn } = feed
  const load = { outbox: references, outboxBytes: bytes, tailing }
  tell(system, shard, 'lmdb.lag', { lag, projectedLsn, ...load })
}

/** Notifies the applier and the waiters of the projection's position. */
const settle = (state: State, context: Context): void => {
  const { projectedLsn } = state.feed
  // Waiters read this LSN at once; the applier's notification arrives later.
  state.shard.projectedLsn = projectedLsn
  Applier.projected(applierOf(state, context), projectedLsn)
  state.waiters.reach(projectedLsn)
}

/** Adds a waiter, and commits for it at once, if the mode lets callers wait. */
const wait = (state: State, waiter: Waiter, context: Context): State => {
  const { refusal } = state.shard.projection
  if (refusal) {
    waiter.failed(refusal)
    return state
  }
  if (waiter.lsn <= state.feed.projectedLsn) {
    waiter.reached(state.feed.projectedLsn)
    return state
  }
  state.waiters.add(waiter)
  return step(state, context)
}

/** Handles a failed commit: the writer retries later. Reads stay right, from overlay and log. */
const degrade = (state: State, error: unknown, context: Context): void => {
  const { shard, waiters } = state
  const { projection } = shard
  Applier.unprojected(applierOf(state, context), error)
  waiters.fail(projection.recordFlushFailure(error))
  report(shard, 'failed', context)
  const { failuresInRow: failures } = projection
  tell(context.system, shard, 'lmdb.degraded', { reason: reasonText(error), failures })
  const inMs = projection.retryInMs(context.system.clock.random)
  state.retryTimer = context.sendAfter(inMs, 'retryDue').unref()
}

/** Sets a suspension from flushing to holding, if it has not ended. */
const hold = (state: State, token: string, context: Context): boolean => {
  const suspension = state.shard.suspensions.get(token)
  if (!suspension) return false
  suspension.state = 'holding'
  report(state.shard, 'suspended', context)
  tell(context.system, state.shard, 'lmdb.suspended', {
    token: suspension.token,
    owner: String(suspension.owner ?? 'app'),
  })
  return true
}

/** Records what happened, and emits a change of the mode. */
const report = (
  shard: Shard,
  event: ProjectionEvent,
  { system }: Pick<Context, 'system'>,
): void => {
  const change = shard.projection.report(event)
  if (change) tell(system, shard, 'lmdb.mode', change)
}

/** Records where the next frames come from. */
const reportSource = (state: State, context: Context): void => {
  const { tailing } = state.feed.load
  if (!tailing) state.rebuilds = false
  report(state.shard, !tailing ? 'caughtUp' : state.rebuilds ? 'beganEmpty' : 'fellBehind', context)
}

/** Continues at once, also after a failure: its delay has passed, or the cause may be gone. */
const resumed = (state: State, context: Context): void => {
  if (state.retryTimer) context.cancelTimer(state.retryTimer)
  state.retryTimer = undefined
  report(state.shard, 'resumed', context)
  reportSource(state, context)
}

const applierOf = ({ shard }: State, context: Context): Ref<Applier.Messages> =>
  context.to(Applier.name(shard.parts.instance, shard.index))
