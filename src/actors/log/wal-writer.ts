/**
 * The log of a shard: one writer, one file at a time, one fsync for everybody who waits. What arrives while a group is
 * on its way to the disk is the next group. It answers no append itself: once the group's fdatasync has returned, the group goes
 * to the applier in one message, and the callers with it.
 *
 * A write or a sync that failed is final: the writer ends with `['shutdown', 'poisoned']` and takes its shard down; no
 * restart is the retry. An opening that failed ends it with `['shutdown', error]`.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  call,
  cast,
  type From,
  type GenServer,
  isRef,
  noReply,
  ok,
  type Ref,
  type Settled,
  send,
  stop,
} from '../../runtime/index.ts'
import type { Commit, LogDescription, LogHost, OpenReport } from '../../storage/index.ts'
import { AppendGroup } from '../queue/append-group.ts'
import { AppendQueue, type QueuedGroup } from '../queue/append-queue.ts'
import type { CommitFollower, Subscription, WriterDescription } from '../queue/commit-follower.ts'
import {
  isCount,
  isIgnored,
  isInstance,
  isList,
  isRecord,
  isSettled,
} from '../shard/payload-check.ts'
import { levelOf } from '../shard/settings.ts'
import type { Shard } from '../shard/shard.ts'
import { shardName } from '../shard/shard-name.ts'
import { tell } from '../shard/storage-events.ts'
import { Durability } from './durability.ts'
import { IdleWatch } from './idle-watch.ts'
import { QueueWait } from './queue-wait.ts'

export type * from '../queue/commit-follower.ts'
export type { WriterDescription } from '../queue/commit-follower.ts'

/** What the writer understands. */
export type Messages = {
  calls: {
    /** Appends a group, which fills until it is taken; answered when everybody in it was told. */
    append: (group: AppendGroup) => void
    /** From now on committed groups go to `follower`; one that followed before gets no more. */
    subscribe: (follower: Ref<CommitFollower>) => Subscription
    /** Makes all that was committed durable. Answers the durable LSN. */
    sync: () => number
    /** Answered when nothing waits for the disk, and nothing is on its way there. */
    settled: () => void
    describe: () => WriterDescription
  }
  casts: {
    /** The group that fills has become due. */
    leave: () => void
  }
  infos: {
    committed: (commit: Settled<Commit>) => void
    synced: (sync: Settled<{ durableLsn: number }>) => void
    /** Time to sync (`wal.syncInterval`). */
    syncDue: () => void
    /** The group has had its time to fill (`wal.maxDelayMs`). */
    groupDue: () => void
    /** Nothing was written for a while (`wal.idleMarkerMs`). */
    markDue: () => void
    marked: (mark: Settled<{ durableLsn: number }>) => void
  }
  continues: { open: () => void }
}

type State = {
  readonly shard: Shard
  mode: 'recovering' | 'open'
  host: LogHost | undefined
  report: OpenReport | undefined
  follower: Ref<CommitFollower> | undefined
  /** Not yet submitted. */
  readonly queue: AppendQueue
  readonly wait: QueueWait
  /** The group on its way to the disk. */
  inFlight: QueuedGroup | undefined
  durability: Durability
  /** Who waits until the log stands still. */
  awaitingRest: From<void>[]
  marking: boolean
  syncArmed: boolean
  groupArmed: boolean
  /** Once the log is open: sees when it is idle. */
  idle: IdleWatch | undefined
}

