/**
 * Acts on the projections of many shards side by side and reports each shard's outcome. It owns the ends of
 * suspensions: a hold ends with `resume`, with its lease, or when its owner's process ends. The holds themselves live in
 * the `Shard` values, so that a restart of this process ends none; it takes them up again in `init`.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type Accepts,
  call,
  type From,
  type GenServer,
  isRef,
  type Monitor,
  noReply,
  ok,
  type Ref,
  type Timer,
} from '../../runtime/index.ts'
import * as BlobStore from '../blobs/blob-store.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import {
  isCount,
  isFlag,
  isListOf,
  isOneOf,
  isOptional,
  isRecord,
  isText,
  isTime,
} from '../shard/payload-check.ts'
import type { Shard, Suspension } from '../shard/shard.ts'
import { instanceName } from '../shard/shard-name.ts'
import {
  eachShard,
  type Instance,
  noShard,
  type Outcome,
  type Outcomes,
  told,
} from '../shard/shard-outcomes.ts'
import { tell } from '../shard/storage-events.ts'
import {
  type ControlOptions,
  type PlainRequest,
  plainRequest,
  type ResumeOptions,
  type ResumeRequest,
  resumeRequest,
  type Scope,
  type SuspendOptions,
  type SuspendRequest,
  suspendRequest,
  type Which,
} from './control-request.ts'
import { drained } from './write-pause.ts'

export type { Outcome, Outcomes } from '../shard/shard-outcomes.ts'

/** What became of a shard that was asked to give back what nobody refers to. */
export type SweepOutcome = Outcome & { readonly report?: BlobStore.SweepReport }

/** A part of a shard that can be started again. */
export type ReopenPart = 'shard' | 'followers'

/** `running`: it was not down, and nothing was done. `down`: it was, and is open again. */
export type Reopened = {
  readonly shard: number
  readonly part: ReopenPart
  readonly was: 'running' | 'down'
}

