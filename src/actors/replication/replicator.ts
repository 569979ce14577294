/**
 * The sender of one follower: it brings a replica up to date, shard by shard and chunk by chunk,
 * and keeps it so. At most one transaction is pending. One chunk is read ahead, and the rest stays
 * in the log. So memory is bounded however far the replica is behind.
 *
 * A replica that is away is a state, not a crash. It is tried again for ever, after a delay that
 * doubles up to 30 s, with jitter. After any failure the session is closed. The next one asks the
 * replica what it has, so the fate of a commit whose answer was lost is never guessed.
 */
import { backoffMs } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import {
  type GenServer,
  type Name,
  noReply,
  ok,
  type Settled,
  send,
  type Timer,
} from '../../runtime/index.ts'
import type { ReplicaSession } from '../../storage/index.ts'
import { isIgnored, isSettled } from '../core/payload-check.ts'
import { instanceName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import type { Follower } from './follower.ts'
import { type Stepped, step } from './replica-step.ts'

/** The messages of a replicator. Only it sends them. */
export type Messages = {
  calls: Record<never, never>
  casts: Record<never, never>
  infos: {
    /** There may be something to send. */
    look: () => void
    stepped: (result: Settled<Stepped>) => void
  }
  continues: { begin: () => void }
}

type State = {
  readonly follower: Follower
  /** A step runs, and whether there may be more after it. */
  stepping: 'no' | 'yes' | 'again'
  timer: Timer | undefined
}

/** The pauses between attempts that failed. */
export const replicaPauses = { baseMs: 100, maxMs: 30_000, jitter: 0.5 }

/** The sender of a follower. */
export const server: GenServer<Messages, State, Follower> = {
  init: (follower, context) => {
    context.trapExit(true)
    return ok({ follower, stepping: 'no', timer: undefined }, { continue: ['begin'] })
  },

  continues: {
    begin: async (state, _, context) => {
      const { follower } = state
      // The unfinished step of a killed process must not go on beside this one.
      await follower.session?.close()
      follower.session = undefined
      let isNotified = false
      follower.wake = () => {
        if (isNotified) return
        isNotified = true
        context.system.clock.soon(() => {
          isNotified = false
          send(context.self, 'look')
        })
      }
      for (const { shard } of follower.shards) watchPhase(shard, context)
      return noReply(look(state, context))
    },
  },

  accepts: {
    calls: {},
    casts: {},
    infos: { look: isIgnored, stepped: isSettled() },
  },
  calls: {},
  casts: {},

  infos: {
    look: (state, _, context) => noReply(look(state, context)),
    stepped: async (state, result, context) => {
      const again = state.stepping === 'again'
      state.stepping = 'no'
      if (!result.ok) return noReply(await failed(state, result.error, context))
      if (result.value !== 'found') succeeded(state, context)
      if (again || result.value !== 'idle') return noReply(look(state, context))
      return noReply(arm(state, restOf(state, context), context))
    },
  },

  terminate: async ({ follower }) => {
    follower.wake = () => undefined
    await follower.session?.close()
    follower.session = undefined
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['look']>[2]

/** The name of the sender of a follower; prints as `replicator(0)`. */
export const name = (instance: string, follower: number): Name<Messages> =>
  instanceName<Messages>(`replicator(${follower})`, instance)

/** A shard that opens again has more to send. */
const watchPhase = (shard: Follower['shards'][number]['shard'], context: Context): void => {
  void shard.changed().then(() => {
    if (context.signal.aborted) return
    send(context.self, 'look')
    watchPhase(shard, context)
  })
}

/** Begins a step, unless one runs or an attempt waits for its time. */
const look = (state: State, context: Context): State => {
  const { follower } = state
  if (state.stepping !== 'no') {
    state.stepping = 'again'
    return state
  }
  const now = context.system.clock.monotonic()
  if (follower.retryAt !== undefined && now < follower.retryAt) return state
  if (!follower.shards.some(({ shard }) => shard.phase.kind === 'open')) return state
  disarm(state, context)
  follower.retryAt = undefined
  state.stepping = 'yes'
  context.pipe(stepWith(follower, context), 'stepped')
  return state
}

const stepWith = async (follower: Follower, context: Context): Promise<Stepped> => {
  const session = follower.session ?? (await opened(follower, context))
  return step(follower, session, context)
}

const opened = async (follower: Follower, { signal }: Context): Promise<ReplicaSession> => {
  for (const followed of follower.shards) followed.claim = undefined
  const session = await follower.terms.replica.open(signal)
  if (signal.aborted) {
    await session.close()
    throw new Error('the replicator has ended')
  }
  follower.session = session
  return session
}

const succeeded = ({ follower }: State, { system }: Context): void => {
  if (follower.trouble !== undefined) {
    const { description } = follower.terms.replica
    system.logger.info(`${description} takes again what is replicated`)
    for (const { shard } of follower.shards)
      emit(system, shard, 'replication.back', { follower: follower.index })
  }
  follower.trouble = undefined
  follower.troubleSince = undefined
  follower.failures = 0
}

/** Arms the next attempt, and closes the session: that attempt, and the end of the sender, wait. */
const failed = async (state: State, error: unknown, context: Context): Promise<State> => {
  const { follower } = state
  const { clock, logger } = context.system
  follower.failures += 1
  const inMs = backoffMs(replicaPauses, follower.failures, clock.random())
  follower.retryAt = clock.monotonic() + inMs
  const reason = reasonText(error)
  if (follower.trouble === undefined) {
    follower.troubleSince = clock.now()
    logger.warn(`${follower.terms.replica.description} does not take what is replicated: ${reason}`)
    for (const { shard } of follower.shards)
      emit(context.system, shard, 'replication.away', { follower: follower.index, reason })
  }
  follower.trouble = error
  arm(state, inMs, context)
  await follower.session?.close()
  follower.session = undefined
  return state
}

/** The ms until the first refusal of an open shard is due; `undefined` without a refusal. */
const restOf = ({ follower }: State, { system }: Context): number | undefined => {
  const moments = follower.shards.flatMap(({ refusal, shard }) =>
    refusal && shard.phase.kind === 'open' ? [refusal.until] : [],
  )
  return moments.length === 0
    ? undefined
    : Math.max(0, Math.min(...moments) - system.clock.monotonic())
}

const arm = (state: State, ms: number | undefined, context: Context): State => {
  disarm(state, context)
  if (ms !== undefined) state.timer = context.sendAfter(Math.ceil(ms), 'look').unref()
  return state
}

const disarm = (state: State, context: Context): void => {
  if (state.timer) context.cancelTimer(state.timer)
  state.timer = undefined
}
