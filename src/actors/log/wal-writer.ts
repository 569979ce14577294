/**
 * The writer of a shard's log: one process, one segment at a time, and group commit. Writes that
 * arrive while a group is on its way to the disk form the next group. The writer answers no append
 * itself. After the group's fdatasync it notifies the applier.
 *
 * The open log and the groups live in the `Shard` value. After the death of a writer the next one
 * goes on with the open log, and waits for its pending answers. If the log's thread died, the next
 * writer opens the log again, and its frames decide the fate of the submitted groups.
 *
 * A failed write or sync is final (fail-stop): the writer ends with `['shutdown', 'poisoned']` and
 * takes its shard down. No restart retries it. A failed opening ends the writer with
 * `['shutdown', error]`.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
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
  type Settled,
  send,
  stop,
} from '../../runtime/index.ts'
import {
  type Commit,
  Durability,
  IdleWatch,
  isRefusal,
  type LogDescription,
  type LogHost,
  type OpenReport,
} from '../../storage/index.ts'
import {
  isCount,
  isIgnored,
  isInstance,
  isList,
  isRecord,
  isSettled,
} from '../core/payload-check.ts'
import { levelOf } from '../core/settings.ts'
import { shardName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import type { Append, GroupTurn, Step } from './appends.ts'
import { isAway, isDisowned } from './log-failures.ts'
import type { LogShard } from './log-shard.ts'
import { settleStrays } from './log-successor.ts'

/** The state of a writer and its log. `level`: the level of its acknowledgements. */
export type LogWriterDescription = {
  readonly mode: 'recovering' | 'open'
  readonly queued: number
  readonly inFlight: number
  readonly durableLsn: number
  readonly lastLsn: number
  readonly level: 'durable' | 'written'
  readonly report: OpenReport | undefined
  readonly log: LogDescription | undefined
}

/** The process that takes the groups in the log: the applier. */
export type CommitFollower = {
  casts: {
    /** The log has a group that was not applied. */
    committed: () => void
  }
}

/** The position of the log at the subscription. The follower takes the groups after `lastLsn`. */
export type Subscription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
}

/** The messages of the writer. */
export type Messages = {
  calls: {
    /** Notifies `follower` of committed groups from now on, in place of the follower before it. */
    subscribe: (follower: Ref<CommitFollower>) => Subscription
    /** Makes every committed frame durable. Returns the durable LSN. */
    sync: () => number
    /** Syncs once more. Answered if the log goes on; a writer whose log has failed ends instead. */
    prove: () => void
    /** Answered when every write that waited for the disk before is written or refused. */
    settled: () => void
    describe: () => LogWriterDescription
  }
  casts: {
    /** A group may be due. */
    leave: () => void
    /** The shard is down for this reason, which is recorded: the writer ends, and takes it along. */
    end: (reason: KeelsonError) => void
  }
  infos: {
    committed: (commit: Settled<Commit>) => void
    synced: (sync: Settled<{ durableLsn: number }>) => void
    /** A sync is due (`wal.syncInterval`). */
    syncDue: () => void
    /** The thread of the log has died. */
    died: (reason: KeelsonError) => void
    /** No write came for a while (`wal.idleMarkerMs`). */
    markDue: () => void
    marked: (mark: Settled<{ durableLsn: number }>) => void
  }
  continues: { open: () => void }
}

type State = {
  readonly shard: LogShard
  mode: 'recovering' | 'open'
  host: LogHost | undefined
  report: OpenReport | undefined
  follower: Ref<CommitFollower> | undefined
  durability: Durability
  syncArmed: boolean
  /** Notices when the open log is idle. */
  idle: IdleWatch | undefined
  /** The end of a log that nobody goes on with. */
  ending: Promise<void> | undefined
}

