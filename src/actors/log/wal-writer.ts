/**
 * The writer of a shard's log: one process, one segment at a time, and group commit. Writes that
 * arrive while a group is on its way to the disk form the next group. The writer answers no append
 * itself. After the group's fdatasync it hands the group and its callers to the applier in one
 * message.
 *
 * A failed write or sync is final (fail-stop): the writer ends with `['shutdown', 'poisoned']` and
 * takes its shard down. No restart retries it. A failed opening ends the writer with `['shutdown',
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
  featuresOf,
  GroupQueue,
  IdleWatch,
  isRefusal,
  type LogDescription,
  type LogHost,
  type OpenReport,
  WriteGroup,
} from '../../storage/index.ts'
import type { Append, AppendGroup } from '../admission/appends.ts'
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

export type { Position } from '../admission/appends.ts'

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

/**
 * A committed group. `from` is the call that it came with: its holder must answer every waiter of
 * the group.
 */
export type CommittedGroup = {
  readonly group: AppendGroup
  /** The units of each append. There may be more than LSNs: the log refused the last ones. */
  readonly units: readonly FrameUnits[]
  readonly from: From<void>
  readonly time: number
  /** The log was durable up to here when the group was committed. */
  readonly durableLsn: number
}

/** The process that takes committed groups: the applier. */
export type CommitFollower = { casts: { committed: (committed: CommittedGroup) => void } }

/** The position of the log at the subscription. Groups after `lastLsn` arrive as messages. */
export type Subscription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
}

/** The messages of the writer. */
export type Messages = {
  calls: {
    /**
     * Appends a group, which fills until it is taken. Answered when all its waiters were answered.
     */
    append: (group: AppendGroup) => void
    /** Sends committed groups to `follower` from now on, in place of the follower before it. */
    subscribe: (follower: Ref<CommitFollower>) => Subscription
    /** Makes every committed frame durable. Returns the durable LSN. */
    sync: () => number
    /** Answered when every write that waited for the disk before is written or refused. */
    settled: () => void
    describe: () => LogWriterDescription
  }
  casts: {
    /** The group that fills is due, or large. */
    leave: () => void
    /** The shard is down for this reason, which is recorded: the writer ends, and takes it along. */
    end: (reason: KeelsonError) => void
  }
  infos: {
    committed: (commit: Settled<Commit>) => void
    synced: (sync: Settled<{ durableLsn: number }>) => void
    /** A sync is due (`wal.syncInterval`). */
    syncDue: () => void
    /** No write came for a while (`wal.idleMarkerMs`). */
    markDue: () => void
    marked: (mark: Settled<{ durableLsn: number }>) => void
  }
  continues: { open: () => void }
}

/** A group, and its call, which is answered when all its waiters were. */
type GroupTurn = {
  readonly kind: 'group'
  readonly group: AppendGroup
  readonly from: From<void>
  /** The units of each append, set when the group is taken. */
  units: readonly FrameUnits[]
}

/** A turn without a group: it writes a marker, or answers `settled`. */
type Step = { readonly kind: 'step'; readonly settled: From<void> | undefined }

type State = {
  readonly shard: Shard
  mode: 'recovering' | 'open'
  host: LogHost | undefined
  report: OpenReport | undefined
  /** `undefined` while no follower lives. */
  follower: Ref<CommitFollower> | undefined
  /** Committed groups that came back while no follower lived. */
  readonly unheard: CommittedGroup[]
  readonly queue: GroupQueue<GroupTurn | Step>
  durability: Durability
  syncArmed: boolean
  /** Notices when the open log is idle. */
  idle: IdleWatch | undefined
}

