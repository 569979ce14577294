/**
 * Control of an instance: runs requests on many shards side by side, and reports the outcome of
 * each. It also ends suspensions: by `resume`, at the end of the lease, or when the owner's process
 * ends. The holds are kept in the `Shard` values, so a restart of this process ends none; `init`
 * watches them again.
 */

import { leftUntil } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { hasOwn } from '../../own-names.ts'
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
import type { NamedSnapshot } from '../../storage/index.ts'
import * as BlobStore from '../blobs/blob-store.ts'
import { answerWith } from '../core/answering.ts'
import { askedAtOwner, atOwner, isElsewhere } from '../core/at-owner.ts'
import {
  isCount,
  isFlag,
  isListOf,
  isOneOf,
  isOptional,
  isRecord,
  isText,
  isTime,
} from '../core/payload-check.ts'
import type { ShardCore } from '../core/shard-core.ts'
import { instanceName } from '../core/shard-name.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import type { Suspension } from '../projection/suspensions.ts'
import * as Snapshotter from '../snapshots/snapshotter.ts'
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
} from './control-request.ts'
import type { ControlShard } from './control-shard.ts'
import { HoldsAway, holdEnded } from './holds-away.ts'
import { endWhenAway, hold, release, suspensionFor, tokensOf, writerOf } from './holds-here.ts'
import {
  eachShard,
  type Instance,
  noShard,
  type Outcome,
  type Outcomes,
  type ShardWork,
  withOutcome,
} from './shard-outcomes.ts'

export type { AskedResumption, AskedSuspension } from './holds-away.ts'
export type { Outcome, Outcomes } from './shard-outcomes.ts'

/** The outcome of a sweep on one shard. */
export type SweepOutcome = Outcome & { readonly report?: BlobStore.SweepReport }

/** The outcome of a request for a snapshot on one shard. */
export type SnapshotOutcome = Outcome & { readonly snapshot?: NamedSnapshot }

/** The outcome of `acceptClock` on one shard: by how many ms its time leapt forward. */
export type ClockOutcome = Outcome & { readonly leaptMs?: number }

/** The parts of a shard that `reopen` can start. */
export const reopenParts = ['shard', 'followers', 'replication'] as const

/** A part of a shard that `reopen` can start. */
export type ReopenPart = (typeof reopenParts)[number]

/**
 * `running`: nothing was down, and nothing was done. `down`: the parts in `reopened` were down, and
 * are open again; a replica that was down is tried again.
 */
export type Reopened = {
  readonly shard: number
  readonly was: 'running' | 'down'
  readonly reopened: readonly ReopenPart[]
}

/** The messages of control. */
export type Messages = {
  calls: {
    suspend: (request: SuspendRequest) => Outcomes & { readonly token: string }
    /** Ends suspensions. @throws `INVALID_ARGUMENT` for a token that suspends none of the shards */
    resume: (request: ResumeRequest) => Outcomes
    flush: (request: PlainRequest) => Outcomes
    discard: (request: PlainRequest) => Outcomes
    /**
     * The names that the references use, for every shard. `timeoutMs` is the instance's
     * `deadlineMs` by default.
     */
    suspend_all: (options: SuspendOptions | undefined) => Outcomes & { readonly token: string }
    resume_all: (options: ResumeOptions | undefined) => Outcomes
    flush_all: (options: ControlOptions | undefined) => Outcomes
    discard_all: (options: ControlOptions | undefined) => Outcomes
    sweep: (request: PlainRequest) => Outcomes<SweepOutcome>
    snapshot: (request: PlainRequest) => Outcomes<SnapshotOutcome>
    acceptClock: (request: PlainRequest) => Outcomes<ClockOutcome>
    /** Without a part: whatever of the shard is down. */
    reopen: (request: { shard: number; part?: ReopenPart | undefined }) => Reopened
  }
  infos: {
    leaseDue: (token: string) => void
  }
}

/** The shards, and a function that starts a part again: that is the tree's job. */
export type Options = {
  readonly shards: readonly ControlShard[]
  readonly reopen: (shard: ShardCore, part: ReopenPart | undefined) => Promise<Reopened>
}

type State = Options & {
  /** The monitor and the timer of each suspension, by its token. */
  readonly watches: Map<string, Watch>
  /** The holds at other members; `undefined` without members. */
  readonly away: HoldsAway | undefined
}

type Watch = { readonly monitor: Monitor | undefined; readonly timer: Timer | undefined }

/** The time to end a hold on one shard when no caller waits for it, in ms. */
const endTimeoutMs = 30_000

const plainFields = { shards: isListOf(isCount), timeoutMs: isTime }
const isTokenRecord = isRecord({ token: isText })
const isOwnerRecord = isRecord({ owner: isOptional(isRef) })
const isWhich: Accepts = (which) =>
  isOneOf('all', 'apps')(which) || isTokenRecord(which) || isOwnerRecord(which)

/** Options are checked without the state: the shards do not matter for the check. */
const noScope: Scope = { shards: [], deadlineMs: endTimeoutMs }

