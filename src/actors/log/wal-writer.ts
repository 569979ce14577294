/**
 * The log of a shard: one writer, one file at a time, one fsync for a group of writes. While a group
 * is on its way to the disk, the next one fills; `storage/groups` decides when it leaves. The writer
 * answers no append itself: once a group's fdatasync has returned, the group goes to the applier in
 * one message, and the calls of its writes with it.
 *
 * A write or a sync that failed is final: the writer ends with `['shutdown', 'poisoned']` and takes
 * its shard down; no restart is the retry. An opening that failed ends it with `['shutdown',
 * error]`.
 */
import { KeelsonError } from '../../errors.ts'
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
import {
  type Commit,
  type FrameUnits,
  GroupQueue,
  IdleWatch,
  isRefusal,
  type LogDescription,
  type LogHost,
  type OpenReport,
  WriteGroup,
} from '../../storage/index.ts'
import type { Append, AppendGroup } from '../admission/append.ts'
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
import type { CommitFollower, LogWriterDescription, Subscription } from './commit-follower.ts'
import { Durability } from './durability.ts'

export type * from './commit-follower.ts'
export type { LogWriterDescription } from './commit-follower.ts'

/** What the writer understands. */
export type Messages = {
  calls: {
    /** Appends a group, which fills until it is taken; answered when everybody in it was told. */
    append: (group: AppendGroup) => void
    /** From now on committed groups go to `follower`; one that followed before gets no more. */
    subscribe: (follower: Ref<CommitFollower>) => Subscription
    /** Makes all that was committed durable. Answers the durable LSN. */
    sync: () => number
    /** Answered when everything that waited for the disk before is written, or was refused. */
    settled: () => void
    describe: () => LogWriterDescription
  }
  casts: {
    /** The group that fills has become due, or large. */
    leave: () => void
  }
  infos: {
    committed: (commit: Settled<Commit>) => void
    synced: (sync: Settled<{ durableLsn: number }>) => void
    /** Time to sync (`wal.syncInterval`). */
    syncDue: () => void
    /** Nothing was written for a while (`wal.idleMarkerMs`). */
    markDue: () => void
    marked: (mark: Settled<{ durableLsn: number }>) => void
  }
  continues: { open: () => void }
}

/** A group, and the call that is answered when all its callers were. */
type GroupTurn = {
  readonly kind: 'group'
  readonly group: AppendGroup
  readonly from: From<void>
  /** The units of each append, once the group was taken. */
  units: readonly FrameUnits[]
}

/** What is done alone: a marker is written, or `settled` is answered. */
type Step = { readonly kind: 'step'; readonly settled: From<void> | undefined }

