/**
 * The messages that the body of a run says in streams. They have numbers from 1, over all its streams, in
 * the order in which it says them. The state of the run has the number of the last one that is there,
 * and a hash over all of them. So a replay says nothing again, and a body that says something else has
 * diverged. It is apart from the activation, as a rehearsal has it too. Pure.
 */
import { messagesOfTurn } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { isLive, type Operation, type RunState, type Said } from './record.ts'
import { diverged } from './replay.ts'
import { hashOfText } from './values.ts'

/** A message that is not there yet: its stream, its JSON, and what is said with it. */
type Message = { readonly stream: string; readonly text: string; readonly said: Said }

/** The most bytes that a body says between two operations. */
const saidBytesMax = 1024 * 1024

/** The messages of a body in one activation. */
export class SaidMessages {
  /** The messages that were there when the activation began. */
  readonly #known: Said | undefined
  #last: Said = { count: 0, hash: '' }
  #waiting: Message[] = []
  /** The bytes since the last operation. */
  #bytes = 0

  constructor(known: Said | undefined) {
    this.#known = known
  }

  /**
   * The body says a message.
   * @throws KeelsonError `TOO_LARGE` beyond 1 MiB between two operations, the same in each replay;
   * `DIVERGED` if it has said something else before
   */
  say(stream: string, text: string): void {
    const bytes = this.#bytes + Buffer.byteLength(text)
    if (bytes > saidBytesMax) throw tooMuch(bytes)
    this.#bytes = bytes
    const count = this.#last.count + 1
    const hash = hashOfText(`${this.#last.hash}/${stream}\0${text}`).toString('hex')
    this.#last = { count, hash }
    const known = this.#known
    if (known && count <= known.count) {
      if (count === known.count && hash !== known.hash) throw saidElse(known.count)
    } else this.#waiting.push({ stream, text, said: this.#last })
  }

  /** The body asks for an operation, or gets an outcome. */
  acts(): void {
    this.#bytes = 0
  }

  /** Whether messages are not there yet. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** How many messages the body has said. */
  get count(): number {
    return this.#last.count
  }

  /** Appends the messages with this turn that are not there. Returns the state with them. */
  written(state: RunState, context: object): RunState {
    const { count } = state.said ?? { count: 0 }
    const last = this.#waiting.at(-1)?.said
    if (!last || last.count <= count || !isLive(state.status)) return state
    const messages = messagesOfTurn(context)
    for (const { stream, text, said } of this.#waiting)
      if (said.count > count) messages.add(stream, [text])
    return Object.assign({}, state, { said: last })
  }

  /** So many messages are durable. */
  kept(count: number): void {
    const left = this.#waiting.findIndex(({ said }) => said.count > count)
    this.#waiting = left < 0 ? [] : this.#waiting.slice(left)
  }
}

/** Why a body has ended too early: it has said less than before. */
export const saysTooLittle = (
  { said }: Pick<RunState, 'said'>,
  now: SaidMessages | undefined,
): KeelsonError | undefined => {
  const count = now?.count ?? 0
  if (!said || count >= said.count) return undefined
  const text = `the body has ended with ${count} messages in streams, and had ${said.count} before`
  return diverged(text, { messages: count, recorded: said.count })
}

const saidElse = (count: number): KeelsonError =>
  diverged(`the first ${count} messages that the body says in streams are not those of before`, {
    recorded: count,
  })

const tooMuch = (bytes: number): KeelsonError =>
  new KeelsonError(
    'TOO_LARGE',
    `a body says at most ${saidBytesMax} bytes in streams between two operations`,
    { details: { bytes, bytesMax: saidBytesMax } },
  )

/** The messages of before each of these operations had its outcome; `last` if none of them has one. */
export const saidBefore = (
  last: Said,
  operations: Iterable<Pick<Operation, 'outcome' | 'said'>>,
): Said | undefined => {
  let said: Said | undefined = last
  for (const { outcome, said: then } of operations)
    if (outcome && said && (then?.count ?? 0) < said.count) said = then
  return said
}