/** The writer of a shard. */
export const server: GenServer<Messages, State, Shard> = {
  init: (shard, context) => {
    // Trapping exits, it is asked to end by its supervisor and closes the log in order.
    context.trapExit(true)
    // What comes after its death waits at the gate for the next incarnation.
    context.system.monitor(context.self, () => shard.retract())
    return ok(initialState(shard), { continue: ['open'] })
  },

  continues: {
    open: async (state, _, context) => {
      const { phase } = state.shard
      // Killed while it stopped on account of a failed write, it was started again: that must not be the retry.
      if (phase.kind === 'down') return stop(['shutdown', phase.reason], state)
      try {
        const opened = await open(state, context)
        if (opened.report) tell(context.system, opened.shard, 'wal.recovered', opened.report)
        return noReply(opened)
      } catch (error) {
        // Not a crash: trying again cannot help, `control.reopen` or a new process is the way back.
        if (state.shard.goDown(error, context.signal))
          tell(context.system, state.shard, 'shard.down', { reason: error })
        return stop(['shutdown', error], state)
      }
    },
  },

  accepts: {
    calls: {
      append: isInstance(AppendGroup),
      subscribe: isRef,
      sync: isIgnored,
      settled: isIgnored,
      describe: isIgnored,
    },
    casts: { leave: isIgnored },
    infos: {
      committed: isSettled(isRecord({ lsns: isList, time: isCount, durableLsn: isCount })),
      synced: isSettled(isRecord({ durableLsn: isCount })),
      syncDue: isIgnored,
      groupDue: isIgnored,
      markDue: isIgnored,
      marked: isSettled(isRecord({ durableLsn: isCount })),
    },
  },

  calls: {
    append: (state, group, context) => {
      state.wait.queueing(state.queue.length, context.system)
      state.queue.push({ group, from: context.from })
      return noReply(submit(state, context))
    },
    subscribe: (state, follower, context) => {
      state.follower = follower
      const { from } = context
      const { walId = '', epoch = 0 } = state.report ?? {}
      const subscription = { walId, epoch, lastLsn: state.durability.lastLsn }
      // The log is read up to what is durable: everything below the subscription has to be.
      return noReply(whenDurable(state, () => from.reply(subscription), context))
    },
    sync: (state, _, context) => {
      const { from } = context
      return noReply(whenDurable(state, () => from.reply(state.durability.durableLsn), context))
    },
    settled: (state, _, context) => {
      state.awaitingRest.push(context.from)
      return noReply(submit(state, context))
    },
    describe: (state, _, context) => {
      const { from } = context
      const described = describing(state)
      const answer = (log: LogDescription | undefined) => from.reply({ ...described, log })
      // Beside the mailbox: a slow sync must not hold up appends.
      if (state.host) state.host.run('describe', null).then(answer, () => answer(undefined))
      else answer(undefined)
      return noReply(state)
    },
  },

  casts: {
    leave: (state, _, context) => noReply(submit(state, context)),
  },

  infos: {
    committed: (state, result, context) => {
      if (result.ok) handOver(state, result.value, context)
      else if (isKeelsonError(result.error, 'SHARD_DOWN') || isKeelsonError(result.error, 'CLOSED'))
        return poisoned(state, result.error, context)
      // Refused as a whole before any byte was written; the log goes on.
      else state.inFlight?.from.fail(result.error)
      state.inFlight = undefined
      armSync(state, context)
      return noReply(submit(state, context))
    },
    synced: (state, result, context) => {
      if (!result.ok) return poisoned(state, result.error, context)
      state.durability.synced(result.value.durableLsn)
      return noReply(settleSyncs(state, context))
    },
    syncDue: (state, _, context) => {
      state.syncArmed = false
      return noReply(whenDurable(state, () => undefined, context))
    },
    groupDue: (state, _, context) => {
      state.groupArmed = false
      return noReply(submit(state, context, 'due'))
    },
    markDue: (state, _, context) => {
      const { gate } = state.shard
      if (state.inFlight || state.queue.length > 0) return noReply(state)
      // Whoever pauses writes gets a log that stands still.
      if (gate.holds.length > 0) void gate.moving().then(() => state.idle?.stir())
      else {
        state.marking = true
        context.pipe(hostOf(state).run('mark', null), 'marked')
      }
      return noReply(state)
    },
    marked: (state, result, context) => {
      if (!result.ok) return poisoned(state, result.error, context)
      state.durability.proven(result.value.durableLsn)
      state.marking = false
      return noReply(submit(settleSyncs(state, context), context))
    },
  },

  terminate: async (state, reason) => {
    const { host, shard } = state
    if (!host) return
    const orderly = reason === 'normal' || reason === 'shutdown'
    try {
      // Without it the next opening is a recovery, and loses nothing.
      if (orderly) await host.run('close', { projectedLsn: shard.projectedLsn })
    } finally {
      await shard.files.end(host)
    }
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['committed']>[2]

/** The name of a shard's writer; prints as `wal_writer(0)`. */
export const name = shardName<Messages>('wal_writer')

/**
 * Hands a group in, which fills until it is taken. Resolves when everybody in it was told; rejects when whoever held the call has
 * ended, or the log took nothing of it: who was not told by then is for the caller to tell.
 */
export const append = (writer: Ref<Messages>, group: AppendGroup): Promise<void> =>
  call(writer, 'append', group, { timeoutMs: Number.POSITIVE_INFINITY })

/** The group that fills has become due: it leaves as soon as the disk is free. */
export const leave = (writer: Ref<Messages>): void => {
  cast(writer, 'leave', undefined)
}

/** Begins to follow the log; resolves once it is open, however long that takes. */
export const subscribe = (
  writer: Ref<Messages>,
  follower: Ref<CommitFollower>,
): Promise<Subscription> =>
  call(writer, 'subscribe', follower, { timeoutMs: Number.POSITIVE_INFINITY })

/** Makes all that was committed durable; resolves with the durable LSN. */
export const sync = (writer: Ref<Messages>): Promise<number> =>
  call(writer, 'sync', undefined, { timeoutMs: Number.POSITIVE_INFINITY })

/** Resolves when nothing waits for the disk any more: what was written by then has been told to the follower. */
export const settled = (writer: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(writer, 'settled', undefined, { timeoutMs })

/** How the writer and its log stand. */
export const describe = (writer: Ref<Messages>): Promise<WriterDescription> =>
  call(writer, 'describe')

const initialState = (shard: Shard): State => ({
  shard,
  mode: 'recovering',
  host: undefined,
  report: undefined,
  follower: undefined,
  queue: new AppendQueue(),
  wait: new QueueWait(),
  inFlight: undefined,
  durability: new Durability(0),
  awaitingRest: [],
  marking: false,
  syncArmed: false,
  groupArmed: false,
  idle: undefined,
})

const open = async (state: State, { signal, self }: Context): Promise<State> => {
  const { shard } = state
  const { clock, settings } = shard.parts
  const { enableFsync, idleMarkerMs } = settings.wal
  const { host, inspection } = await shard.files.lease(signal)
  const { folders, logOptions } = shard.files.parts
  const report = await host.run('open', { dir: folders.wal, options: logOptions, inspection })
  shard.observeTime(report.lastTime)
  return {
    ...state,
    mode: 'open',
    host,
    report,
    durability: new Durability(report.lastLsn),
    idle: new IdleWatch(clock, enableFsync ? idleMarkerMs : 0, signal, () => send(self, 'markDue')),
  }
}

const hostOf = (state: State): LogHost => {
  if (!state.host) throw new KeelsonError('SHARD_DOWN', 'The log is not open.')
  return state.host
}

const describing = (state: State): Omit<WriterDescription, 'log'> => ({
  mode: state.mode,
  queued: state.queue.length,
  inFlight: state.inFlight?.group.count ?? 0,
  durableLsn: state.durability.durableLsn,
  lastLsn: state.durability.lastLsn,
  level: levelOf(state.shard.parts.settings),
  report: state.report,
})

/** Calls `reached` once everything that is committed now is durable; asks for a sync when it is not. */
const whenDurable = (state: State, reached: () => void, context: Context): State => {
  state.durability.wait(reached)
  return settleSyncs(state, context)
}

const settleSyncs = (state: State, context: Context): State => {
  if (state.durability.settle()) context.pipe(hostOf(state).run('sync', null), 'synced')
  return state
}

/** Sends the next group on its way, unless one is, or it shall have time to fill. */
const submit = (state: State, context: Context, moment: 'now' | 'due' = 'now'): State => {
  if (state.inFlight || !state.host) return state
  const isFilling = moment === 'now' && state.queue.isDue && waitsToFill(state, context)
  if (isFilling) return state
  const next = state.queue.take()
  if (!next) return state.queue.isEmpty ? rest(state) : state
  state.inFlight = next
  state.wait.taken(state.queue.length, context.system)
  const { wal } = state.shard.parts.settings
  context.pipe(
    state.host.run('commit', {
      isGiven: true,
      now: state.shard.now(),
      sync: wal.enableFsync && wal.syncInterval === undefined,
      projectedLsn: state.shard.projectedLsn,
      ...next.group.take(),
    }),
    'committed',
  )
  return state
}

/** Nothing waits for the disk. */
const rest = (state: State): State => {
  if (!state.marking) for (const from of state.awaitingRest.splice(0)) from.reply(undefined)
  return state
}

const waitsToFill = (state: State, context: Context): boolean => {
  const { maxDelayMs } = state.shard.parts.settings.wal
  if (maxDelayMs === 0) return false
  if (!state.groupArmed) {
    state.groupArmed = true
    context.sendAfter(maxDelayMs, 'groupDue')
  }
  return true
}

/** The group is committed: it goes to the applier, and the call with it. What the log refused is told here. */
const handOver = (state: State, commit: Commit, context: Context): void => {
  const { shard, follower, inFlight, durability } = state
  durability.written(commit.lsns.at(-1) ?? 0, commit.durableLsn)
  shard.observeTime(commit.time)
  if (commit.spent) shard.appends.reuse(commit.spent)
  state.idle?.stir()
  if (inFlight) {
    const { group, from } = inFlight
    group.committed(commit.lsns, commit.refused)
    if (follower) {
      from.handTo(follower)
      const { durableLsn } = durability
      cast(follower, 'committed', { group, from, time: commit.time, durableLsn })
    }
  }
  tell(context.system, shard, 'wal.commit', {
    frames: commit.count,
    bytes: commit.bytesWritten,
    waitMs: state.wait.ms,
    syncMs: commit.syncMs,
    durableLsn: durability.durableLsn,
  })
  if (commit.rolled) tell(context.system, shard, 'wal.rolled', {})
}

const armSync = (state: State, context: Context): void => {
  const { enableFsync, syncInterval } = state.shard.parts.settings.wal
  if (!enableFsync || syncInterval === undefined || state.syncArmed) return
  state.syncArmed = true
  context.sendAfter(syncInterval, 'syncDue')
}

/** A failed write or sync is final (invariant L3). The reason is recorded before anybody is told. */
const poisoned = (state: State, error: unknown, context: Context) => {
  const { shard } = state
  tell(context.system, shard, 'wal.poisoned', { reason: error })
  if (shard.goDown(error, context.signal))
    tell(context.system, shard, 'shard.down', { reason: error })
  return stop(['shutdown', 'poisoned'], state)
}
