/**
 * A process that keeps what it is sent, for a test to look at, and that does what a test wants done by a process: it links,
 * monitors, starts, sends and answers.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type BareContext,
  isShutdown,
  type Messages,
  type Received,
  type Ref,
  type Settled,
  type System,
} from '../../runtime/index.ts'
import { describeReceived, type ReceivedBy } from './received.ts'
import { Awaited, type WaitOptions } from './waiting.ts'

// What came of a promise, as a value: for calls that a test begins, then lets time pass, then looks at.

/**
 * Resolves with what came of `promise`, whatever it was. A call that may reject while the test advances the clock is
 * wrapped in it at once: a rejection that nobody handles by then would end the test run.
 */
export const outcome = <T>(promise: Promise<T>): Promise<Settled<T>> =>
  promise.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  )

/**
 * The probe's process, and what came to it. It takes everything, traps exits, and answers no call by itself. It ends with
 * `system.stop`, like every process.
 */
export interface Probe<M = unknown> {
  /** Give this to whoever is to send. */
  readonly ref: Ref<M>
  /**
   * The next message that was not taken yet. Rejects `TIMEOUT`, with what there is instead in the message, when none has
   * come and none will: see `WaitOptions`.
   */
  next(options?: WaitOptions): Promise<ReceivedBy<M>>
  /** The next `count` messages, in the order in which they came. Rejects as `next` does, and takes nothing then. */
  take(count: number, options?: WaitOptions): Promise<ReceivedBy<M>[]>
  /** Resolves when nothing has come for that long. Rejects `CONFLICT`, with what came in the message. */
  silence(options?: WaitOptions): Promise<void>
  /** The messages that are there and were not taken yet, without waiting. */
  waiting(): readonly ReceivedBy<M>[]
  /** Does `work` as the probe's process: what it links, monitors or starts is the probe's, what it sends comes from it. */
  act<T>(work: (context: BareContext<M>) => T | Promise<T>): Promise<T>
}

/** Starts a probe, in a turn of its own, as every process. */
export const probe = <M extends Messages = Messages>(
  system: System,
  options: { readonly label?: string } = {},
): Probe<M> => {
  const box = new Box(system.clock)
  let begin: (context: BareContext<M & Messages>) => void
  const begun = new Promise<BareContext<M & Messages>>((resolve) => {
    begin = resolve
  })
  const body = async (context: BareContext<M & Messages>): Promise<void> => {
    context.trapExit(true)
    begin(context)
    for (;;) {
      const message = await context.receive()
      if (message?.kind === 'exit' && message.from === undefined && isShutdown(message.reason))
        return
      box.put(message)
    }
  }
  const ref = system.spawn<M>(body, { kind: 'probe', label: options.label })
  const take = async (count: number, wait?: WaitOptions): Promise<ReceivedBy<M>[]> =>
    (await box.take(count, wait)) as ReceivedBy<M>[]
  return {
    ref,
    take,
    next: async (wait) => (await take(1, wait))[0] as ReceivedBy<M>,
    silence: (wait) => box.silence(wait),
    waiting: () => box.messages as unknown as readonly ReceivedBy<M>[],
    act: async (work) => work(await begun),
  }
}

/** What came, and whoever waits for it. */
class Box {
  readonly messages: Received[] = []
  readonly #clock: Clock
  readonly #waiting = new Set<Awaited>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  put(message: Received | undefined): void {
    if (message !== undefined) this.messages.push(message)
    for (const each of this.#waiting) each.changed()
  }

  async take(count: number, options: WaitOptions | undefined): Promise<Received[]> {
    if (await this.#waitsFor(() => this.messages.length >= count, options)) {
      return this.messages.splice(0, count)
    }
    throw new KeelsonError('TIMEOUT', `expected ${messages(count)}, found ${this.#told()}`, {
      details: { expected: count, found: this.messages.map(describeReceived) },
    })
  }

  async silence(options: WaitOptions | undefined): Promise<void> {
    if (!(await this.#waitsFor(() => this.messages.length > 0, options))) return
    throw new KeelsonError('CONFLICT', `expected no message, found ${this.#told()}`, {
      details: { found: this.messages.map(describeReceived) },
    })
  }

  async #waitsFor(isSo: () => boolean, options: WaitOptions | undefined): Promise<boolean> {
    const awaited = new Awaited(this.#clock, isSo)
    this.#waiting.add(awaited)
    try {
      return await awaited.within(options)
    } finally {
      this.#waiting.delete(awaited)
    }
  }

  #told(): string {
    if (this.messages.length === 0) return 'none'
    return `${messages(this.messages.length)}: ${this.messages.map(describeReceived).join(', ')}`
  }
}

const messages = (count: number): string => (count === 1 ? '1 message' : `${count} messages`)
