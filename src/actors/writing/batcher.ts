/**
 * The batcher of a shard, as in its reference (FerricStore's Batcher). It makes a group of writes
 * leave for the disk at the end of its first window, at a flush, and at its own end. The groups
 * belong to the log. Writes do not pass through this process, so its death costs no write its
 * answer. The write functions of the reference are in `command-writes.ts`.
 */
import { failedAs } from '../../errors.ts'
import {
  call,
  cast,
  type Fired,
  type From,
  type GenServer,
  noReply,
  ok,
  type Ref,
  reply,
  type Settled,
  type System,
  stop as stopWith,
  type Timer,
} from '../../runtime/index.ts'
import { WriteGroup } from '../../storage/index.ts'
import {
  isIgnored,
  isInstance,
  isOneOf,
  isRecord,
  isSettled,
  isText,
} from '../core/payload-check.ts'
import { shardName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import type { WindowChange } from '../core/write-windows.ts'
import type { AppendGroup } from '../log/appends.ts'
import { flushed, leaveNow } from '../log/log-append.ts'
import type { WritingShard } from './writing-shard.ts'

/** A group that waits for a window of `namespace`. */
export type Departure = { readonly group: AppendGroup; readonly namespace: string }

/** The messages of the batcher. */
export type Messages = {
  calls: {
    /** Lets the waiting group leave. Answered when every earlier group has ended. */
    flush: () => void
    /** `flush`, then the end of the batcher. */
    stop: () => void
    describe: () => BatcherDescription
  }
  casts: {
    /** A group waits for a window, or now for an earlier one. */
    departs: (departure: Departure) => void
  }
  infos: {
    /** The first window of the waiting group has ended. */
    windowOver: (fired: Fired<null>) => void
    /** A group with windowed writes was applied, or has failed. */
    ended: (settled: Settled<Ended>) => void
    /** Every group before a `stop` has ended. */
    stopped: (settled: Settled<void>) => void
  }
}

/** The state of the batcher, for `describe`. */
export type BatcherDescription = {
  /** The window of each namespace that has one, in ms, and the last changes of windows. */
  readonly windows: Readonly<Record<string, number>>
  readonly changes: readonly WindowChange[]
  /** The group that waits for a window. `namespace`: the one whose window ends first. */
  readonly waiting:
    | {
        readonly namespace: string
        readonly writes: number
        readonly commands: number
        readonly bytes: number
        readonly leavesInMs: number
      }
    | undefined
  /** Groups with windowed writes that have not ended. */
  readonly groupsUnderWay: number
}

/**
 * A group that a windowed write has joined, and when the batcher was notified, by the monotonic
 * clock.
 */
type Windowed = {
  readonly group: AppendGroup
  namespace: string
  readonly since: number
}

type Ended = { readonly windowed: Windowed; readonly failure: unknown }

type State = {
  readonly shard: WritingShard
  /** The last group that a windowed write has joined, and the timer of its departure. */
  last: Windowed | undefined
  timer: Timer | undefined
  underWay: number
  /** The `stop` calls to answer at the end. */
  stopping: From<void>[]
}

/** The batcher of a shard. */
export const server: GenServer<Messages, State, WritingShard> = {
  init: (shard, { self, system }) => {
    // Without a batcher there are no windows: the waiting group leaves, and later writes do not
    // wait.
    system.monitor(self, () => {
      shard.appends.listen(undefined)
      leaveNow(system, shard)
    })
    shard.appends.listen((group, { namespace }) => cast(self, 'departs', { group, namespace }))
    return ok({ shard, last: undefined, timer: undefined, underWay: 0, stopping: [] })
  },

  accepts: {
    calls: { flush: isIgnored, stop: isIgnored, describe: isIgnored },
    casts: { departs: isRecord({ group: isInstance(WriteGroup), namespace: isText }) },
    infos: {
      windowOver: isRecord({ timer: isIgnored }),
      // The end of a group never rejects: a failure is a part of its value.
      ended: isRecord({
        ok: isOneOf(true),
        value: isRecord({ windowed: isRecord({ group: isInstance(WriteGroup) }) }),
      }),
      stopped: isSettled(),
    },
  },

  calls: {
    flush: (state, _, { from, system }) => {
      // Outside the mailbox: a slow disk must not hold up departures.
      void flushed(system, state.shard).then(() => from.reply(undefined))
      return noReply(state)
    },
    stop: (state, _, context) => {
      state.stopping.push(context.from)
      context.pipe(flushed(context.system, state.shard), 'stopped')
      return noReply(state)
    },
    describe: (state, _, { system }) => reply(describing(state, system.clock.monotonic()), state),
  },

  casts: {
    departs: (state, { group, namespace }, context) => {
      if (state.last?.group === group) state.last.namespace = namespace
      else follow(state, group, namespace, context)
      if (state.timer) context.cancelTimer(state.timer)
      state.timer = undefined
      // The group may have left before this message arrived.
      if (!waits(group)) return noReply(state)
      const inMs = group.departsAt - context.system.clock.monotonic()
      state.timer = context.startTimer(Math.max(0, inMs), 'windowOver', null)
      return noReply(state)
    },
  },

  infos: {
    windowOver: (state, { timer }, { system }) => {
      // The message of an earlier timer does not concern the waiting group.
      if (state.timer !== timer) return noReply(state)
      state.timer = undefined
      leaveNow(system, state.shard, state.last?.group)
      return noReply(state)
    },
    ended: (state, settled, { system }) => {
      if (!settled.ok) throw settled.error
      state.underWay--
      report(system, state.shard, settled.value)
      return noReply(state)
    },
    stopped: (state) => {
      // No stop is pending: the message is not the batcher's own.
      if (state.stopping.length === 0) return noReply(state)
      for (const from of state.stopping) from.reply(undefined)
      return stopWith('normal', state)
    },
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['ended']>[2]

/** The name of a shard's batcher; prints as `batcher(0)`. */
export const name = shardName<Messages>('batcher')

/**
 * Lets the waiting group leave. Resolves when every write that was in the log's queue before has
 * settled; later writes do not delay it.
 * @throws KeelsonError `NO_PROCESS`, `EXITED`, `TIMEOUT`
 */
export const flush = (batcher: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(batcher, 'flush', undefined, { timeoutMs })

/**
 * `flush`, then ends the batcher; its supervisor starts another. Writes that arrive before leave at
 * its end at the latest.
 * @throws KeelsonError `NO_PROCESS`, `EXITED`, `TIMEOUT`
 */
export const stop = (batcher: Ref<Messages>, timeoutMs: number): Promise<void> =>
  call(batcher, 'stop', undefined, { timeoutMs })

/** Describes the windows, their changes with author and time, and the waiting group. */
export const describe = (batcher: Ref<Messages>): Promise<BatcherDescription> =>
  call(batcher, 'describe')

const waits = (group: AppendGroup): boolean => !group.isDue && group.isFilling

/** Reports the end of a group that a windowed write has joined. */
const follow = (state: State, group: AppendGroup, namespace: string, context: Context): void => {
  const windowed = { group, namespace, since: context.system.clock.monotonic() }
  state.last = windowed
  state.underWay++
  const ended = state.shard.appends.endOf(group).then((failure): Ended => ({ windowed, failure }))
  context.pipe(ended, 'ended')
}

const report = (system: System, shard: WritingShard, { windowed, failure }: Ended): void => {
  const { group, namespace, since } = windowed
  // The group never left: all its callers gave up, or the log's writer died.
  if (group.takenAt === undefined) return
  emit(system, shard, 'batcher.flushed', {
    namespace,
    writes: group.lengths.length,
    commands: group.weight,
    bytes: group.size,
    queuedMs: Math.max(0, group.takenAt - since),
    result: failure === undefined ? 'ok' : failedAs(failure),
  })
}

const describing = ({ shard, last, underWay }: State, now: number): BatcherDescription => {
  const { windows } = shard.parts
  return {
    windows: windows.all(),
    changes: windows.changes,
    waiting:
      last && waits(last.group)
        ? {
            namespace: last.namespace,
            writes: last.group.count,
            commands: last.group.weight,
            bytes: last.group.size,
            leavesInMs: Math.max(0, last.group.departsAt - now),
          }
        : undefined,
    groupsUnderWay: underWay,
  }
}
