/**
 * The messages of an attached prompt and its instance: JSON objects, one a line. The instance
 * begins with `Greeting`. The prompt answers with `Opening`, and then sends requests. An answer has
 * the id of its request. Requests may be answered in another order.
 */
import { KeelsonError } from '../../errors.ts'
import type { Action, Planned, Proposed } from '../../observe/index.ts'
import type { Answered } from '../observe/questions.ts'
import type { Answer, Completion } from '../prompt/session.ts'

/** The number of this protocol. The fields `protocol` and `version` stay in every later one. */
export const protocol = 1

/** The first line of the instance. */
export type Greeting = {
  readonly protocol: number
  readonly version: string
  readonly dir: string
  readonly pid: number
}

/** The first line of the prompt. */
export type Opening = {
  readonly protocol: number
  readonly version: string
  readonly colours: boolean
  readonly verbose: boolean
  /** Whether it shows the log of the instance. */
  readonly log?: boolean
  /** A session that takes no source: it answers questions, and acts with `write` alone. */
  readonly observe?: { readonly write: boolean; readonly user: string }
}

/** A request while observing: a question, or an action that is planned or performed. */
export type Asked =
  | { readonly look: string; readonly query: object }
  | { readonly plan: Proposed }
  | { readonly act: Action; readonly planned: Planned }

/** A request, without its id: a source to run, a line to complete, or one while observing. */
export type Request = { readonly run: string } | { readonly complete: string } | Asked

/**
 * An answer; a line that nothing asked for; a line of the log; or the last line, with the reason of
 * the end.
 */
export type Outgoing =
  | ({ readonly id: number } & Omit<Answer, 'feed'>)
  | { readonly id: number; readonly completion: Completion }
  | Answered
  | { readonly line: string }
  | { readonly log: string }
  | { readonly end: { readonly code: string; readonly message: string } }

/** The most bytes of a line from the prompt. With a longer one the instance ends the connection. */
export const lineMax = 1024 * 1024

/** A message as its line. */
export const lineOf = (
  message: Greeting | Opening | (Request & { readonly id: number }) | Outgoing,
): string => `${JSON.stringify(message)}\n`

const lineFeed = 0x0a
/** A line is joined when it has come in so many parts. */
const partsMax = 64

/** Reads messages from bytes. It holds one line at most. */
export class MessageReader {
  readonly #lineMax: number
  /** The line that has not ended yet. */
  #parts: Buffer[] = []
  #size = 0

  /** `bytesMax`: the most bytes of a line. */
  constructor(bytesMax: number) {
    this.#lineMax = bytesMax
  }

  /**
   * The messages that end in `bytes`.
   * @throws KeelsonError `TOO_LARGE`, `INVALID_ARGUMENT`: the rest cannot be read then
   */
  *read(bytes: Buffer): Generator<Readonly<Record<string, unknown>>> {
    let from = 0
    for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, from)) {
      this.#keep(bytes.subarray(from, at))
      const line = Buffer.concat(this.#parts.splice(0)).toString()
      this.#size = 0
      from = at + 1
      yield messageIn(line)
    }
    this.#keep(bytes.subarray(from))
  }

  #keep(part: Buffer): void {
    this.#size += part.length
    if (this.#size > this.#lineMax)
      throw new KeelsonError('TOO_LARGE', `a line has more than ${this.#lineMax} bytes`)
    this.#parts.push(part)
    // A line of many small parts must not cost more than its bytes.
    if (this.#parts.length === partsMax) this.#parts = [Buffer.concat(this.#parts)]
  }
}

const messageIn = (line: string): Readonly<Record<string, unknown>> => {
  try {
    const message: unknown = JSON.parse(line)
    if (typeof message === 'object' && message !== null)
      return message as Readonly<Record<string, unknown>>
  } catch {
    // Refused below.
  }
  throw new KeelsonError('INVALID_ARGUMENT', 'a line is not one of this protocol')
}

/** The refusal of a prompt and an instance whose versions speak different protocols. */
export const otherProtocol = (prompt: string, instance: string): KeelsonError =>
  new KeelsonError(
    'UNSUPPORTED_VERSION',
    `a prompt of Keelson ${prompt} cannot attach to an instance of Keelson ${instance}: use the \`keelson attach\` of that version`,
  )
