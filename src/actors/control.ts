/**
 * Acts on the projections of many shards side by side and reports each shard's outcome. It owns the ends of
 * suspensions: a hold ends with `resume`, with its lease, or when its owner's process ends. The holds themselves live in
 * the `Shard` values, so that a restart of this process ends none; it takes them up again in `init`.
 */
import { isKeelsonError, KeelsonError } from '../errors.ts'
import { call, type From, type GenServer, noReply, ok, type Ref } from '../runtime/index.ts'
import * as LmdbWriter from './lmdb-writer.ts'
import type { Shard, Suspension } from './shard.ts'
import { instanceName } from './shard-name.ts'

/** What became of one shard. */
export type Outcome = {
  readonly shard: number
  readonly ok: boolean
  readonly error?: KeelsonError
}

/** What became of each shard asked. */
export type Outcomes = { readonly outcomes: readonly Outcome[] }

/** A part of a shard that can be started again. */
export type ReopenPart = 'shard' | 'followers'

/** `running`: it was not down, nothing was done. `open`: it is again. */
export type Reopened = {
  readonly shard: number
  readonly part: ReopenPart
  readonly was: 'running' | 'down'
}

/** What a suspension is asked for with. */
export type SuspendRequest = {
  readonly shards: readonly number[]
  readonly timeoutMs: number
  /** Brings the projection up to date before holding it. */
  readonly flush: boolean
  /** Holds new writes at the gate as well. */
  readonly writes: boolean
  /** The process whose end ends the hold; without one it belongs to whoever holds the instance. */
  readonly owner: Ref | undefined
  readonly leaseMs: number | undefined
}

/** What control understands. */
export type Messages = {
  calls: {
    suspend: (request: SuspendRequest) => Outcomes & { readonly token: string }
    resume: (request: {
      shards: readonly number[]
      timeoutMs: number
      token: string | 'all'
    }) => Outcomes
    flush: (request: { shards: readonly number[]; timeoutMs: number }) => Outcomes
    discard: (request: { shards: readonly number[]; timeoutMs: number }) => Outcomes
    reopen: (request: { shard: number; part: ReopenPart }) => Reopened
  }
  infos: {
    leaseDue: (token: string) => void
  }
}

/** What control works on; how a part is started again is the tree's affair. */
export type Options = {
  readonly shards: readonly Shard[]
  readonly reopen: (shard: Shard, part: ReopenPart) => Promise<Reopened>
}

type State = Options & {
  /** Which owner's end ends which hold. */
  readonly owners: Map<unknown, string>
}

/** How long the end of a hold may take on one shard when nobody waits for it, in ms. */
const endTimeoutMs = 30_000

