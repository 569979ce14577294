/**
 * The state of a shard in this process. Pure: the same state and the same event always lead to the
 * same state and the same effects. It is apart from `shard-core.ts`, which carries the effects out and
 * decides nothing, so that a test walks through every state.
 *
 * A state is one value with four parts, which `decide` alone changes:
 *
 * 1. The phase: what the shard shows here. `moves` is its table.
 * 2. `leaving`: how far it is on its way to another member. `leavingMoves` is its table. It stays
 *    while an actor restarts or the shard is down, until the shard has left or cannot leave.
 * 3. `opened`: how often it was opened since it is here. 0: not yet, and another member may have it.
 * 4. `closing`: why the instance closes. From then on the gate never opens again.
 *
 * Only an open shard begins to leave. Nothing leads out of the phase `closed`.
 */
import type { KeelsonError } from '../../errors.ts'
import type { ReadView } from './read-view.ts'

/** The phase of a shard. */
export type ShardPhase =
  | { readonly kind: 'recovering' }
  | { readonly kind: 'open'; readonly view: ReadView }
  | { readonly kind: 'down'; readonly reason: unknown }
  /** Another member has it, or nobody: nothing of it is open in this process. */
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'closed' }

/** The name of a phase. */
export type ShardKind = ShardPhase['kind']

/** How far a shard is on its way to another member. */
export type Leaving =
  | 'no'
  /** No subscription begins with a further entry. */
  | 'rests'
  /** Other members send nothing more, and nothing begins here by itself. Calls made here are taken. */
  | 'ends'
  /** New calls wait for the next owner. A handler that runs finishes, and may call others here. */
  | 'away'
  /** Its actors here have ended. Writes wait for the next owner, too. */
  | 'shut'

/** The state of a shard. */
export type ShardState = ShardPhase & {
  readonly leaving: Leaving
  readonly opened: number
  readonly closing: KeelsonError | undefined
}

/** Something that happens to a shard. */
export type ShardEvent =
  /** The applier has the complete view. */
  | { readonly kind: 'shown'; readonly view: ReadView }
  /** An actor that reads or writes need has died, or a row is damaged. */
  | { readonly kind: 'hidden' }
  /** The shard is down. `poisoned`: a write or a sync failed, so the content of the disk is unknown. */
  | { readonly kind: 'failed' | 'poisoned'; readonly reason: unknown }
  /** The tree may start it again. */
  | { readonly kind: 'cleared' }
  /** Its work here has ended: from now on another member may open it. */
  | { readonly kind: 'left' }
  /** It has come here from another member, or from none. */
  | { readonly kind: 'came'; readonly wallAheadMs: number }
  /** The next step on its way to another member. */
  | { readonly kind: Exclude<Leaving, 'no'> }
  /** It could not leave. */
  | { readonly kind: 'stays' }
  /** The instance begins to close, and: it has closed. New writes get the refusal. */
  | { readonly kind: 'closing' | 'closed'; readonly refusal: KeelsonError }

/** What `shard-core.ts` does after an event. */
export type ShardEffect =
  /** The gate holds writers back, or releases them. */
  | 'holdGate'
  | 'releaseGate'
  /** The gate refuses writers, or takes them again. */
  | 'shutGate'
  | 'reopenGate'
  /** Waits for a phase end, and listeners hear of the change. */
  | 'tell'
  /** Writes that the log does not have yet are refused. */
  | 'refuseWrites'
  /** All unanswered writes end: their outcome is unknown. */
  | 'loseWrites'
  /** The time of the shard begins as at a start. */
  | 'beginTime'

/** The next state, and what is done then, in this order. */
export type ShardMove = { readonly state: ShardState; readonly effects: readonly ShardEffect[] }

type Move = readonly [to: ShardKind, ...effects: ShardEffect[]]

const opens: Move = ['open', 'tell', 'releaseGate']
const fails: Move = ['down', 'holdGate', 'tell', 'refuseWrites', 'shutGate']
const poisoned: Move = ['down', 'holdGate', 'tell', 'loseWrites', 'shutGate']
// If it comes back, the gate holds writers until it is open.
const leaves: Move = ['elsewhere', 'holdGate', 'tell', 'shutGate']
const closes: Move = ['closed', 'tell', 'shutGate']

