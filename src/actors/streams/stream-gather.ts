/**
 * Gathers the calls to the streams of a shard: one unit is on its way at a time, and the calls that
 * come before its answer are the next one. Each call is settled once.
 *
 * A call that comes to an idle gather leaves at the end of its turn of the event loop. The next unit
 * leaves when the one before is durable. After a unit of many calls it waits until `gatherMs` have
 * passed since that one left, unless it is full.
 */

import type { Cancel } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  messageHeadBytes,
  type ProducerNumber,
  type StreamAnswer,
  type StreamPart,
  type StreamTarget,
  streamNameOf,
  type UnitAnswer,
  unitBytesMax,
} from '../../storage/index.ts'
import { wayToWrite } from '../core/at-owner.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import { emit, isHeard } from '../core/storage-events.ts'
import { submitAs } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { PackedMessages } from './stream-message.ts'

/** A unit of many calls leaves at most once in this time, in ms. */
const gatherMs = 20

/** So many calls are many. */
const manyCalls = 32

/** The bounds of a unit. One call that is larger goes alone. */
const unitMax = { bytes: 1024 * 1024, parts: 250 }

/** The bounds of the messages of one stream that wait or are on their way. */
const waitingMax = { messages: 1_000, bytes: 1024 * 1024 }

/** The most calls that wait for room in one stream. */
const callsMax = 1_000

/** Messages for a stream. */
export type SentMessages = {
  readonly messages: readonly (string | Uint8Array)[]
  readonly bytes: number
  readonly closes: boolean
  readonly producer: ProducerNumber | undefined
  readonly to?: StreamTarget
}

/** An act that is no append. */
export type OtherPart = Exclude<StreamPart, { act: 'append' }>

/** A call: where its messages begin among those of its part, and how it is settled. */
type Call = {
  readonly owner: string
  readonly messages: SentMessages | undefined
  readonly other: OtherPart | undefined
  readonly resolve: (answer: Sent) => void
  readonly reject: (error: unknown) => void
}

/** The answer of the part of a call; `after`: how many messages of later calls the part has. */
export type Sent = { readonly answer: StreamAnswer; readonly after: number }

/** A part that fills. */
type Filling = {
  readonly owner: string
  readonly packed: PackedMessages
  readonly other: OtherPart | undefined
  readonly producer: ProducerNumber | undefined
  readonly to: StreamTarget | undefined
  closes: boolean
  readonly calls: { readonly call: Call; readonly upTo: number }[]
}

/** The messages of a stream that wait or are on their way. */
type Load = { messages: number; bytes: number; readonly queue: Call[] }

/** The gather of a shard. */
export class StreamGather {
  readonly #system: System
  readonly #shard: WritingShard
  readonly #loads = new Map<string, Load>()
  #parts: Filling[] = []
  /** The last part of each stream among them. */
  #last = new Map<string, Filling>()
  #isOut = false
  /** It leaves at the end of this turn. */
  #isDue = false
  /** Ends the wait for its time. */
  #cancel: Cancel | undefined
  /** Waiting longer would gather nothing more for some stream, or more than one unit. */
  #isFull = false
  #leftAt = Number.NEGATIVE_INFINITY
  /** Those who wait until no call is left. */
  #idle: (() => void)[] = []
  #calls = 0

  constructor(system: System, shard: WritingShard) {
    this.#system = system
    this.#shard = shard
  }