/** Control of an instance. */
export const server: GenServer<Messages, State, Options> = {
  init: (options, context) => {
    const state: State = { ...options, owners: new Map() }
    const holds = new Map(options.shards.flatMap(({ suspensions }) => [...suspensions]))
    for (const suspension of holds.values()) watch(state, suspension, context)
    return ok(state)
  },

  calls: {
    suspend: (state, request, context) => {
      const suspension = suspensionFor(request, context)
      // The owner is watched before the first shard is asked: one that ends meanwhile leaves no hold behind.
      watch(state, suspension, context)
      const { token } = suspension
      const { timeoutMs, flush } = request
      const outcomes = eachShard(state, request.shards, (shard) =>
        hold(shard, writerOf(shard, context), suspension, { flush, timeoutMs }),
      )
      answer(
        context.from,
        outcomes.then((all) => ({ token, ...all })),
      )
      return noReply(state)
    },
    resume: (state, { shards, timeoutMs, token }, context) => {
      const resume = (shard: Shard) => release(shard, writerOf(shard, context), token, timeoutMs)
      answer(context.from, eachShard(state, shards, resume))
      return noReply(state)
    },
    flush: (state, { shards, timeoutMs }, context) => {
      const flush = (shard: Shard) => LmdbWriter.flush(writerOf(shard, context), timeoutMs)
      answer(context.from, eachShard(state, shards, flush))
      return noReply(state)
    },
    discard: (state, { shards, timeoutMs }, context) => {
      const discard = (shard: Shard) => LmdbWriter.discard(writerOf(shard, context), timeoutMs)
      answer(context.from, eachShard(state, shards, discard))
      return noReply(state)
    },
    reopen: (state, { shard: index, part }, context) => {
      const shard = state.shards[index]
      if (shard) answer(context.from, state.reopen(shard, part))
      else context.from.fail(noShard(index))
      return noReply(state)
    },
  },

  casts: {},

  infos: {
    leaseDue: (state, token, context) => noReply(endHold(state, token, context)),
  },

  down: (state, { monitor }, context) => {
    const token = state.owners.get(monitor)
    state.owners.delete(monitor)
    return noReply(token === undefined ? state : endHold(state, token, context))
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['leaseDue']>[2]

/** The name of an instance's control; prints as `control`. */
export const name = (instance?: string) => instanceName<Messages>('control', instance)

/** Suspends projections; resolves with the token of the hold. A shard whose outcome is an error is not held. */
export const suspend = (control: Ref<Messages>, request: SuspendRequest) =>
  call(control, 'suspend', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Ends a hold, or all. */
export const resume = (
  control: Ref<Messages>,
  request: Parameters<Messages['calls']['resume']>[0],
) => call(control, 'resume', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Brings projections up to date. */
export const flush = (control: Ref<Messages>, request: Parameters<Messages['calls']['flush']>[0]) =>
  call(control, 'flush', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Forgets what waits for projections; the log brings it back. */
export const discard = (
  control: Ref<Messages>,
  request: Parameters<Messages['calls']['discard']>[0],
) => call(control, 'discard', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Starts a shard that is down, or followers that gave up. @throws KeelsonError `SHARD_DOWN` when it is down again */
export const reopen = (
  control: Ref<Messages>,
  request: { shard: number; part: ReopenPart },
  timeoutMs: number,
) => call(control, 'reopen', request, { timeoutMs })

/** Each shard has its own time-out; the answer of all of them gets a little longer. */
const answerSlackMs = 1_000

/** Answers a caller when `work` is done; meanwhile this process goes on. */
const answer = <R>(from: From<R>, work: Promise<R>): void => {
  work.then(
    (value) => from.reply(value),
    (error: unknown) => from.fail(error),
  )
}

/** Does `act` on each shard, side by side; what fails there is that shard's outcome. */
const eachShard = async (
  { shards }: State,
  indexes: readonly number[],
  act: (shard: Shard) => Promise<unknown>,
): Promise<Outcomes> => {
  const outcome = async (index: number): Promise<Outcome> => {
    const shard = shards[index]
    try {
      if (!shard) throw noShard(index)
      await act(shard)
      return { shard: index, ok: true }
    } catch (error) {
      return { shard: index, ok: false, error: shardError(shard, error) }
    }
  }
  return { outcomes: await Promise.all(indexes.map(outcome)) }
}

/** Holds writes first, so that the flush has an end; gives everything back when it fails. */
const hold = async (
  shard: Shard,
  writer: Ref<LmdbWriter.Messages>,
  suspension: Suspension,
  { flush, timeoutMs }: { flush: boolean; timeoutMs: number },
): Promise<void> => {
  if (suspension.writes) shard.gate.hold(suspension.token)
  try {
    await LmdbWriter.suspend(writer, suspension, flush, timeoutMs)
  } catch (error) {
    shard.gate.release(suspension.token)
    // The answer may have been lost on its way: then the hold has to go as well.
    shard.suspensions.delete(suspension.token)
    throw error
  }
}

/** Ends a hold in the shard's value, so that it has ended whatever becomes of the writer, then tells the writer. */
const release = async (
  shard: Shard,
  writer: Ref<LmdbWriter.Messages>,
  token: string | 'all',
  timeoutMs: number,
): Promise<void> => {
  for (const each of token === 'all' ? [...shard.suspensions.keys()] : [token]) {
    shard.suspensions.delete(each)
    shard.gate.release(each)
  }
  try {
    await LmdbWriter.resume(writer, timeoutMs)
  } catch (error) {
    // A writer that is not there finds no hold when it comes back.
    if (!isKeelsonError(error, 'NO_PROCESS') && !isKeelsonError(error, 'EXITED')) throw error
  }
}

const suspensionFor = (request: SuspendRequest, context: Context): Suspension => {
  const { owner, writes, leaseMs } = request
  const now = context.now()
  return {
    token: Buffer.from(context.system.clock.randomBytes(9)).toString('base64url'),
    owner,
    writes,
    since: now,
    until: leaseMs === undefined ? undefined : now + leaseMs,
  }
}

/** Sees to it that the hold ends with its owner and with its lease. */
const watch = (state: State, { token, owner, until }: Suspension, context: Context): void => {
  if (owner) state.owners.set(context.monitor(owner), token)
  if (until !== undefined) context.sendAfter(Math.max(0, until - context.now()), 'leaseDue', token)
}

/** Ends a hold that nobody asked to end: its lease is over, or its owner gone. */
const endHold = (state: State, token: string, context: Context): State => {
  for (const shard of state.shards) {
    if (!shard.suspensions.has(token)) continue
    release(shard, writerOf(shard, context), token, endTimeoutMs).catch(() => undefined)
  }
  return state
}

const writerOf = (shard: Shard, context: Context): Ref<LmdbWriter.Messages> =>
  context.to(LmdbWriter.name(shard.parts.instance, shard.index))

/** A shard that is down says so itself; else the failure as it is. */
const shardError = (shard: Shard | undefined, error: unknown): KeelsonError => {
  if (shard?.phase.kind === 'down') return shard.unavailable()
  return error instanceof KeelsonError
    ? error
    : new KeelsonError('SHARD_DOWN', 'The shard did not answer.', { cause: error })
}

const noShard = (shard: number): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `There is no shard ${shard}.`, { details: { shard } })