/** Control of an instance. */
export const server: GenServer<Messages, State, Options> = {
  init: (options, context) => {
    const way = options.shards[0]?.way
    const state: State = { ...options, watches: new Map(), away: way && new HoldsAway(way) }
    if (way) for (const shard of options.shards) void endWhenAway(shard, context.signal)
    context.signal.addEventListener('abort', () => state.away?.close())
    for (const shard of options.shards)
      for (const suspension of shard.suspensions.byToken.values()) {
        // Without an answer the caller has no token: its call failed with the end of this process.
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
      snapshot: isRecord(plainFields),
      acceptClock: isRecord(plainFields),
      reopen: isRecord({ shard: isCount, part: isOptional(isOneOf(...reopenParts)) }),
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
    sweep: (state, request, context) =>
      asking<SweepOutcome>('sweep', state, request, context, async ({ parts, index }) => {
        const store = context.to(BlobStore.name(parts.instance, index))
        return { report: await BlobStore.sweep(store, request.timeoutMs) }
      }),
    snapshot: (state, request, context) =>
      asking<SnapshotOutcome>('snapshot', state, request, context, async (shard) => {
        const snapshotter = context.to(Snapshotter.name(shard.parts.instance, shard.index))
        const made = Snapshotter.snapshot(snapshotter, request.timeoutMs)
        return { snapshot: await LmdbWriter.answerOf(shard, made) }
      }),
    acceptClock: (state, request, context) =>
      asking<ClockOutcome>('acceptClock', state, request, context, async ({ time }) => ({
        leaptMs: time.follow(),
      })),
    reopen: (state, { shard: index, part }, context) => {
      const shard = state.shards[index]
      const { deadlineMs } = everyShard(state)
      const reopened = (here: ControlShard) =>
        askedAtOwner(here, 'control.reopen', part ? [part] : [], deadlineMs, () =>
          state.reopen(here, part),
        )
      if (shard)
        void answerWith(context.from, withOutcome('reopen', shard, context.system, reopened))
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
  const { away } = state
  // The owner is watched before the first shard is asked, so that its death during the request
  // leaves no hold.
  watch(state, suspension, context)
  const { token } = suspension
  if (!request.asked) away?.begin(suspension)
  const outcomes = eachShard('suspend', instanceOf(state, context), request.shards, (shard) => {
    const here = () => hold(shard, context, suspension, request)
    if (request.asked || !away) return unlessAway(shard, here)
    // It may have ended while the shard was waited for.
    const ifOn = () => (away.isOn(token) ? here() : Promise.reject(holdEnded(shard.index)))
    return atOwner(shard, ifOn, () => away.hold(shard.index, suspension, request))
  })
  const answered = outcomes.then(({ outcomes: all }) => {
    for (const { suspensions } of state.shards) suspensions.answered(token)
    const held = away ? all.map((outcome) => ifHeld(state, token, outcome)) : all
    away?.begun(token)
    return { token, outcomes: held }
  })
  void answerWith(context.from, answered)
  return noReply(state)
}

/** While other members have shards, a hold may end with its owner: then the outcome says so. */
const ifHeld = ({ shards, away }: State, token: string, outcome: Outcome): Outcome => {
  const { shard, ok } = outcome
  const isHeld = shards[shard]?.suspensions.byToken.has(token) || away?.has(token, shard)
  return !ok || isHeld ? outcome : { shard, ok: false, error: holdEnded(shard) }
}

/** Another member has asked for a shard that was here. @throws KeelsonError `ELSEWHERE` */
const unlessAway = async <T>(shard: ControlShard, work: () => Promise<T>): Promise<T> => {
  if (isElsewhere(shard)) throw shard.unavailable()
  return work()
}

const resuming = (
  state: State,
  { shards, timeoutMs, which, isAsked = false }: ResumeRequest,
  context: Answering<Outcomes>,
) => {
  const token = typeof which === 'object' && hasOwn(which, 'token') ? which.token : undefined
  const { away } = state
  if (token !== undefined && !away && !isKnown(state, shards, token)) {
    context.from.fail(unknownToken(shards))
    return noReply(state)
  }
  const outcomes = eachShard('resume', instanceOf(state, context), shards, (shard) => {
    const here = async (): Promise<void> => {
      // Its hold may have ended with its former owner.
      if (away && token !== undefined && !shard.suspensions.byToken.has(token))
        throw unknownToken([shard.index])
      await release(shard, context, tokensOf(shard, which), timeoutMs)
    }
    if (isAsked || !away) return unlessAway(shard, here)
    return atOwner(shard, here, () => away.release(shard.index, which, timeoutMs))
  })
  unwatchEnded(state, context)
  const heard = outcomes.then((all) => {
    unwatchEnded(state, context)
    const isUnknown = all.outcomes.every(({ error }) => error?.code === 'INVALID_ARGUMENT')
    if (token !== undefined && isUnknown) throw unknownToken(shards)
    return all
  })
  void answerWith(context.from, heard)
  return noReply(state)
}

const unknownToken = (shards: readonly number[]): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'no suspension of these shards has this token', {
    details: { path: 'token', shards },
  })

const isKnown = (state: State, shards: readonly number[], token: string): boolean =>
  state.shards.some(
    ({ index, suspensions }) => shards.includes(index) && suspensions.byToken.has(token),
  )

const flushing = (state: State, request: PlainRequest, context: Answering<Outcomes>) =>
  asking('flush', state, request, context, (shard) =>
    LmdbWriter.answerOf(shard, LmdbWriter.flush(writerOf(shard, context), request.timeoutMs)),
  )

const discarding = (state: State, request: PlainRequest, context: Answering<Outcomes>) =>
  asking('discard', state, request, context, (shard) =>
    LmdbWriter.answerOf(shard, LmdbWriter.discard(writerOf(shard, context), request.timeoutMs)),
  )

/** The requests that have the shards and the time as their only terms. */
export type PlainKind = keyof typeof answerFields

/** The fields that outcomes have the answer of a request in. */
const answerFields = {
  flush: undefined,
  discard: undefined,
  sweep: 'report',
  snapshot: 'snapshot',
  acceptClock: 'leaptMs',
}

/** Asks each shard, and answers when all have answered. It does not block this process. */
const asking = <O extends Outcome>(
  kind: PlainKind,
  state: State,
  { shards, timeoutMs }: PlainRequest,
  context: Answering<Outcomes<O>>,
  act: ShardWork<O>,
) => {
  const work: ShardWork<O> = (shard) =>
    atOwner(
      shard,
      () => act(shard) as Promise<Omit<O, keyof Outcome>>,
      async (way) => {
        const { index } = shard
        const found = await way.ask(index, `control.${kind}`, [index, { timeoutMs }], timeoutMs)
        const field = answerFields[kind]
        return (field === undefined ? {} : { [field]: found }) as Omit<O, keyof Outcome>
      },
    )
  void answerWith(context.from, eachShard(kind, instanceOf(state, context), shards, work))
  return noReply(state)
}

/** The name of an instance's control; prints as `control`. */
export const name = (instance?: string) => instanceName<Messages>('control', instance)

/**
 * Suspends projections. Resolves with the token of the hold. A shard with an error as its outcome
 * is not held.
 */
export const suspend = (control: Ref<Messages>, request: SuspendRequest) =>
  call(control, 'suspend', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Ends one hold, or several. */
export const resume = (control: Ref<Messages>, request: ResumeRequest) =>
  call(control, 'resume', request, { timeoutMs: request.timeoutMs + answerSlackMs })

/** Asks for what has the shards and the time as its only terms. */
export const request = <K extends PlainKind>(
  control: Ref<Messages>,
  kind: K,
  terms: PlainRequest,
) => {
  const timeoutMs = terms.timeoutMs + answerSlackMs
  const answer: Promise<unknown> = call(control, kind as PlainKind, terms, { timeoutMs })
  return answer as Promise<ReturnType<Messages['calls'][K]>>
}

/**
 * Brings back what of a shard is down, or one part of it; tries replicas that wait.
 * @throws KeelsonError `SHARD_DOWN` if it is down again
 */
export const reopen = (
  control: Ref<Messages>,
  request: { shard: number; part?: ReopenPart | undefined },
  timeoutMs: number,
) => call(control, 'reopen', request, { timeoutMs })

/** Each shard has its own time-out. The joint answer gets this much longer, in ms. */
const answerSlackMs = 1_000

const instanceOf = ({ shards }: State, { system }: Context): Instance => ({ shards, system })

/** Watches the owner and the lease of a suspension. */
const watch = (state: State, { token, owner, until }: Suspension, context: Context): void => {
  if (state.watches.has(token) || (!owner && until === undefined)) return
  const leftMs = until === undefined ? undefined : Math.ceil(leftUntil(context.system.clock, until))
  state.watches.set(token, {
    monitor: owner && context.monitor(owner),
    timer: leftMs === undefined ? undefined : context.sendAfter(leftMs, 'leaseDue', token).unref(),
  })
}

/** Ends a suspension whose lease or owner has ended. */
const endHold = (state: State, token: string, context: Context): void => {
  for (const shard of state.shards)
    if (shard.suspensions.byToken.has(token))
      release(shard, context, [token], endTimeoutMs).catch(() => undefined)
  state.away?.endAll(token, endTimeoutMs)
  unwatchEnded(state, context)
}

/** Stops watching suspensions that have ended on every shard. */
const unwatchEnded = (state: State, context: Context): void => {
  for (const [token, { monitor, timer }] of state.watches) {
    if (state.shards.some(({ suspensions }) => suspensions.byToken.has(token))) continue
    if (state.away?.isOn(token)) continue
    state.watches.delete(token)
    if (monitor) context.demonitor(monitor, { flush: true })
    if (timer) context.cancelTimer(timer)
  }
}