/** The writer of a shard. */
export const server: GenServer<Messages, State, LogShard> = {
  init: (shard, context) => {
    // With trapped exits the supervisor can ask this process to end, and it closes the log in
    // order.
    context.trapExit(true)
    // Writes after the death of this process wait at the gate for the next incarnation.
    context.system.monitor(context.self, () => shard.retract())
    return ok(initialState(shard), { continue: ['open'] })
  },

  continues: {
    open: async (state, _, context) => {
      const { phase } = state.shard
      // This process was killed while it stopped after a failed write, and was restarted. The
      // restart must not retry the write.
      if (phase.kind === 'down') return stop(['shutdown', phase.reason], state)
      try {
        return noReply(await open(state, context))
      } catch (error) {
        // The next writer asks the engine again. Each attempt takes the patience of a host, so that
        // restarts are never spent.
        if (isAway(error)) return stop(left(state.shard, error), state)
        // The next writer opens the log on another thread.
        if (state.shard.files.hasDied) return stop(error, state)
        // Not a crash, because a retry cannot help. The way back is `control.reopen`, or a new
        // process.
        if (state.shard.goDown(error, context.signal)) {
          state.ending = state.shard.files.giveUp()
          emit(context.system, state.shard, 'shard.down', { reason: error })
        }
        return stop(['shutdown', error], state)
      }
    },
  },

  accepts: {
    calls: {
      subscribe: isRef,
      sync: isIgnored,
      prove: isIgnored,
      settled: isIgnored,
      describe: isIgnored,
    },
    casts: { leave: isIgnored, end: isInstance(KeelsonError) },
    infos: {
      committed: isSettled(isRecord({ lsns: isList, time: isCount, durableLsn: isCount })),
      synced: isSettled(isRecord({ durableLsn: isCount })),
      syncDue: isIgnored,
      died: isInstance(KeelsonError),
      markDue: isIgnored,
      marked: isSettled(isRecord({ durableLsn: isCount })),
    },
  },

  calls: {
    subscribe: (state, follower, context) => {
      const { from } = context
      const { walId = '', epoch = 0 } = state.report ?? {}
      const subscription = { walId, epoch, lastLsn: state.shard.appends.heardLsn }
      state.follower = follower
      // The log is read up to its durable end, so every frame below the subscription must be
      // durable.
      return noReply(whenDurable(state, () => from.reply(subscription), context))
    },
    sync: (state, _, context) => {
      const { from } = context
      return noReply(whenDurable(state, () => from.reply(state.durability.durableLsn), context))
    },
    prove: (state, _, context) => {
      const { from } = context
      // An opening finds out itself what its log is worth.
      if (!state.host) return reply(undefined, state)
      const synced = state.host.run('sync', null)
      context.pipe(synced, 'synced')
      synced.then(
        () => from.reply(undefined),
        () => undefined,
      )
      return noReply(state)
    },
    settled: (state, _, context) => {
      queueOf(state).push({ kind: 'step', settled: context.from, asked: undefined })
      return noReply(submit(state, context))
    },
    describe: (state, _, context) => {
      const { from } = context
      const described = describing(state)
      const answer = (log: LogDescription | undefined) => from.reply({ ...described, log })
      // Outside the mailbox: a slow sync must not hold up appends.
      if (state.host) state.host.run('describe', null).then(answer, () => answer(undefined))
      else answer(undefined)
      return noReply(state)
    },
  },

  casts: {
    leave: (state, _, context) => noReply(submit(state, context)),
    end: (state, reason) =>
      state.shard.isStill ? stop(['shutdown', reason], state) : noReply(state),
  },

  infos: {
    committed: (state, result, context) => {
      // Groups return in the order in which they left.
      const [turn] = queueOf(state).inFlight
      if (turn?.kind !== 'group') return noReply(state)
      if (result.ok) handOver(state, turn, result.value, context)
      else if (isRefusal(result.error)) refuse(state, turn, result.error)
      else return failed(state, result.error, context)
      armSync(state, context)
      return noReply(submit(state, context))
    },
    synced: (state, result, context) => {
      if (!result.ok) return failed(state, result.error, context)
      state.durability.synced(result.value.durableLsn)
      return noReply(settleSyncs(state, context))
    },
    syncDue: (state, _, context) => {
      state.syncArmed = false
      return noReply(whenDurable(state, () => undefined, context))
    },
    died: (state, reason, context) => failed(state, reason, context),
    markDue: (state, _, context) => {
      const { shard } = state
      const queue = queueOf(state)
      if (queue.first() || queue.inFlight.length > 0) return noReply(state)
      // The log must not change while writes are paused.
      if (shard.gate.holds.length > 0) void shard.gate.moving().then(() => state.idle?.stir())
      else queue.push({ kind: 'step', settled: undefined, asked: undefined })
      return noReply(submit(state, context))
    },
    marked: (state, result, context) => {
      if (!result.ok) return failed(state, result.error, context)
      state.durability.proven(result.value.durableLsn)
      const [turn] = queueOf(state).inFlight
      if (turn?.kind === 'step') queueOf(state).back(turn)
      return noReply(submit(settleSyncs(state, context), context))
    },
  },

  terminate: async ({ ending }) => {
    await ending
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['committed']>[2]

/** The name of a shard's writer; prints as `wal_writer(0)`. */
export const name = shardName<Messages>('wal_writer')

/** Reports that a group may be due: it leaves as soon as it may. */
export const leave = (writer: Ref<Messages>): void => {
  cast(writer, 'leave', undefined)
}

/** Subscribes to the log. Resolves when the log is open, without a time limit. */
export const subscribe = (
  writer: Ref<Messages>,
  follower: Ref<CommitFollower>,
): Promise<Subscription> =>
  call(writer, 'subscribe', follower, { timeoutMs: Number.POSITIVE_INFINITY })

/** Ends the writer of a shard that is down for `reason`, and with it the shard's tree. */
export const end = (writer: Ref<Messages>, reason: KeelsonError): void => {
  cast(writer, 'end', reason)
}

/** Makes every committed frame durable; resolves with the durable LSN. */
export const sync = (writer: Ref<Messages>): Promise<number> =>
  call(writer, 'sync', undefined, { timeoutMs: Number.POSITIVE_INFINITY })

/**
 * The answer to a request that another process made to the log. A sync that failed in it is final
 * for the log: the writer ends, and takes the shard down, before the caller has the error.
 */
export const heard = async <T>(writer: Ref<Messages>, answer: Promise<T>): Promise<T> => {
  try {
    return await answer
  } catch (error) {
    const timeoutMs = Number.POSITIVE_INFINITY
    if (isKeelsonError(error, 'SHARD_DOWN'))
      await call(writer, 'prove', undefined, { timeoutMs }).catch(() => undefined)
    throw error
  }
}

/**
 * Resolves when every write that waited for the disk is written, and on its way to the follower.
 */
export const settled = (writer: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(writer, 'settled', undefined, { timeoutMs })

/** Describes the writer and its log. */
export const describe = (writer: Ref<Messages>): Promise<LogWriterDescription> =>
  call(writer, 'describe')

const initialState = (shard: LogShard): State => ({
  shard,
  mode: 'recovering',
  host: undefined,
  report: undefined,
  follower: undefined,
  durability: new Durability(0),
  syncArmed: false,
  idle: undefined,
  ending: undefined,
})

const open = async (state: State, context: Context): Promise<State> => {
  const { signal, self, system } = context
  const { shard } = state
  const { clock, settings } = shard.parts
  const { enableFsync, idleMarkerMs } = settings.wal
  const { host, report, durableLsn, isAdopted } = await shard.files.open(signal)
  await settleStrays(shard, host, signal)
  shard.engine.isBack()
  shard.observeTime(report.lastTime)
  shard.appends.opened(report.lastLsn)
  if (!isAdopted) emit(system, shard, 'wal.recovered', report)
  const idle = new IdleWatch(clock, enableFsync ? idleMarkerMs : 0, () => send(self, 'markDue'))
  signal.addEventListener('abort', () => idle.end(), { once: true })
  if (isAdopted) idle.stir()
  const durability = new Durability(shard.appends.writtenLsn, durableLsn)
  shard.appends.durability = durability
  const opened: State = { ...state, mode: 'open', host, report, durability, idle }
  void host.died?.then((reason) => {
    if (signal.aborted) return
    // First of all who asked it: they find a shard that recovers.
    shard.retract()
    send(self, 'died', reason)
  })
  for (const turn of shard.appends.queue.inFlight) awaitAnswer(turn, context)
  armSync(opened, context)
  return submit(opened, context)
}

const queueOf = ({ shard }: State) => shard.appends.queue

const hostOf = (state: State): LogHost => {
  if (!state.host) throw new KeelsonError('SHARD_DOWN', 'the log is not open')
  return state.host
}

const describing = (state: State): Omit<LogWriterDescription, 'log'> => ({
  mode: state.mode,
  queued: queueOf(state).length,
  inFlight: queueOf(state).writesInFlight,
  durableLsn: state.durability.durableLsn,
  lastLsn: state.durability.lastLsn,
  level: levelOf(state.shard.parts.settings),
  report: state.report,
})

/** Calls `reached` when every committed frame is durable; requests a sync if one is needed. */
const whenDurable = (state: State, reached: () => void, context: Context): State => {
  state.durability.wait(reached)
  return settleSyncs(state, context)
}

const settleSyncs = (state: State, context: Context): State => {
  if (state.durability.settle()) context.pipe(hostOf(state).run('sync', null), 'synced')
  return state
}

/** Begins every turn that may begin now. */
const submit = (state: State, context: Context): State => {
  const { host } = state
  if (!host) return state
  const queue = queueOf(state)
  const { self } = context
  // Until the thread of the logs takes one more, the group grows.
  const isHeld = queue.inFlight.length === 0 && queue.first()?.kind === 'group'
  if (isHeld && host.isFree?.(() => leave(self)) === false) return state
  for (let turn = queue.next(); turn; turn = queue.next()) {
    if (turn.kind === 'group') turn.asked = { host, answer: commit(state, host, turn) }
    else if (!turn.settled) turn.asked = { host, answer: mark(host) }
    else {
      turn.settled.reply(undefined)
      queue.back(turn)
    }
    awaitAnswer(turn, context)
  }
  return state
}

/** The answer to a turn becomes a message of this process. An earlier writer may have asked. */
const awaitAnswer = (turn: GroupTurn | Step, context: Context): void => {
  if (!turn.asked) return
  if (turn.kind === 'group') context.pipe(turn.asked.answer, 'committed')
  else context.pipe(turn.asked.answer, 'marked')
}

// A turn that was taken has an answer, so that no later turn waits for ever. A throw is one.

const mark = async (host: LogHost) => host.run('mark', null)

const commit = async ({ shard }: State, host: LogHost, turn: GroupTurn): Promise<Commit> => {
  const { enableFsync, syncInterval } = shard.parts.settings.wal
  const payloads = turn.group.take()
  // Every write of a group still waits for its answer when the group is taken.
  turn.units = (turn.group.writes as readonly Append[]).map(({ units }) => units)
  return host.run('commit', {
    isGiven: true,
    now: shard.now(),
    sync: enableFsync && syncInterval === undefined,
    projectedLsn: shard.projectedLsn,
    ...payloads,
  })
}

/** The log refused the group before it wrote a byte; the log continues. */
const refuse = ({ shard }: State, turn: GroupTurn, error: KeelsonError): void => {
  shard.snapshots.refused(error)
  shard.appends.refused(turn, error)
}

/**
 * Leaves a committed group to the applier. Appends that the log refused are refused here.
 */
const handOver = (state: State, turn: GroupTurn, commit: Commit, context: Context): void => {
  const { shard, follower, durability } = state
  const { group } = turn
  const { lsns, time, refused, spent } = commit
  durability.written(lsns.at(-1) ?? 0, commit.durableLsn)
  shard.observeTime(time)
  if (spent) shard.appends.reuse(spent)
  state.idle?.stir()
  shard.snapshots.refused(refused, commit.rolled)
  const { durableLsn } = durability
  shard.appends.committed(turn, { lsns, time, durableLsn, refused })
  if (follower) cast(follower, 'committed', undefined)
  emit(context.system, shard, 'wal.commit', {
    frames: commit.count,
    bytes: commit.bytesWritten,
    waitMs: (group.takenAt ?? group.beganAt) - group.beganAt,
    syncMs: commit.syncMs,
    durableLsn,
  })
  if (commit.rolled) emit(context.system, shard, 'wal.rolled', {})
}

const armSync = (state: State, context: Context): void => {
  const { enableFsync, syncInterval } = state.shard.parts.settings.wal
  if (!enableFsync || syncInterval === undefined || state.syncArmed) return
  state.syncArmed = true
  context.sendAfter(syncInterval, 'syncDue')
}

/**
 * The log cannot go on. If only its thread died, or its engine is away, the next writer opens the log
 * again. A failed write or sync is final (invariant L3), and so is a log with another owner: the
 * reason is recorded before any waiter is notified.
 */
const failed = (state: State, error: unknown, context: Context) => {
  const { shard } = state
  state.ending = shard.files.giveUp()
  shard.retract()
  if (isAway(error)) return stop(left(shard, error), state)
  if (shard.files.hasEnded(error)) return stop(error, state)
  if (!isKeelsonError(error, 'FENCED'))
    emit(context.system, shard, 'wal.poisoned', { reason: error })
  if (shard.goDown(error, context.signal)) {
    // The engine decides the fate of the groups on their way, and no writer here learns it.
    if (isDisowned(error)) shard.appends.lose(shard.unavailable())
    emit(context.system, shard, 'shard.down', { reason: error })
  }
  return stop(['shutdown', 'poisoned'], state)
}

/** The reason of a writer that ends because its engine does not answer. The shard logs it. */
const left = (shard: LogShard, error: KeelsonError): KeelsonError => {
  shard.engine.isAway(error)
  return foreseen(error)
}