type State = {
  readonly shard: Shard
  mode: 'recovering' | 'open'
  host: LogHost | undefined
  report: OpenReport | undefined
  follower: Ref<CommitFollower> | undefined
  readonly queue: GroupQueue<GroupTurn | Step>
  durability: Durability
  syncArmed: boolean
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
      append: isInstance(WriteGroup),
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
      markDue: isIgnored,
      marked: isSettled(isRecord({ durableLsn: isCount })),
    },
  },

  calls: {
    append: (state, group, context) => {
      state.queue.push({ kind: 'group', group, from: context.from, units: [] })
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
      state.queue.push({ kind: 'step', settled: context.from })
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
      // Groups come back in the order in which they left.
      const [turn] = state.queue.inFlight
      if (turn?.kind !== 'group') return noReply(state)
      if (result.ok) handOver(state, turn, result.value, context)
      else if (isRefusal(result.error)) refuse(turn, result.error)
      else return poisoned(state, result.error, context)
      state.queue.back(turn)
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
    markDue: (state, _, context) => {
      const { queue, shard } = state
      if (queue.first() || queue.inFlight.length > 0) return noReply(state)
      // While writes are paused the log stands still.
      if (shard.gate.holds.length > 0) void shard.gate.moving().then(() => state.idle?.stir())
      else queue.push({ kind: 'step', settled: undefined })
      return noReply(submit(state, context))
    },
    marked: (state, result, context) => {
      if (!result.ok) return poisoned(state, result.error, context)
      state.durability.proven(result.value.durableLsn)
      const [turn] = state.queue.inFlight
      if (turn?.kind === 'step') state.queue.back(turn)
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
 * Hands a group in, which fills until it is taken. Resolves when each of its writes is settled.
 * Rejects if the log took nothing of it, or if the process that held the call has died: then the
 * caller loses it.
 */
export const append = (writer: Ref<Messages>, group: AppendGroup): Promise<void> =>
  call(writer, 'append', group, { timeoutMs: Number.POSITIVE_INFINITY })

/** The group that fills has become due, or large: it leaves as soon as it may. */
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

/** Resolves when everything that waited for the disk is written, and on its way to the follower. */
export const settled = (writer: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(writer, 'settled', undefined, { timeoutMs })

/** How the writer and its log stand. */
export const describe = (writer: Ref<Messages>): Promise<LogWriterDescription> =>
  call(writer, 'describe')

const initialState = (shard: Shard): State => ({
  shard,
  mode: 'recovering',
  host: undefined,
  report: undefined,
  follower: undefined,
  // The caller of each write in a dropped group has given up: its call is answered.
  queue: new GroupQueue((turn) => {
    if (turn.kind === 'group') turn.from.reply(undefined)
  }),
  durability: new Durability(0),
  syncArmed: false,
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
  const idle = new IdleWatch(clock, enableFsync ? idleMarkerMs : 0, () => send(self, 'markDue'))
  signal.addEventListener('abort', () => idle.end(), { once: true })
  return {
    ...state,
    mode: 'open',
    host,
    report,
    durability: new Durability(report.lastLsn),
    idle,
  }
}

const hostOf = (state: State): LogHost => {
  if (!state.host) throw new KeelsonError('SHARD_DOWN', 'The log is not open.')
  return state.host
}

const describing = (state: State): Omit<LogWriterDescription, 'log'> => ({
  mode: state.mode,
  queued: state.queue.length,
  inFlight: state.queue.writesInFlight,
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

/** Begins each turn that may begin now. */
const submit = (state: State, context: Context): State => {
  const { host, queue } = state
  if (!host) return state
  for (let turn = queue.next(); turn; turn = queue.next())
    if (turn.kind === 'group') context.pipe(commit(state, host, turn), 'committed')
    else if (!turn.settled) context.pipe(host.run('mark', null), 'marked')
    else {
      turn.settled.reply(undefined)
      queue.back(turn)
    }
  return state
}

const commit = ({ shard }: State, host: LogHost, turn: GroupTurn): Promise<Commit> => {
  const { group } = turn
  const { enableFsync, syncInterval } = shard.parts.settings.wal
  const payloads = group.take()
  // Each write of a group waits for its answer at the moment at which the group is taken.
  turn.units = (group.writes as readonly Append[]).map(({ units }) => units)
  return host.run('commit', {
    isGiven: true,
    now: shard.now(),
    sync: enableFsync && syncInterval === undefined,
    projectedLsn: shard.projectedLsn,
    ...payloads,
  })
}

/** Refused as a whole, before any byte was written: the log goes on. */
const refuse = ({ group, from }: GroupTurn, error: KeelsonError): void => {
  group.refuse(error)
  from.fail(error)
}

/** The group is committed: it goes to the applier, and its call with it. What the log refused is refused here. */
const handOver = (state: State, turn: GroupTurn, commit: Commit, context: Context): void => {
  const { shard, follower, durability } = state
  const { group, from, units } = turn
  const { lsns, time, refused, spent } = commit
  durability.written(lsns.at(-1) ?? 0, commit.durableLsn)
  shard.observeTime(time)
  if (spent) shard.appends.reuse(spent)
  state.idle?.stir()
  group.committed(lsns, refused)
  const { durableLsn } = durability
  if (follower) {
    from.handTo(follower)
    cast(follower, 'committed', { group, units, from, time, durableLsn })
  }
  tell(context.system, shard, 'wal.commit', {
    frames: commit.count,
    bytes: commit.bytesWritten,
    waitMs: (group.takenAt ?? group.beganAt) - group.beganAt,
    syncMs: commit.syncMs,
    durableLsn,
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
