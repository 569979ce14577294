/**
 * The outcomes of calls with an id that a durable actor remembers. One row each, written with the
 * turn that made the outcome, so a repeat is answered and never handled again. Pure.
 */

import { sha256 } from '../../bytes/sha256.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  callIdRowKey,
  canonicalValue,
  decodeValue,
  type EntityRowChange,
  encodeValue,
  type StoredValue,
  valueTags,
} from '../../storage/index.ts'
import { isError, readError } from '../../thrown.ts'
import type { HeldCall, Outcome } from './turn-outputs.ts'

/** How long outcomes are kept. One goes when it is both too old and not among the newest. */
export type KeepIds = {
  /** 24 hours by default. */
  readonly forMs: number
  /** The newest that are kept whatever their age; 1,000 by default. */
  readonly newest: number
  /**
   * The most bytes of all outcomes of one actor; 4 MiB by default. Beyond it new ids are `BUSY`. An
   * outcome of more than 1 MiB is `TOO_LARGE`.
   */
  readonly bytesMax: number
}

/** The most bytes of one outcome: a greater one would soon make every new id `BUSY`. */
const outcomeBytesMax = 1024 * 1024

/** The default terms. */
export const keepIdsDefault: KeepIds = {
  forMs: 24 * 60 * 60_000,
  newest: 1_000,
  bytesMax: 4 * 1024 * 1024,
}

/** A remembered outcome. */
export type Remembered = {
  /** Identifies the content of the call. */
  readonly content: string
  readonly at: number
  /** The number of the turn. It orders outcomes of one millisecond. */
  readonly seq: number
  readonly outcome: Outcome
  readonly bytes: number
}

/**
 * The content of a call: its name and payload. @throws KeelsonError `INVALID_ARGUMENT` for a payload
 * that cannot be stored
 */
const contentOf = ({ name, payload }: HeldCall['call']): StoredValue =>
  encodeValue(payload === undefined ? [name] : [name, payload])

/** Identifies a content, whatever the order of its names. */
const identityOf = (content: StoredValue): string => hashOf(canonicalValue(content))

/**
 * Whether the hash belongs to this content. An earlier build hashed the stored bytes and did not
 * sort the names first, so both hashes are accepted.
 */
const isHashOf = (hash: string, content: StoredValue): boolean =>
  hash === identityOf(content) || hash === hashOf(content)

const hashOf = ({ bytes }: StoredValue): string => Buffer.from(sha256(bytes)).toString('base64')

/**
 * The bytes of an outcome's row. A KeelsonError keeps its code, message and details; another error
 * its name and message; any other failure is kept as a value.
 * @throws KeelsonError `INVALID_ARGUMENT` for an outcome that cannot be stored
 */
const encodeOutcome = (content: string, at: number, seq: number, outcome: Outcome): Uint8Array =>
  encodeValue([content, at, seq, ...(outcome.ok ? given(outcome.value) : failed(outcome.error))])
    .bytes

const given = (value: unknown): readonly unknown[] => (value === undefined ? [] : [value])

const failed = (error: unknown): readonly unknown[] => {
  if (!isError(error)) return [null, error]
  const { name, message, code, details = {} } = readError(error)
  return isKeelsonError(error) ? [code, message, details] : [null, message, name]
}

/** @throws KeelsonError `CORRUPT` */
const readOutcome = (bytes: Uint8Array): Remembered => {
  const read = decodeValue({ tag: valueTags.structured, bytes }) as readonly unknown[]
  const [content, at, seq, ...rest] = read as readonly [string, number, number, ...unknown[]]
  const outcome: Outcome =
    rest.length < 2 ? { ok: true, value: rest[0] } : { ok: false, error: readFailed(rest) }
  return { content, at, seq, outcome, bytes: bytes.length }
}

const readFailed = ([code, message, more]: readonly unknown[]): unknown => {
  if (typeof code === 'string')
    return new KeelsonError(code as KeelsonError['code'], message as string, {
      details: more as KeelsonError['details'],
    })
  if (typeof more !== 'string') return message
  return Object.defineProperty(new Error(message as string), 'name', { value: more })
}

