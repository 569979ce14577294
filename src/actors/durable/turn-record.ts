/**
 * The record of a turn in its unit, for kinds that ask for it: the message, the answer and what was sent. It
 * decides nothing. A rehearsal runs the turn again with another build, and compares. It is apart from the
 * turns, because most kinds record nothing.
 */
import { sha256Hex } from '../../bytes/sha256.ts'
import { isKeelsonError, keptError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import type { Message, Ref } from '../../runtime/index.ts'
import { decodeValue, encodeValue, valueTags } from '../../storage/index.ts'
import type { DurableTable, Handler } from '../turns/durable-table.ts'
import type { Recording } from '../turns/turn-log.ts'
import type { Outcome } from '../turns/turn-outputs.ts'
import type { Run } from '../turns/turn-run.ts'

/** The record of the turns of a kind, for rehearsals. */
export type RecordOptions = {
  /** Each turn of a message records the message, its payload, the time, the answer and what was sent. */
  readonly inputs: true
  /** The most bytes of a record; 16,384. Of what is longer it has a hash. */
  readonly bytesMax?: number
  /** Returns the payload as a finding shows it. Without it the payload is shown as at the prompt. */
  readonly redact?: (payload: unknown, name: string) => unknown
}

/** The bytes of a record, if a kind does not say it. */
const recordBytesDefault = 16_384

/** A value of a record: itself, which is absent for `undefined`, or its hash and length. */
export type Part = Whole | { readonly hash: string; readonly bytes: number }
type Whole = { readonly value?: unknown }

/** A message that a turn has sent. */
export type SentMessage = { readonly to: string; readonly name: string; readonly payload?: unknown }

/** The content of a record. */
export type TurnRecord = {
  readonly section: RecordedSection
  readonly name: string
  /** The times that its handler has read: of the machine, and of the shard. In ms since 1970. */
  readonly wall?: number
  readonly shard?: number
  readonly payload: Part
  /** Of a call that the turn has answered: how. */
  readonly answer: Part
  readonly sent: Part
  /** Its handler has awaited something: it is not run again. */
  readonly awaits?: true
}

/** The sections of handlers whose turns are recorded. Steps and alarms act on the world outside. */
export type RecordedSection = 'calls' | 'casts' | 'infos'

const sections: Readonly<Record<string, RecordedSection>> = {
  call: 'calls',
  cast: 'casts',
  info: 'infos',
}

/** The section of the handler of a turn; `undefined`: such turns are not recorded. */
const sectionOf = ({ kind, what, name, handler }: Run, table: DurableTable) => {
  if (kind !== 'call' && kind !== 'message') return undefined
  const section = ownOf(sections, what.slice(0, what.indexOf(' ')))
  return section && (table[section][name] as Handler | undefined) === handler ? section : undefined
}

/** The record of a turn while its handler runs. */
export class TurnRecording implements Recording {
  readonly #section: RecordedSection
  readonly #bytesMax: number
  readonly #sent: SentMessage[] = []
  #wall: number | undefined
  #shard: number | undefined
  #awaits = false

  constructor(section: RecordedSection, bytesMax: number) {
    this.#section = section
    this.#bytesMax = bytesMax
  }

  /** The record of a turn that is run again, at these times. */
  static again(
    section: RecordedSection,
    options: RecordOptions | undefined,
    { wall, shard }: { readonly wall: number; readonly shard: number },
  ): TurnRecording {
    const recording = new TurnRecording(section, options?.bytesMax ?? recordBytesDefault)
    recording.#wall = wall
    recording.#shard = shard
    return recording
  }

  /** The record of a turn that begins. `undefined`: such a turn is not recorded. */
  static of(
    run: Run,
    table: DurableTable,
    options: RecordOptions | undefined,
  ): TurnRecording | undefined {
    const section = options && sectionOf(run, table)
    return section && new TurnRecording(section, options.bytesMax ?? recordBytesDefault)
  }

  /** The time that its handler reads: it stands still until the handler awaits something. */
  wall(now: () => number): number {
    if (this.#awaits) return now()
    this.#wall ??= now()
    return this.#wall
  }

  /** As `wall`, by the shard. */
  shard(now: () => number): number {
    if (this.#awaits) return now()
    this.#shard ??= now()
    return this.#shard
  }

  /** Its handler waits for something. */
  awaits(): void {
    this.#awaits = true
  }

  /** It sends a message. */
  sends(to: Ref<unknown>, { name, payload }: Message): void {
    this.#sent.push(sentMessage(to, name, payload))
  }

  /** The bytes for the unit; `undefined`: the record cannot be stored. */
  bytes({ name, payload, from }: Run): Uint8Array | undefined {
    const [section, wall, shard] = [this.#section, this.#wall, this.#shard]
    const times = Object.assign(
      {},
      wall !== undefined && { wall },
      shard !== undefined && { shard },
    )
    const awaits = this.#awaits ? { awaits: true as const } : {}
    try {
      if (this.#awaits)
        return encoded({ section, name, payload: {}, answer: {}, sent: {}, ...awaits })
      const sent = this.#sent.length > 0 ? this.#sent : undefined
      const answer = from?.outcome && answerOf(from.outcome)
      const parts = { payload: partOf(payload), answer: partOf(answer), sent: partOf(sent) }
      const bytes = encoded({ section, name, ...times, ...parts })
      if (bytes.length <= this.#bytesMax) return bytes
      return encoded({ section, name, ...times, ...shortened(parts, this.#bytesMax) })
    } catch (error) {
      // A value that cannot be stored, such as a ref: the turn itself can be.
      if (isKeelsonError(error)) return undefined
      throw error
    }
  }
}

/** A message as a record has it. Processes have other numbers in each life. */
const sentMessage = (to: Ref<unknown>, name: string, payload: unknown): SentMessage => {
  const part = partOf(payload)
  return Object.assign(
    { to: to.name ?? 'a process', name },
    part.value !== undefined && { payload },
  )
}

/** An answer as a record has it. */
export const answerOf = (outcome: Outcome): unknown => {
  if (outcome.ok) return outcome.value
  const { code, name, message } = keptError(outcome.error)
  return { error: [code ?? name, message] }
}

/** `undefined` is no value of an object. */
export const partOf = (value: unknown): Whole => (value === undefined ? {} : { value })

const encoded = (record: TurnRecord): Uint8Array => encodeValue(record).bytes

/** The longest parts as hashes, until the rest is short enough. */
const shortened = <K extends string>(
  parts: Readonly<Record<K, Whole>>,
  bytesMax: number,
): Readonly<Record<K, Part>> => {
  const all = Object.entries(parts) as [K, Whole][]
  const hashes = all.map(([name, part]) => [name, hashOf(part)] as const)
  hashes.sort(([, one], [, other]) => other.bytes - one.bytes)
  let left = hashes.reduce((sum, [, { bytes }]) => sum + bytes, 0)
  const short: [K, Part][] = []
  for (const [name, hash] of hashes) {
    if (left <= bytesMax) break
    short.push([name, hash])
    left -= hash.bytes
  }
  return Object.assign({}, parts, Object.fromEntries(short))
}

/** The hash of a value, which stands for it in a record. */
export const hashOf = (part: Whole): { readonly hash: string; readonly bytes: number } => {
  const { bytes } = encodeValue(part)
  return { hash: sha256Hex(bytes), bytes: bytes.length }
}

/** Reads a record. @throws KeelsonError `CORRUPT` */
export const readRecord = (bytes: Uint8Array): TurnRecord =>
  decodeValue({ tag: valueTags.structured, bytes }) as TurnRecord