/** The writer of a shard. */
export const server: GenServer<Messages, State, Shard> = {
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
        const opened = await open(state, context)
        if (opened.report) tell(context.system, opened.shard, 'wal.recovered', opened.report)
        return noReply(opened)
      } catch (error) {
        // Not a crash, because a retry cannot help. The way back is `control.reopen`, or a new
        // process.
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
    casts: { leave: isIgnored, end: isInstance(KeelsonError) },
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
      const { from } = context
      const { walId = '', epoch = 0 } = state.report ?? {}
      const subscription = { walId, epoch, lastLsn: lastHeard(state) }
      follow(state, follower, context)
      // The log is read up to its durable end, so every frame below the subscription must be
      // durable.
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
      const [turn] = state.queue.inFlight
      if (turn?.kind !== 'group') return noReply(state)
      if (result.ok) handOver(state, turn, result.value, context)
      else if (isRefusal(result.error)) refuse(state, turn, result.error)
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
      // The log must not change while writes are paused.
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
      // Without a close the next opening is a recovery, and loses no frame.
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
 * Submits a group, which fills until it is taken. Resolves when each of its writes is settled.
 * Rejects if the log took none of it, or if the process that held the call has died: then the
 * caller fails the group's waiters.
 */
export const append = (writer: Ref<Messages>, group: AppendGroup): Promise<void> =>
  call(writer, 'append', group, { timeoutMs: Number.POSITIVE_INFINITY })

/** Reports that the group that fills is due, or large: it leaves as soon as it may. */
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
 * Resolves when every write that waited for the disk is written, and on its way to the follower.
 */
export const settled = (writer: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(writer, 'settled', undefined, { timeoutMs })

/** Describes the writer and its log. */
export const describe = (writer: Ref<Messages>): Promise<LogWriterDescription> =>
  call(writer, 'describe')

const initialState = (shard: Shard): State => ({
  shard,
  mode: 'recovering',
  host: undefined,
  report: undefined,
  follower: undefined,
  unheard: [],
  // Every caller in a dropped group has given up, so its call is answered.
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
  if (!state.host) throw new KeelsonError('SHARD_DOWN', 'the log is not open')
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

/** Calls `reached` when every committed frame is durable; requests a sync if one is needed. */
const whenDurable = (state: State, reached: () => void, context: Context): State => {
  state.durability.wait(reached)
  return settleSyncs(state, context)
}

const settleSyncs = (state: State, context: Context): State => {
  if (state.durability.settle()) context.pipe(hostOf(state).run('sync', null), 'synced')
  return state
}

/**
 * The last LSN that a new follower reads from the log. It is handed the groups behind it, because
 * their callers wait for its answer.
 */
const lastHeard = ({ unheard, durability }: State): number => {
  const [first] = unheard.flatMap(({ group }) => group.lsns)
  return first === undefined ? durability.lastLsn : first - 1
}

/** Hands `follower` the groups that no follower got, and all later ones as long as it lives. */
const follow = (state: State, follower: Ref<CommitFollower>, context: Context): void => {
  state.follower = follower
  context.system.monitor(follower, () => {
    if (state.follower === follower) state.follower = undefined
  })
  for (const committed of state.unheard.splice(0)) tellFollower(follower, committed)
}

const tellFollower = (follower: Ref<CommitFollower>, committed: CommittedGroup): void => {
  committed.from.handTo(follower)
  cast(follower, 'committed', committed)
}

/** Begins every turn that may begin now. */
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
  const { enableFsync, syncInterval } = shard.parts.settings.wal
  const payloads = turn.group.take()
  // Every write of a group still waits for its answer when the group is taken.
  turn.units = (turn.group.writes as readonly Append[]).map(({ units }) => units)
  return host.run('commit', {
    isGiven: true,
    now: shard.now(),
    sync: enableFsync && syncInterval === undefined,
    projectedLsn: shard.projectedLsn,
    features: featuresOf(turn.units),
    ...payloads,
  })
}

/** The log refused the group before it wrote a byte; the log continues. */
const refuse = ({ shard }: State, { group, from }: GroupTurn, error: KeelsonError): void => {
  shard.snapshots.refused(error)
  group.refuse(error)
  from.fail(error)
}

/**
 * Hands a committed group and its call to the applier. Appends that the log refused are refused
 * here.
 */
const handOver = (state: State, turn: GroupTurn, commit: Commit, context: Context): void => {
  const { shard, follower, durability } = state
  const { group, from, units } = turn
  const { lsns, time, refused, spent } = commit
  durability.written(lsns.at(-1) ?? 0, commit.durableLsn)
  shard.observeTime(time)
  if (spent) shard.appends.reuse(spent)
  state.idle?.stir()
  group.committed(lsns, refused)
  shard.snapshots.refused(refused)
  const { durableLsn } = durability
  const committed = { group, units, from, time, durableLsn }
  if (follower) tellFollower(follower, committed)
  else state.unheard.push(committed)
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

/**
 * A failed write or sync is final (invariant L3). The reason is recorded before any waiter is
 * notified.
 */
const poisoned = (state: State, error: unknown, context: Context) => {
  const { shard } = state
  tell(context.system, shard, 'wal.poisoned', { reason: error })
  if (shard.goDown(error, context.signal))
    tell(context.system, shard, 'shard.down', { reason: error })
  return stop(['shutdown', 'poisoned'], state)
}
