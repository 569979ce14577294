/**
 * The streams that one try of a step writes. Its step is a producer of each: the first use begins it, by a
 * turn of the run, so no earlier try and no killed life appends from then on. It is apart from
 * `operations.ts`, as most steps write none.
 */
import { BegunStream, checkStreamName, messagesOfTurn, messageText } from '../../actors/index.ts'
import { argument } from '../../check.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import type { StepStream, StepStreamOptions } from './body.ts'
import type { RunContext } from './messages.ts'
import { stepStreamOptions } from './options.ts'
import { isLive, type RunState } from './record.ts'
import type { Turned } from './turns.ts'
import { hashOfText } from './values.ts'

/** The try, for its streams. */
type Trying = {
  readonly entity: string
  readonly app: unknown
  /** The key of the tries of the step. */
  readonly key: string
  readonly attempt: number
  /** Why the try is over; `undefined`: it goes on. */
  readonly over: () => { readonly reason: unknown } | undefined
  readonly turn: <R>(change: (state: RunState, context: RunContext) => Turned<R>) => Promise<R>
}

/** The streams of one try. */
export class StepStreams {
  readonly #trying: Trying
  readonly #open = new Map<string, Promise<StepStream>>()
  /** The streams in which it is a producer. */
  readonly #begun = new Set<string>()
  /** The appends, which the outcome of the step waits for. */
  readonly #appends: Promise<unknown>[] = []
  #isOver = false
  /** It says another message than an earlier try: no further one would do better. */
  isInConflict = false

  constructor(trying: Trying) {
    this.#trying = trying
  }

  /** The stream with a name: the same at each call of one try. */
  async open(name: string, options: StepStreamOptions = noOptions): Promise<StepStream> {
    checkStreamName(name)
    const { retry = 'same' } = stepStreamOptions(options, argument('', 'a stream of a step'))
    const open = this.#open.get(name) ?? this.#begin(name, retry)
    this.#open.set(name, open)
    return open
  }

  /** The function of the step is over. Resolves when all appends are durable. @throws the first failure of one */
  async settled(): Promise<void> {
    this.#isOver = true
    for (const append of this.#appends) await append
  }

  /**
   * Forgets the producers, in the turn with the outcome of the step: no further try follows, so the
   * streams of a run that makes steps for ever have room for the next ones.
   */
  forget(context: RunContext): void {
    for (const name of this.#begun)
      messagesOfTurn(context).act(name, { act: 'forget', id: this.#id })
  }

  get #id(): string {
    return hashOfText(this.#trying.key).toString('hex')
  }

  async #begin(name: string, retry: NonNullable<StepStreamOptions['retry']>): Promise<StepStream> {
    const { entity, app, attempt, turn } = this.#trying
    const id = this.#id
    this.#expectGoing()
    const isBegun = await turn((state, context) => {
      if (isLive(state.status)) messagesOfTurn(context).act(name, { act: 'begin', id })
      return [isLive(state.status), state]
    })
    if (!isBegun) throw new KeelsonError('CLOSED', 'the run has ended')
    this.#begun.add(name)
    const { streams } = (app as AppContext)[durableActors]
    const begun = await BegunStream.of(streams(), entity, name, id)
    // A later try may have begun it in the meantime.
    this.#expectGoing()
    const { before } = begun
    if (typeof retry === 'function' && before.length > 0) void this.#sends(begun, retry(attempt))
    let number = 0
    const append = (message: unknown): Promise<string> => {
      const known = retry === 'same' ? before[number] : undefined
      number++
      if (!known) return this.#sends(begun, message)
      return this.#noted(async () => {
        if (messageText(message) === known.text) return known.offset
        this.isInConflict = true
        throw differs(name, number)
      })
    }
    return { name, append, sent: async () => before.map(({ text }) => JSON.parse(text)) }
  }

  #sends(begun: BegunStream, message: unknown): Promise<string> {
    return this.#noted(async () => {
      this.#expectGoing()
      return begun.append(messageText(message))
    })
  }

  #noted(append: () => Promise<string>): Promise<string> {
    const appended = append()
    // The step fails with it, whether or not it waits here.
    appended.catch(() => undefined)
    this.#appends.push(appended)
    return appended
  }

  #expectGoing(): void {
    const over = this.#trying.over()
    if (over || this.#isOver)
      throw over?.reason ?? new KeelsonError('EXITED', 'this try of the step is over')
  }
}

const differs = (stream: string, number: number): KeelsonError =>
  new KeelsonError(
    'CONFLICT',
    `message ${number} of this try is not that of an earlier try: open the stream with retry 'continue', or with a function that makes a marker`,
    { details: { stream, number } },
  )