  /**
   * Appends, after all earlier appends to the stream. `first`: another part right before it.
   * @throws KeelsonError `BUSY`; as a write does
   */
  append(owner: string, messages: SentMessages, first?: OtherPart): Promise<Sent> {
    if (first) this.send(first).catch(() => undefined)
    return new Promise((resolve, reject) => {
      const call: Call = { owner, messages, other: undefined, resolve, reject }
      const load = this.#loadOf(owner)
      if (load.queue.length === 0 && hasRoom(load, messages)) this.#take(call, load)
      else if (load.queue.length < callsMax) {
        load.queue.push(call)
        this.#isFull = true
      } else reject(this.#shard.gate.counts(busy(owner)))
      this.#call()
    })
  }

  /**
   * Sends another part, after every earlier call to its stream.
   * @throws KeelsonError `BUSY`; as a write does
   */
  send(part: OtherPart): Promise<Sent> {
    return new Promise((resolve, reject) => {
      const { owner } = part
      const call: Call = { owner, messages: undefined, other: part, resolve, reject }
      const load = this.#loadOf(owner)
      if (load.queue.length === 0) this.#take(call, load)
      else if (load.queue.length < callsMax) load.queue.push(call)
      else reject(this.#shard.gate.counts(busy(owner)))
      this.#call()
    })
  }

  /** Resolves when every call has its answer. */
  idle(): Promise<void> {
    if (this.#loads.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #loadOf(owner: string): Load {
    const load = this.#loads.get(owner) ?? { messages: 0, bytes: 0, queue: [] }
    this.#loads.set(owner, load)
    return load
  }

  /** A call joins the last part of its stream, or begins one. */
  #take(call: Call, load: Load): void {
    const { owner, messages, other } = call
    load.messages += messages?.messages.length ?? 0
    load.bytes += messages?.bytes ?? 0
    const last = this.#last.get(owner)
    const part = last && mayJoin(last, call) ? last : this.#begin(call, other)
    for (const message of messages?.messages ?? []) part.packed.add(message)
    if (messages?.closes) part.closes = true
    part.calls.push({ call, upTo: part.packed.count })
    if (isAtBound(load) || this.#parts.length > unitMax.parts) this.#isFull = true
  }

  #begin({ owner, messages }: Call, other: OtherPart | undefined): Filling {
    const { producer, to } = messages ?? {}
    const packed = new PackedMessages()
    const part: Filling = { owner, packed, other, producer, to, closes: false, calls: [] }
    this.#parts.push(part)
    this.#last.set(owner, part)
    return part
  }

  /** Something waits: it leaves at the end of this turn, or when its time has come. */
  #call(): void {
    if (this.#isOut || this.#parts.length === 0) return
    const { clock } = this.#system
    const many = this.#calls >= manyCalls && !this.#isFull
    const waitMs = many ? this.#leftAt + gatherMs - clock.monotonic() : 0
    if (waitMs > 0) {
      this.#cancel ??= clock.after(waitMs, () => this.#leave())
      return
    }
    if (this.#isDue) return
    this.#isDue = true
    void Promise.resolve().then(() => {
      this.#isDue = false
      if (!this.#isOut) this.#leave()
    })
  }

  #leave(): void {
    this.#cancel?.()
    this.#cancel = undefined
    const parts = this.#taken()
    if (parts.length === 0) return
    this.#isOut = true
    this.#leftAt = this.#system.clock.monotonic()
    this.#calls = parts.reduce((sum, { calls }) => sum + calls.length, 0)
    this.#written(parts.map(partOf)).then(
      (answers) => this.#back(parts, answers, undefined),
      (error: unknown) => this.#back(parts, undefined, error),
    )
  }

  /** The parts of the next unit. */
  #taken(): readonly Filling[] {
    const most = Math.min(unitMax.bytes, unitBytesMax(this.#shard.files.parts.logOptions) >> 1)
    let bytes = 0
    let count = 0
    for (const part of this.#parts) {
      bytes += bytesOf(part)
      if (count === unitMax.parts || (bytes > most && count > 0)) break
      count++
    }
    const parts = this.#parts.splice(0, count)
    this.#isFull = this.#parts.length > 0
    for (const part of parts) if (this.#last.get(part.owner) === part) this.#last.delete(part.owner)
    return parts
  }

  async #written(parts: readonly StreamPart[]): Promise<readonly StreamAnswer[]> {
    const shard = this.#shard
    const units = { kind: 'streams', parts } as const
    const { deadlineMs } = shard.parts.settings
    const options: CheckedWrite = { ack: 'applied', deadlineMs, whenFull: 'wait', windowMs: 0 }
    const way = wayToWrite(shard)
    if (way) return answersIn((await way.write(shard.index, units, options)).answers)
    return submitAs(this.#system, shard, { units, options }, (_, answers) => answersIn(answers))
  }

  #back(
    parts: readonly Filling[],
    answers: readonly StreamAnswer[] | undefined,
    error: unknown,
  ): void {
    this.#isOut = false
    if (answers && isHeard(this.#system, 'streams.written')) this.#tell(parts, answers)
    for (const [at, part] of parts.entries()) {
      const answer = answers?.[at]
      for (const { call, upTo } of part.calls) {
        if (answer) call.resolve({ answer, after: part.packed.count - upTo })
        else call.reject(error)
      }
      this.#leaves(part)
    }
    if (this.#loads.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.#call()
  }

  #tell(parts: readonly Filling[], answers: readonly StreamAnswer[]): void {
    const tookMs = this.#system.clock.monotonic() - this.#leftAt
    emit(this.#system, this.#shard, 'streams.written', { ...writtenBy(parts, answers), tookMs })
  }

  /** The messages of a part are decided: later calls of its stream take their room. */
  #leaves({ owner, calls }: Filling): void {
    const load = this.#loadOf(owner)
    for (const { call } of calls) {
      load.messages -= call.messages?.messages.length ?? 0
      load.bytes -= call.messages?.bytes ?? 0
    }
    for (let next = load.queue[0]; next && hasRoom(load, next.messages); next = load.queue[0]) {
      load.queue.shift()
      this.#take(next, load)
    }
    if (load.messages === 0 && load.queue.length === 0 && !this.#last.has(owner))
      this.#loads.delete(owner)
  }
}

/** The messages that parts have appended, and why others were refused. */
const writtenBy = (parts: readonly Filling[], answers: readonly StreamAnswer[]) => {
  const refused: Record<string, number> = Object.create(null)
  let [messages, bytes] = [0, 0]
  for (const [at, { packed }] of parts.entries()) {
    const answer = answers[at]
    if (answer?.kind === 'refusedPart') refused[answer.why] = (refused[answer.why] ?? 0) + 1
    if (answer?.kind !== 'stream' || answer.isRepeat) continue
    messages += packed.count
    bytes += packed.length - messageHeadBytes * packed.count
  }
  return { messages, bytes, refused }
}

/**
 * Whether a call may be a part with those before it: an append that closes nothing alone, without a producer
 * or with the next messages of the same one.
 */
const mayJoin = (part: Filling, { messages }: Call): boolean =>
  !part.other &&
  !part.closes &&
  messages !== undefined &&
  isNext(part, messages.producer) &&
  part.to?.birth === messages.to?.birth &&
  part.to?.order === undefined &&
  messages.to?.order === undefined &&
  messages.messages.length > 0 &&
  part.packed.length + messages.bytes <= unitMax.bytes

const isNext = ({ producer, packed }: Filling, next: ProducerNumber | undefined): boolean =>
  producer === next ||
  (producer?.counts === 'messages' &&
    next?.counts === 'messages' &&
    producer.id === next.id &&
    producer.epoch === next.epoch &&
    next.seq === producer.seq + packed.count)

const hasRoom = ({ messages, bytes }: Load, more: SentMessages | undefined): boolean => {
  const count = messages + (more?.messages.length ?? 0)
  const isWithin = count <= waitingMax.messages && bytes + (more?.bytes ?? 0) <= waitingMax.bytes
  return isWithin || messages === 0
}

const isAtBound = ({ messages, bytes, queue }: Load): boolean =>
  queue.length > 0 || messages >= waitingMax.messages || bytes >= waitingMax.bytes

const bytesOf = ({ packed, other }: Filling): number =>
  other?.act === 'create' ? other.packed.length : packed.length

const partOf = ({ owner, packed, other, producer, to, closes }: Filling): StreamPart =>
  other ?? {
    owner,
    act: 'append',
    count: packed.count,
    packed: packed.packed(),
    closes,
    producer,
    to,
  }

const answersIn = ([answer]: readonly UnitAnswer[]): readonly StreamAnswer[] => {
  if (answer?.kind !== 'streams') throw new Error(`streams were answered like a ${answer?.kind}`)
  return answer.answers
}

const busy = (owner: string): KeelsonError =>
  new KeelsonError('BUSY', `${callsMax} appends to the stream wait for room`, {
    details: { stream: streamNameOf(owner), callsMax },
  })
