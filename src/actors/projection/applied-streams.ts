/**
 * The streams that an applied frame has changed: its events, and which streams have refused it because
 * they are at a bound. It is apart from `applier.ts`, which applies frames and knows no streams.
 */
import type { System } from '../../runtime/index.ts'
import {
  entityOfStream,
  type FrameUnits,
  isAlone,
  isEntityStream,
  messageHeadBytes,
  type Rows,
  readStreamHead,
  type StreamHead,
  streamHeadKey,
  streamNameOf,
  streamPartsOf,
  type Unit,
  type UnitAnswer,
  unitsIn,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import { emit, isHeard, type StreamNamed } from '../core/storage-events.ts'

/** A stream that has refused an append because it is at its bound of bytes or producers. */
export type FullStream = StreamNamed & {
  readonly bytes: number
  readonly producers: number
  /** When it has refused the first append since it took one, and the last, in ms since 1970. */
  readonly since: number
  readonly last: number
}

/** The most that are named, and how long one is without a further refusal. */
const fullMax = 10
const fullMs = 600_000

/** The streams of a shard that are at a bound, as far as this process has seen. */
export class FullStreams {
  readonly #found = new Map<string, FullStream>()

  /** The ones with a refusal in the last ten minutes before `now`. */
  at(now: number): readonly FullStream[] {
    return [...this.#found.values()].filter(({ last }) => now - last < fullMs)
  }

  /** A stream has refused an append at `now`, and is as `head` says. */
  refused(owner: string, { bytes, producers }: StreamHead, now: number): void {
    const since = this.#found.get(owner)?.since ?? now
    this.#found.delete(owner)
    const [first] = this.#found.keys()
    if (this.#found.size === fullMax && first !== undefined) this.#found.delete(first)
    this.#found.set(owner, { ...namedBy(owner), bytes, producers, since, last: now })
  }

  /** A stream has taken a change. */
  taken(owner: string): void {
    this.#found.delete(owner)
  }
}

const namedBy = (owner: string): StreamNamed => ({
  entity: isEntityStream(owner) ? entityOfStream(owner) : undefined,
  stream: streamNameOf(owner),
})

const heardEvents = ['stream.created', 'stream.closed', 'stream.trimmed', 'stream.removed'] as const

/** The heads of streams before a frame; `undefined` for one without a stream. */
export type StreamsBefore = ReadonlyMap<string, StreamHead | undefined>

/** The heads before a frame of the streams that it is for; none without a part or a listener. */
export const streamsBefore = (
  system: System,
  units: FrameUnits,
  rows: Rows,
): StreamsBefore | undefined => {
  const isOfStreams = isAlone(units) ? hasStreams(units) : units.some(hasStreams)
  if (!isOfStreams) return undefined
  const before = new Map<string, StreamHead | undefined>()
  if (!heardEvents.some((event) => isHeard(system, event))) return before
  for (const unit of unitsIn(units))
    for (const { owner } of streamPartsOf(unit))
      if (!before.has(owner)) before.set(owner, headOf(rows, owner))
  return before
}

/** Asked of every unit of every frame, so it makes no list. */
const hasStreams = (unit: Unit): boolean =>
  unit.kind === 'streams' || (unit.kind === 'turn' && unit.streams !== undefined)

/** A frame with parts for streams was applied: emits its events, and notes the streams at a bound. */
export const streamsApplied = (
  system: System,
  shard: ShardCore & { readonly fullStreams: FullStreams },
  before: StreamsBefore,
  units: FrameUnits,
  answers: readonly UnitAnswer[],
  rows: Rows,
): void => {
  for (const [at, unit] of unitsIn(units).entries()) {
    noteFull(shard, unit, answers[at], rows)
    if (unit.kind === 'turn' && answers[at]?.kind !== 'refused') tellOfTurn(system, shard, unit)
  }
  for (const [owner, head] of before) tell(system, shard, owner, head, headOf(rows, owner))
}

/** The messages of a turn, as the shard's owner counts them: no gather of a caller has seen them. */
const tellOfTurn = (system: System, shard: ShardCore, turn: Unit): void => {
  if (!isHeard(system, 'streams.said')) return
  let [messages, bytes] = [0, 0]
  for (const part of streamPartsOf(turn)) {
    if (part.act !== 'append') continue
    messages += part.count
    bytes += part.packed.length - messageHeadBytes * part.count
  }
  if (messages > 0) emit(system, shard, 'streams.said', { messages, bytes })
}

const noteFull = (
  shard: ShardCore & { readonly fullStreams: FullStreams },
  unit: Unit,
  answer: UnitAnswer | undefined,
  rows: Rows,
): void => {
  for (const [at, { owner }] of streamPartsOf(unit).entries()) {
    const outcome = outcomeOf(answer, at, owner)
    const head = outcome === 'full' ? headOf(rows, owner) : undefined
    if (head) shard.fullStreams.refused(owner, head, shard.parts.clock.now())
    else if (outcome === 'taken') shard.fullStreams.taken(owner)
  }
}

/** Whether a stream has taken a part; one at a bound is full. A turn takes all its parts, or none. */
const outcomeOf = (
  answer: UnitAnswer | undefined,
  at: number,
  owner: string,
): 'taken' | 'full' | 'refused' => {
  if (answer?.kind === 'refused') {
    const isFull = answer.reason.code === 'TOO_LARGE' && answer.key === streamNameOf(owner)
    return isFull ? 'full' : 'refused'
  }
  const part = answer?.kind === 'streams' ? answer.answers[at] : undefined
  if (part?.kind !== 'refusedPart') return 'taken'
  return part.why === 'bytes' || part.why === 'producers' ? 'full' : 'refused'
}

/** The head of a stream; of one that was deleted and has forks none. It may have expired by now. */
const headOf = (rows: Rows, owner: string): StreamHead | undefined => {
  const row = rows.get(streamHeadKey(owner))
  const head = row && readStreamHead(row)
  return head?.terms?.isDeleted ? undefined : head
}

const tell = (
  system: System,
  shard: ShardCore,
  owner: string,
  before: StreamHead | undefined,
  after: StreamHead | undefined,
): void => {
  const named = namedBy(owner)
  const same = before && after?.birth === before.birth ? before : undefined
  if (before && !same) emit(system, shard, 'stream.removed', named)
  if (!after) return
  if (!same) emit(system, shard, 'stream.created', named)
  const messages = after.floor - (same?.floor ?? 0)
  if (messages > 0) emit(system, shard, 'stream.trimmed', { ...named, messages })
  if (after.isClosed && !same?.isClosed)
    emit(system, shard, 'stream.closed', { ...named, messages: after.next })
}
