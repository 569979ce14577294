/**
 * The log of a shard: one writer, one file at a time, one fsync for everybody who waits. What arrives while a group is
 * on its way to the disk is the next group. It answers no append itself: once the group's fdatasync has returned, the group goes
 * to the applier in one message, and the callers with it.
 *
 * A write or a sync that failed is final: the writer ends with `['shutdown', 'poisoned']` and takes its shard down; no
 * restart is the retry. An opening that failed ends it with `['shutdown', error]`.
 */
import { isKeelsonError, KeelsonError } from '../errors.ts'
import {
  call,
  cast,
  type From,
  type GenServer,
  noReply,
  ok,
  type Ref,
  reply,
  type Settled,
  stop,
} from '../runtime/index.ts'
import type { Commit, LogDescription, LogHost, OpenReport, UnitAnswer } from '../storage/index.ts'
import { joined, takeGroup, type Waiting } from './commit-group.ts'
import { levelOf } from './settings.ts'
import type { Shard } from './shard.ts'
import { shardName } from './shard-name.ts'
import { tell } from './storage-events.ts'
import type { Ticket } from './ticket.ts'

/** Where a frame stands: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }

/** Where a frame stands, and what its units answered. */
export type Applied = { readonly position: Position; readonly answer: readonly UnitAnswer[] }

/** A group that has been committed, with those who wait for it. */
export type CommittedGroup = {
  readonly tickets: readonly Ticket[]
  readonly froms: readonly From<Applied>[]
  readonly lsns: readonly number[]
  readonly time: number
}

/** Who takes committed groups: the applier. */
export type CommitFollower = { casts: { committed: (group: CommittedGroup) => void } }

/** Where the log stands when somebody begins to follow it: groups behind `lastLsn` come as messages. */
export type Subscription = {
  readonly walId: string
  readonly epoch: number
  readonly lastLsn: number
}

/** What the writer understands. */
export type Messages = {
  calls: {
    /** Appends the ticket's frame; answered by the applier. */
    append: (ticket: Ticket) => Applied
    /** From now on committed groups go to `follower`; one that followed before gets no more. */
    subscribe: (follower: Ref<CommitFollower>) => Subscription
    /** Makes all that was committed durable. Answers the durable LSN. */
    sync: () => number
    describe: () => WriterDescription
  }
  infos: {
    committed: (commit: Settled<Commit>) => void
    synced: (sync: Settled<{ durableLsn: number }>) => void
    /** Time to sync (`wal.syncInterval`). */
    syncDue: () => void
    /** The group has had its time to fill (`wal.maxDelayMs`). */
    groupDue: () => void
  }
  continues: { open: () => void }
}

/** The writer as people look at it. */
export type WriterDescription = {
  readonly mode: State['mode']
  readonly queued: number
  readonly inFlight: number
  readonly durableLsn: number
  readonly lastLsn: number
  readonly level: 'durable' | 'written'
  readonly report: OpenReport | undefined
  readonly log: LogDescription | undefined
}

type Append = Waiting<From<Applied>>