/** An event without an entry changes nothing. */
const moves: Readonly<Record<ShardKind, Partial<Readonly<Record<ShardEvent['kind'], Move>>>>> = {
  recovering: {
    shown: opens,
    failed: fails,
    poisoned,
    left: leaves,
    closing: ['recovering', 'shutGate'],
    closed: closes,
  },
  open: {
    hidden: ['recovering', 'holdGate', 'tell'],
    failed: fails,
    poisoned,
    left: leaves,
    closing: ['open', 'shutGate'],
    closed: closes,
  },
  down: {
    cleared: ['recovering', 'tell', 'reopenGate'],
    left: leaves,
    closing: ['down', 'shutGate'],
    closed: closes,
  },
  elsewhere: {
    came: ['recovering', 'beginTime', 'tell', 'reopenGate'],
    closing: ['elsewhere', 'shutGate'],
    closed: closes,
  },
  closed: {},
}

/** An event without an entry changes nothing. */
const leavingMoves: Readonly<
  Record<Leaving, Partial<Readonly<Record<ShardEvent['kind'], Leaving>>>>
> = {
  no: { rests: 'rests' },
  rests: { ends: 'ends', stays: 'no', left: 'no' },
  ends: { away: 'away', shut: 'shut', stays: 'no', left: 'no' },
  away: { shut: 'shut', stays: 'no', left: 'no' },
  shut: { stays: 'no', left: 'no' },
}

/** The state of a shard before its first opening. */
export const firstState: ShardState = {
  kind: 'recovering',
  leaving: 'no',
  opened: 0,
  closing: undefined,
}

/** The next state of a shard, and the effects of the event. The same state: nothing happens. */
export const decide = (state: ShardState, event: ShardEvent): ShardMove => {
  const move = moves[state.kind][event.kind]
  const leaving = nextLeaving(state, event)
  if (!move && leaving === state.leaving) return { state, effects: [] }
  const [kind, ...effects] = move ?? [state.kind]
  const closing = 'refusal' in event ? event.refusal : state.closing
  const next: ShardState = {
    ...phaseAfter(state, kind, event),
    leaving,
    opened: openedAfter(state, kind, event),
    closing,
  }
  return { state: next, effects: closing ? effects.filter(isNoReopen) : effects }
}

const phaseAfter = (before: ShardPhase, kind: ShardKind, event: ShardEvent): ShardPhase => {
  if (event.kind === 'shown') return { kind: 'open', view: event.view }
  if ('reason' in event) return { kind: 'down', reason: event.reason }
  return kind === 'open' || kind === 'down' ? before : { kind }
}

const nextLeaving = ({ kind, leaving }: ShardState, event: ShardEvent): Leaving => {
  if (event.kind === 'rests' && kind !== 'open') return leaving
  return leavingMoves[leaving][event.kind] ?? leaving
}

const openedAfter = ({ opened }: ShardState, kind: ShardKind, event: ShardEvent): number => {
  if (kind === 'elsewhere') return 0
  return event.kind === 'shown' ? opened + 1 : opened
}

const isNoReopen = (effect: ShardEffect): boolean => effect !== 'reopenGate'

/** Whether nothing can become durable for now. */
export const isStill = ({ kind }: ShardState): boolean =>
  kind === 'down' || kind === 'elsewhere' || kind === 'closed'

/** Whether it has not been open here: another member may have it. */
export const isComing = ({ kind, opened }: ShardState): boolean =>
  kind === 'recovering' && opened === 0

/** Whether nothing begins here by itself, and the other members send nothing more. */
export const isLeaving = ({ leaving }: ShardState): boolean =>
  leaving !== 'no' && leaving !== 'rests'

/** Whether this member answers for it, even if it is down or recovers again, and does not leave. */
export const isOwn = (state: ShardState): boolean => {
  const { kind } = state
  const isHere = kind === 'open' || kind === 'down' || kind === 'recovering'
  return isHere && !isComing(state) && !isLeaving(state)
}

/** Whether subscriptions may begin with a further entry. The next owner begins with the one after. */
export const mayDeliver = (state: ShardState): boolean => state.leaving === 'no' && isOwn(state)

/** Whether writes go to another member, too: all its actors here have ended. */
export const isShut = ({ kind, leaving }: ShardState): boolean =>
  leaving === 'shut' || kind === 'elsewhere'

/**
 * Whether new calls go to another member: it has the shard, or gets it now. A handler that runs here
 * finishes here, with the calls that it makes.
 */
export const isAway = (state: ShardState): boolean => state.leaving === 'away' || isShut(state)