/** The remembered outcomes of one actor, oldest first. */
export class CallIds {
  readonly #entity: string
  readonly #terms: KeepIds
  readonly #byId = new Map<string, Remembered>()
  #bytes = 0

  constructor(entity: string, terms: KeepIds, rows: Iterable<readonly [id: string, Uint8Array]>) {
    this.#entity = entity
    this.#terms = terms
    const read = [...rows].map(([id, bytes]) => [id, readOutcome(bytes)] as const)
    read.sort(([, a], [, b]) => a.seq - b.seq)
    for (const [id, remembered] of read) this.#set(id, remembered)
  }

  /** Whether a call had this id. */
  knows(id: string | undefined): boolean {
    return id !== undefined && this.#byId.has(id)
  }

  /**
   * Answers a repeat of a call, or refuses a call whose id cannot be taken. False: the call has to
   * be handled.
   */
  answers(from: HeldCall, now: number): boolean {
    const { id } = from.call
    if (id === undefined) return false
    const known = this.#byId.get(id)
    try {
      const content = contentOf(from.call)
      if (known && !isHashOf(known.content, content))
        throw this.#refusal('CONFLICT', `another call to ${this.#entity} had the id ${id}`)
      if (!known && this.#isFull(now))
        throw this.#refusal('BUSY', `${this.#entity} keeps too many outcomes of calls`)
    } catch (error) {
      return from.fail(error)
    }
    if (known?.outcome.ok) from.reply(known.outcome.value)
    else if (known?.outcome.ok === false) from.fail(known.outcome.error)
    return known !== undefined
  }

  /**
   * Remembers the outcome of a call, and forgets outdated ones. Returns the rows to change, and a
   * function that takes all of it back.
   * @throws KeelsonError `INVALID_ARGUMENT` for an outcome that cannot be stored, or without one
   */
  remember(
    call: HeldCall['call'],
    outcome: Outcome | undefined,
    at: number,
    seq: number,
  ): { readonly rows: readonly EntityRowChange[]; readonly undo: () => void } {
    const { id = '', name } = call
    if (!outcome)
      throw this.#refusal(
        'INVALID_ARGUMENT',
        `call ${name}: the handler of a call with an id must answer in its own turn`,
      )
    const content = identityOf(contentOf(call))
    const bytes = encodeOutcome(content, at, seq, outcome)
    if (bytes.length > outcomeBytesMax)
      throw this.#refusal(
        'TOO_LARGE',
        `call ${name}: an outcome of ${bytes.length} bytes is too large to be remembered`,
      )
    this.#set(id, { content, at, seq, outcome, bytes: bytes.length })
    const gone = this.#outdated(at)
    for (const [old] of gone) this.#delete(old)
    return {
      rows: [
        [callIdRowKey(this.#entity, id), bytes],
        ...gone.map(([old]) => [callIdRowKey(this.#entity, old), undefined] as const),
      ],
      undo: () => {
        this.#delete(id)
        const kept = [...this.#byId]
        for (const [each] of kept) this.#delete(each)
        for (const [each, remembered] of [...gone, ...kept]) this.#set(each, remembered)
      },
    }
  }

  /** Whether the outcomes that must be kept leave no room. */
  #isFull(now: number): boolean {
    return this.#bytes >= this.#terms.bytesMax && this.#outdated(now).length === 0
  }

  #refusal(code: KeelsonError['code'], message: string): KeelsonError {
    return new KeelsonError(code, message, { details: { entity: this.#entity } })
  }

  /** The outcomes that may go: too old, and not among the newest. */
  #outdated(now: number): (readonly [string, Remembered])[] {
    const excess = this.#byId.size - this.#terms.newest
    const gone: (readonly [string, Remembered])[] = []
    for (const entry of this.#byId) {
      if (gone.length >= excess || entry[1].at + this.#terms.forMs > now) break
      gone.push(entry)
    }
    return gone
  }

  #set(id: string, remembered: Remembered): void {
    this.#byId.set(id, remembered)
    this.#bytes += remembered.bytes
  }

  #delete(id: string): void {
    this.#bytes -= this.#byId.get(id)?.bytes ?? 0
    this.#byId.delete(id)
  }
}