/** What control understands. */
export type Messages = {
  calls: {
    suspend: (request: SuspendRequest) => Outcomes & { readonly token: string }
    /** @throws `INVALID_ARGUMENT` for a token that suspends none of the shards */
    resume: (request: ResumeRequest) => Outcomes
    flush: (request: PlainRequest) => Outcomes
    discard: (request: PlainRequest) => Outcomes
    /** The references' names, for every shard. `timeoutMs` is the instance's `deadlineMs` by default. */
    suspend_all: (options: SuspendOptions | undefined) => Outcomes & { readonly token: string }
    resume_all: (options: ResumeOptions | undefined) => Outcomes
    flush_all: (options: ControlOptions | undefined) => Outcomes
    discard_all: (options: ControlOptions | undefined) => Outcomes
    sweep: (request: PlainRequest) => { readonly outcomes: readonly SweepOutcome[] }
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
  /** What watches over a suspension's end, by its token. */
  readonly watches: Map<string, Watch>
}

type Watch = { readonly monitor: Monitor | undefined; readonly timer: Timer | undefined }

/** How long the end of a hold may take on one shard when nobody waits for it, in ms. */
const endTimeoutMs = 30_000

const plainFields = { shards: isListOf(isCount), timeoutMs: isTime }
const isTokenRecord = isRecord({ token: isText })
const isWhich: Accepts = (which) => which === 'all' || which === 'ownerless' || isTokenRecord(which)

/** Options are checked before the state is at hand: what they are about does not matter to the check. */
const noScope: Scope = { shards: [], deadlineMs: endTimeoutMs }

/** Control of an instance. */
export const server: GenServer<Messages, State, Options> = {
  init: (options, context) => {
    const state: State = { ...options, watches: new Map() }
    for (const shard of options.shards)
      for (const suspension of shard.suspensions.values()) {
        // Nobody was told of its token: its caller was told that this process ended.
        if (suspension.answered) watch(state, suspension, context)
        else endHold(state, suspension.token, context)
      }
    return ok(state)
  },

  accepts: {
    calls: {
      suspend: isRecord({
        ...plainFields,
        flush: isFlag,
        writes: isFlag,
        owner: isOptional(isRef),
        leaseMs: isOptional(isTime),
      }),
      resume: isRecord({ ...plainFields, which: isWhich }),
      flush: isRecord(plainFields),
      discard: isRecord(plainFields),
      suspend_all: (options) => suspendRequest(noScope, options as SuspendOptions) !== undefined,
      resume_all: (options) => resumeRequest(noScope, options as ResumeOptions) !== undefined,
      flush_all: (options) => plainRequest(noScope, options as ControlOptions) !== undefined,
      discard_all: (options) => plainRequest(noScope, options as ControlOptions) !== undefined,
      sweep: isRecord(plainFields),
      reopen: isRecord({ shard: isCount, part: isOneOf('shard', 'followers') }),
    },
    casts: {},
    infos: { leaseDue: isText },
  },

  calls: {
    suspend: (state, request, context) => suspending(state, request, context),
    resume: (state, request, context) => resuming(state, request, context),
    flush: (state, request, context) => flushing(state, request, context),
    discard: (state, request, context) => discarding(state, request, context),
    suspend_all: (state, options, context) =>
      suspending(state, suspendRequest(everyShard(state), options), context),
    resume_all: (state, options, context) =>
      resuming(state, resumeRequest(everyShard(state), options), context),
    flush_all: (state, options, context) =>
      flushing(state, plainRequest(everyShard(state), options), context),
    discard_all: (state, options, context) =>
      discarding(state, plainRequest(everyShard(state), options), context),
    sweep: (state, { shards, timeoutMs }, context) => {
      const reports = new Map<number, BlobStore.SweepReport>()
      const sweep = async (shard: Shard) => {
        const { instance } = shard.parts
        const store = context.to(BlobStore.name(instance, shard.index))
        reports.set(shard.index, await BlobStore.sweep(store, timeoutMs))
      }
      const swept = eachShard('sweep', instanceOf(state, context), shards, sweep)
      answer(
        context.from,
        swept.then(({ outcomes }) => ({ outcomes: withReports(outcomes, reports) })),
      )
      return noReply(state)
    },
    reopen: (state, { shard: index, part }, context) => {
      const shard = state.shards[index]
      const reopened = (here: Shard) => state.reopen(here, part)
      if (shard) answer(context.from, told('reopen', shard, context.system, reopened))
      else context.from.fail(noShard(index))
      return noReply(state)
    },
  },

  casts: {},

  infos: {
    leaseDue: (state, token, context) => {
      endHold(state, token, context)
      return noReply(state)
    },
  },

  down: (state, { monitor }, context) => {
    for (const [token, watch] of state.watches)
      if (watch.monitor === monitor) endHold(state, token, context)
    return noReply(state)
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['leaseDue']>[2]
type Answering<R> = Context & { readonly from: From<R> }

/** Every shard of the instance. */
const everyShard = ({ shards }: State): Scope => ({
  shards: shards.map(({ index }) => index),
  deadlineMs: shards[0]?.parts.settings.deadlineMs ?? endTimeoutMs,
})

const suspending = (
  state: State,
  request: SuspendRequest,
  context: Answering<Outcomes & { readonly token: string }>,
) => {
  const suspension = suspensionFor(request, context)
  // The owner is watched before the first shard is asked: one that ends meanwhile leaves no hold behind.
  watch(state, suspension, context)
  const { token } = suspension
  const outcomes = eachShard('suspend', instanceOf(state, context), request.shards, (shard) =>
    hold(shard, context, suspension, request),
  )
  const answered = outcomes.then((all) => {
    for (const { suspensions } of state.shards) {
      const here = suspensions.get(token)
      if (here) here.answered = true
    }
    return { token, ...all }
  })
  answer(context.from, answered)
  return noReply(state)
}

const resuming = (
  state: State,
  { shards, timeoutMs, which }: ResumeRequest,
  context: Answering<Outcomes>,
) => {
  if (typeof which === 'object' && !isKnown(state, shards, which.token)) {
    context.from.fail(
      new KeelsonError('INVALID_ARGUMENT', 'no suspension of these shards has this token', {
        details: { path: 'token', shards },
      }),
    )
    return noReply(state)
  }
  const resume = (shard: Shard) => release(shard, context, tokensOf(shard, which), timeoutMs)
  const outcomes = eachShard('resume', instanceOf(state, context), shards, resume)
  unwatchEnded(state, context)
  answer(context.from, outcomes)
  return noReply(state)
}

const isKnown = (state: State, shards: readonly number[], token: string): boolean =>
  state.shards.some(({ index, suspensions }) => shards.includes(index) && suspensions.has(token))

const flushing = (
  state: State,
  { shards, timeoutMs }: PlainRequest,
  context: Answering<Outcomes>,
) => {
  const flush = (shard: Shard) => LmdbWriter.flush(writerOf(shard, context), timeoutMs)
  answer(context.from, eachShard('flush', instanceOf(state, context), shards, flush))
  return noReply(state)
}

const discarding = (
  state: State,
  { shards, timeoutMs }: PlainRequest,
  context: Answering<Outcomes>,
) => {
  const discard = (shard: Shard) => LmdbWriter.discard(writerOf(shard, context), timeoutMs)
  answer(context.from, eachShard('discard', instanceOf(state, context), shards, discard))
  return noReply(state)
}

/** The name of an instance's control; prints as `control`. */
export const name = (instance?: string) => instanceName<Messages>('control', instance)

/** Suspends projections; resolves with the token of the hold. A shard whose outcome is an error is not held. */
export const suspend = (control: Ref<Messages>, request: SuspendRequest) =>
  call(control, 'suspend', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Ends a hold, or all. */
export const resume = (control: Ref<Messages>, request: ResumeRequest) =>
  call(control, 'resume', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Brings projections up to date. */
export const flush = (control: Ref<Messages>, request: PlainRequest) =>
  call(control, 'flush', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Forgets what waits for projections; the log brings it back. */
export const discard = (control: Ref<Messages>, request: PlainRequest) =>
  call(control, 'discard', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Gives back the blobs that nobody refers to, now. */
export const sweep = (control: Ref<Messages>, request: PlainRequest) =>
  call(control, 'sweep', request, { timeoutMs: request.timeoutMs + answerSlackMs })

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

const instanceOf = ({ shards }: State, { system }: Context): Instance => ({ shards, system })

const withReports = (
  outcomes: readonly Outcome[],
  reports: ReadonlyMap<number, BlobStore.SweepReport>,
): readonly SweepOutcome[] =>
  outcomes.map((outcome) => {
    const report = reports.get(outcome.shard)
    return report ? { ...outcome, report } : outcome
  })

/** Holds writes first, so that the flush has an end; gives everything back when it fails. */
const hold = async (
  shard: Shard,
  context: Context,
  suspension: Suspension,
  { flush, timeoutMs }: { readonly flush: boolean; readonly timeoutMs: number },
): Promise<void> => {
  const { system } = context
  const endsAt = system.clock.monotonic() + timeoutMs
  const left = () => Math.max(1, endsAt - system.clock.monotonic())
  const { token, writes } = suspension
  // It stands in the shard from here on, so that whatever ends it meanwhile finds it.
  shard.suspend(suspension)
  try {
    if (writes) await drained(system, shard, token, left())
    await LmdbWriter.suspend(writerOf(shard, context), token, flush, left())
    if (writes) tell(system, shard, 'gate.paused', { token })
  } catch (error) {
    // The answer may have been lost on its way: then a hold has to go as well.
    await release(shard, context, [token], timeoutMs)
    throw error
  }
}

/** Ends suspensions in the shard's value, so that they have ended whatever becomes of the writer, then tells the writer. */
const release = async (
  shard: Shard,
  context: Context,
  tokens: readonly string[],
  timeoutMs: number,
): Promise<void> => {
  for (const token of tokens)
    if (shard.endSuspension(token) === 'writes')
      tell(context.system, shard, 'gate.resumed', { token })
  try {
    await LmdbWriter.resume(writerOf(shard, context), timeoutMs)
  } catch (error) {
    // A writer that is not there finds no hold when it comes back.
    if (!isKeelsonError(error, 'NO_PROCESS') && !isKeelsonError(error, 'EXITED')) throw error
  }
}

const tokensOf = ({ suspensions }: Shard, which: Which): string[] => {
  if (which === 'all') return [...suspensions.keys()]
  if (which !== 'ownerless') return [which.token]
  return [...suspensions.values()].flatMap(({ token, owner }) => (owner ? [] : [token]))
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

/** Sees to it that the suspension ends with its owner and with its lease. */
const watch = (state: State, { token, owner, until }: Suspension, context: Context): void => {
  if (state.watches.has(token) || (!owner && until === undefined)) return
  state.watches.set(token, {
    monitor: owner && context.monitor(owner),
    timer:
      until === undefined
        ? undefined
        : context.sendAfter(Math.max(0, until - context.now()), 'leaseDue', token),
  })
}

/** Ends a suspension that nobody asked to end: its lease is over, or its owner gone. */
const endHold = (state: State, token: string, context: Context): void => {
  for (const shard of state.shards)
    if (shard.suspensions.has(token))
      release(shard, context, [token], endTimeoutMs).catch(() => undefined)
  unwatchEnded(state, context)
}

/** What has ended everywhere is not watched any more. */
const unwatchEnded = (state: State, context: Context): void => {
  for (const [token, { monitor, timer }] of state.watches) {
    if (state.shards.some(({ suspensions }) => suspensions.has(token))) continue
    state.watches.delete(token)
    if (monitor) context.demonitor(monitor, { flush: true })
    if (timer) context.cancelTimer(timer)
  }
}

const writerOf = (shard: Shard, context: Context): Ref<LmdbWriter.Messages> =>
  context.to(LmdbWriter.name(shard.parts.instance, shard.index))