type State = {
  readonly shard: Shard
  mode: 'recovering' | 'open'
  host: LogHost | undefined
  report: OpenReport | undefined
  follower: Ref<CommitFollower> | undefined
  /** Not yet submitted, in order. Bounded by the gate, which counts every append until it is answered. */
  queue: Append[]
  /** The group on its way to the disk. */
  inFlight: readonly Append[]
  lastLsn: number
  durableLsn: number
  syncing: From<number>[]
  syncArmed: boolean
  groupArmed: boolean
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
      try {
        const opened = await open(state)
        if (opened.report) tell(context.system, opened.shard, 'wal.recovered', opened.report)
        return noReply(opened)
      } catch (error) {
        // Not a crash: trying again cannot help, `control.reopen` or a new process is the way back.
        state.shard.goDown(error)
        tell(context.system, state.shard, 'shard.down', { reason: error })
        return stop(['shutdown', error], state)
      }
    },
  },

  calls: {
    append: (state, ticket, context) => {
      state.queue.push({ ticket, from: context.from })
      return noReply(submit(state, context))
    },
    subscribe: (state, follower) => {
      state.follower = follower
      const { walId = '', epoch = 0 } = state.report ?? {}
      return reply({ walId, epoch, lastLsn: state.lastLsn }, state)
    },
    sync: (state, _, context) => {
      if (state.durableLsn === state.lastLsn) return reply(state.durableLsn, state)
      state.syncing.push(context.from)
      if (state.syncing.length === 1) context.pipe(hostOf(state).run('sync', null), 'synced')
      return noReply(state)
    },
    describe: async (state) =>
      reply(
        {
          mode: state.mode,
          queued: state.queue.length,
          inFlight: state.inFlight.length,
          durableLsn: state.durableLsn,
          lastLsn: state.lastLsn,
          level: levelOf(state.shard.parts.settings),
          report: state.report,
          log: await state.host?.run('describe', null),
        },
        state,
      ),
  },

  casts: {},

  infos: {
    committed: (state, result, context) => {
      if (!result.ok) return poisoned(state, result.error, context)
      handOver(state, result.value, context)
      state.inFlight = []
      armSync(state, context)
      return noReply(submit(state, context))
    },
    synced: (state, result, context) => {
      if (!result.ok) return poisoned(state, result.error, context)
      state.durableLsn = Math.max(state.durableLsn, result.value.durableLsn)
      for (const from of state.syncing.splice(0)) from.reply(state.durableLsn)
      return noReply(state)
    },
    syncDue: (state, _, context) => {
      state.syncArmed = false
      if (state.durableLsn < state.lastLsn) context.pipe(hostOf(state).run('sync', null), 'synced')
      return noReply(state)
    },
    groupDue: (state, _, context) => {
      state.groupArmed = false
      return noReply(submit(state, context, 'due'))
    },
  },

  terminate: async (state, reason) => {
    const { host, shard } = state
    if (!host) return
    const orderly = reason === 'normal' || reason === 'shutdown'
    if (orderly) await host.run('close', { projectedLsn: shard.projectedLsn })
    await shard.endLog()
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['committed']>[2]

/** The name of a shard's writer; prints as `wal_writer(0)`. */
export const name = shardName<Messages>('wal_writer')

/** Appends a frame. Resolves when it is committed and applied; how it rejects: `outcomeOf` in `ticket.ts`. */
export const append = (
  writer: Ref<Messages>,
  ticket: Ticket,
  timeoutMs: number,
): Promise<Applied> => call(writer, 'append', ticket, { timeoutMs })

/** Begins to follow the log; resolves once it is open, however long that takes. */
export const subscribe = (
  writer: Ref<Messages>,
  follower: Ref<CommitFollower>,
): Promise<Subscription> =>
  call(writer, 'subscribe', follower, { timeoutMs: Number.POSITIVE_INFINITY })

/** Makes all that was committed durable; resolves with the durable LSN. */
export const sync = (writer: Ref<Messages>): Promise<number> => call(writer, 'sync')

/** How the writer and its log stand. */
export const describe = (writer: Ref<Messages>): Promise<WriterDescription> =>
  call(writer, 'describe')

const initialState = (shard: Shard): State => ({
  shard,
  mode: 'recovering',
  host: undefined,
  report: undefined,
  follower: undefined,
  queue: [],
  inFlight: [],
  lastLsn: 0,
  durableLsn: 0,
  syncing: [],
  syncArmed: false,
  groupArmed: false,
})

const open = async (state: State): Promise<State> => {
  const { shard } = state
  const { host, inspection } = await shard.leaseLog()
  const report = await host.run('open', {
    dir: shard.parts.folders.wal,
    options: shard.logOptions,
    inspection,
  })
  shard.observeTime(report.lastTime)
  return {
    ...state,
    mode: 'open',
    host,
    report,
    lastLsn: report.lastLsn,
    durableLsn: report.lastLsn,
  }
}

const hostOf = (state: State): LogHost => {
  if (!state.host) throw new KeelsonError('SHARD_DOWN', 'The log is not open.')
  return state.host
}

/** Sends the next group on its way, unless one is, or it shall have time to fill. */
const submit = (state: State, context: Context, moment: 'now' | 'due' = 'now'): State => {
  if (state.inFlight.length > 0 || state.queue.length === 0 || !state.host) return state
  if (moment === 'now' && waitsToFill(state, context)) return state
  const group = takeGroup(state.queue)
  if (group.length === 0) return state
  state.inFlight = group
  const { wal } = state.shard.parts.settings
  context.pipe(
    state.host.run('commit', {
      ...joined(group),
      now: state.shard.now(),
      sync: wal.enableFsync && wal.syncInterval === undefined,
      projectedLsn: state.shard.projectedLsn,
    }),
    'committed',
  )
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

/** The group is committed: it goes to the applier with its callers. What the log refused is answered here. */
const handOver = (state: State, commit: Commit, context: Context): void => {
  const { shard, follower, inFlight } = state
  state.lastLsn = commit.lsns[commit.lsns.length - 1] ?? state.lastLsn
  state.durableLsn = Math.max(state.durableLsn, commit.durableLsn)
  shard.observeTime(commit.time)
  const froms = inFlight.slice(0, commit.count).map(({ from }) => from)
  if (follower) {
    froms.forEach((from, at) => {
      from.handTo(follower, { shard: shard.index, lsn: commit.lsns[at] })
    })
    cast(follower, 'committed', {
      tickets: inFlight.slice(0, commit.count).map(({ ticket }) => ticket),
      froms,
      lsns: commit.lsns,
      time: commit.time,
    })
  }
  for (const { from } of inFlight.slice(commit.count)) from.fail(commit.refused)
  tell(context.system, shard, 'wal.commit', {
    frames: commit.count,
    bytes: commit.bytesWritten,
    syncMs: commit.syncMs,
    durableLsn: state.durableLsn,
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
  if (isKeelsonError(error, 'CLOSED')) return stop(['shutdown', 'closed'], state)
  shard.goDown(error)
  tell(context.system, shard, 'wal.poisoned', { reason: error })
  tell(context.system, shard, 'shard.down', { reason: error })
  return stop(['shutdown', 'poisoned'], state)
}
