/**
 * The writer of a shard's projection: its messages. It commits applied frames in batches: rows and
 * position in one transaction, and with them the rows that actors derived. Writes do not wait for it
 * until the overlay is full. Frames that do not fit the outbox are read from the log files. So a lag
 * makes the writer slower, never wrong. `projection-writing.ts` has the steps.
 *
 * A full disk is a mode (`degraded`, retried with back-off), not a crash. The mode, suspensions,
 * marks and derived rows are in the `Shard` value: a restart of this process ends none of them.
 */
import { isGone, KeelsonError } from '../../errors.ts'
import {
  call,
  cast,
  foreseen,
  type GenServer,
  noReply,
  ok,
  type Ref,
  reply,
  type System,
  stop,
} from '../../runtime/index.ts'
import { producerLsnOf, producerRowKey } from '../../storage/index.ts'
import {
  isCount,
  isFlag,
  isIgnored,
  isList,
  isRecord,
  isSettled,
  isText,
} from '../core/payload-check.ts'
import { shardName } from '../core/shard-name.ts'
import type { ProjectionMode } from '../core/storage-events.ts'
import { emit } from '../core/storage-events.ts'
import type { AppliedFrames } from './applied-frames.ts'
import * as Applier from './applier.ts'
import { ProjectionFeed } from './projection-feed.ts'
import type { ProjectionShard } from './projection-shard.ts'
import { everything, initialState, type State, type Steps } from './projection-state.ts'
import { answering, unheard } from './projection-waiters.ts'
import {
  act,
  committed,
  continueReconcile,
  emitLag,
  hold,
  projectingOf,
  reconcile,
  report,
  reportSource,
  resumed,
  retry,
  settle,
  step,
  stepLater,
  wait,
} from './projection-writing.ts'
import type { Suspension } from './suspensions.ts'

/** The state of the projection's writer, for `describe`. */
export type ProjectionWriterDescription = {
  readonly mode: ProjectionMode
  readonly projectedLsn: number
  readonly lag: number
  readonly outbox: number
  readonly outboxBytes: number
  readonly suspensions: readonly Suspension[]
  readonly degraded: string | undefined
  readonly rows: number
  readonly bytes: number
}

/** The messages of the projection's writer. */
export type Messages = {
  calls: {
    /**
     * Resolves when the projection shows every frame applied and every row enqueued before the
     * call, with its LSN.
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
    /** Resolves when the rebuild of a projection by users has begun. */
    rebuildProjection: (name: string) => void
  }
  casts: {
    enqueueProjectionOutbox: (frames: AppliedFrames) => void
    makeRoom: () => void
    /** Derived rows wait in the `Shard` value. */
    derivedEnqueued: () => void
    /** A reconcile was asked for. */
    reconcile: () => void
  }
  infos: Steps['infos']
  continues: { follow: () => void }
}

/** The projection's writer of a shard. */
export const server: GenServer<Messages, State, ProjectionShard> = {
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
        if (isGone(error)) return stop(['shutdown', foreseen(error)], state)
        throw error
      }
      const { projection, appliedLsn } = state.following
      // A commit that an earlier process began has now either succeeded or failed for good.
      await projection.settled()
      const projectedLsn = projection.position()?.lsn ?? 0
      state.rebuilds = projectedLsn === 0
      state.feed = new ProjectionFeed(
        shard.parts.settings.lmdb,
        projectedLsn,
        appliedLsn,
        projectingOf(state, context),
      )
      // The LSN is lower than before if a damaged projection was set aside.
      shard.projectedLsn = state.feed.projectedLsn
      // A producer whose rows went with the projection begins again.
      const lsnOf = (producer: string) => producerLsnOf(projection.get(producerRowKey(producer)))
      act(shard.derived.reconcile(lsnOf))
      reportSource(state, context)
      if (shard.suspensions.isHeld) report(shard, 'suspended', context)
      reconcile(state, context)
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
      rebuildProjection: isText,
    },
    casts: {
      enqueueProjectionOutbox: isRecord({
        time: isCount,
        durableLsn: isCount,
        lsns: isList,
        units: isList,
        changes: isRecord({ rowKeys: isList, rows: isList, ends: isList, bytes: isList }),
      }),
      makeRoom: isIgnored,
      derivedEnqueued: isIgnored,
      reconcile: isIgnored,
    },
    infos: {
      flushDue: isIgnored,
      retryDue: isIgnored,
      step: isIgnored,
      readRows: isIgnored,
      read: isSettled(isRecord({ frames: isList, next: isCount })),
      synced: isSettled(isCount),
      committed: isSettled(),
    },
  },

  calls: {
    flush: (state, _, context) => {
      const waiter = { ...everything(state), ...answering(context.from) }
      return noReply(wait(state, waiter, context))
    },
    request: (state, lsn, context) =>
      noReply(wait(state, { lsn, derived: 0, ...answering(context.from) }, context)),
    suspend: (state, { token, flush }, context) => {
      const { from } = context
      const held = () => {
        if (hold(state, token, context)) from.reply(undefined)
        else from.fail(new KeelsonError('DISCARDED', 'the suspension ended before it held'))
      }
      // A held projection must not change: no commit may be pending.
      const reached = () => {
        if (state.committing) state.afterCommit.push(held)
        else held()
      }
      const failed = (error: KeelsonError) => from.fail(error)
      // The flush cannot complete before the other suspension ends, and this one would hold its
      // writers as long.
      const { suspensions, derived } = state.shard
      if (flush && suspensions.isHeld && (state.feed.lag > 0 || derived.oldestAt !== undefined)) {
        failed(
          new KeelsonError('BUSY', 'another suspension holds the projection, which lags behind'),
        )
        return noReply(state)
      }
      if (flush) return noReply(wait(state, { ...everything(state), reached, failed }, context))
      reached()
      return noReply(state)
    },
    resume: (state, _, context) => {
      emit(context.system, state.shard, 'lmdb.resumed', {
        held: state.shard.suspensions.byToken.size,
      })
      if (!state.shard.suspensions.isHeld) resumed(state, context)
      return reply(undefined, step(state, context))
    },
    discard: (state, _, context) => {
      const discarded = state.feed.discard()
      act(state.shard.derived.discard())
      reportSource(state, context)
      const error = new KeelsonError('DISCARDED', 'a discard ended the wait for the projection')
      state.waiters.fail(error)
      emit(context.system, state.shard, 'lmdb.discarded', { references: discarded })
      emitLag(state, context)
      return reply(discarded, step(state, context))
    },
    describe: (state) => reply(descriptionOf(state), state),
    rebuildProjection: (state, name, context) => {
      const { from } = context
      state.rebuild.push({ name, begun: () => from.reply(undefined) })
      state.shard.projection.givenUp.delete(name)
      state.mayWalk = true
      return noReply(step(state, context))
    },
  },

  casts: {
    enqueueProjectionOutbox: (state, frames, context) => {
      const isNews = state.feed.enqueue(frames, context.system.clock.monotonic())
      if (isNews) reportSource(state, context)
      emitLag(state, context)
      return noReply(isNews || !state.flushTimer ? step(state, context) : state)
    },
    makeRoom: (state, _, context) =>
      noReply(wait(state, { lsn: state.feed.targetLsn, derived: 0, ...unheard }, context)),
    derivedEnqueued: (state, _, context) => noReply(step(state, context)),
    reconcile: (state, _, context) => {
      reconcile(state, context)
      return noReply(state)
    },
  },

  infos: {
    flushDue: (state, _, context) => {
      state.flushTimer = undefined
      return noReply(step(state, context))
    },
    retryDue: (state, _, context) => {
      retry(state, context)
      return noReply(state)
    },
    step: (state, _, context) => {
      state.stepping = false
      return noReply(step(state, context))
    },
    read: (state, result, context) => {
      if (!result.ok) {
        // The log's writer ends, and this process with it.
        if (!state.shard.files.hasLog) return noReply(state)
        throw result.error
      }
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
      committed(state, result, context)
      for (const act of state.afterCommit.splice(0)) act()
      // The next commit gets a separate turn. After a failure it waits for its retry.
      stepLater(state, context)
      return noReply(state)
    },
    readRows: (state, _, context) => {
      continueReconcile(state, context)
      return noReply(state)
    },
  },
}

/** The name of a shard's projection writer; prints as `lmdb_writer(0)`. */
export const name = shardName<Messages>('lmdb_writer')

/**
 * The answer of a shard's writer. If there is none because the followers have given up, the error is
 * `DEGRADED` at once: neither waiting nor asking again would help.
 */
export const answerOf = async <T>(shard: ProjectionShard, answer: Promise<T>): Promise<T> => {
  try {
    return await answer
  } catch (error) {
    throw (isGone(error) && shard.projection.refusal) || error
  }
}

const descriptionOf = ({ shard, feed, following }: State): ProjectionWriterDescription => {
  const { references, bytes } = feed.load
  const projection = following?.projection.describe() ?? { rows: 0, bytes: 0 }
  const { mode, reason } = shard.projection.health
  return {
    mode,
    projectedLsn: feed.projectedLsn,
    lag: feed.lag,
    outbox: references,
    outboxBytes: bytes,
    suspensions: [...shard.suspensions.byToken.values()],
    degraded: reason,
    ...projection,
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

/** Notifies the writer: derived rows wait in the `Shard` value. */
export const derivedEnqueued = (writer: Ref<Messages>): void => {
  cast(writer, 'derivedEnqueued', undefined)
}

/** Rebuilds a projection by users. Resolves when that has begun. */
export const rebuildProjection = (
  writer: Ref<Messages>,
  name: string,
  timeoutMs: number,
): Promise<void> => call(writer, 'rebuildProjection', name, { timeoutMs })

/**
 * Marks the projection as degraded, which is its mode when this returns. A writer that holds, or does
 * not know its position yet, takes the mode afterwards. Returns the epoch of the mark.
 */
export const markDegraded = (
  writer: Ref<Messages>,
  shard: ProjectionShard,
  system: System,
  reason: string,
): number => {
  const epoch = shard.projection.markMirrorDegraded(reason)
  report(shard, 'failed', { system })
  emit(system, shard, 'lmdb.degraded', { reason, failures: 0 })
  reconcileNow(writer)
  return epoch
}

/** Notifies the writer: the projection is dirty. */
export const reconcileNow = (writer: Ref<Messages>): void => {
  cast(writer, 'reconcile', undefined)
}

/** Describes the projection and its writer. */
export const describe = (writer: Ref<Messages>): Promise<ProjectionWriterDescription> =>
  call(writer, 'describe')
