/**
 * A process of a test. It keeps each message it gets, and links, monitors, starts, sends and
 * answers for the test.
 */

import { noMore } from '../../check.ts'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
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

// The outcome of a promise as a value, for calls that a test begins before it moves the time.

/**
 * Resolves with the outcome of `promise`, value or error. Wrap a call that may reject while the
 * test advances the clock: an unhandled rejection ends the test run.
 */
export const outcome = <T>(promise: Promise<T>): Promise<Settled<T>> =>
  promise.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  )

/**
 * The probe's process and its messages. It accepts every message, traps exits, and answers no call
 * by itself. It ends with `system.stop`, like every process.
 */
export interface Probe<M = unknown> {
  /** The address of the probe, for the processes that send to it. */
  readonly ref: Ref<M>
  /**
   * Takes the next message. Rejects `TIMEOUT` when none has come and none will (see `WaitOptions`);
   * the error names what was found.
   */
  next(options?: WaitOptions): Promise<ReceivedBy<M>>
  /**
   * Takes the next `count` messages, in their order. Rejects as `next` does, and then takes
   * nothing.
   */
  take(count: number, options?: WaitOptions): Promise<ReceivedBy<M>[]>
  /**
   * Resolves when no message came for that long. Otherwise rejects `CONFLICT`, which names the
   * message.
   */
  silence(options?: WaitOptions): Promise<void>
  /** The messages that were not taken yet. Does not wait. */
  waiting(): readonly ReceivedBy<M>[]
  /** Runs `work` as the probe's process: links, monitors, children and sends are the probe's. */
  act<T>(work: (context: BareContext<M>) => T | Promise<T>): Promise<T>
}

/** Starts a probe. Like every process, it begins in a separate turn. */
export const probe = <M extends Messages = Messages>(
  system: System,
  options: { readonly label?: string } = noOptions,
  ...surplus: []
): Probe<M> => {
  noMore(surplus, 'probe(system, { … })')
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

/** The messages of a probe, and the waits for them. */
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
    throw new KeelsonError('TIMEOUT', `expected ${messages(count)}, found ${this.#described()}`, {
      details: { expected: count, found: this.messages.map(describeReceived) },
    })
  }

  async silence(options: WaitOptions | undefined): Promise<void> {
    if (!(await this.#waitsFor(() => this.messages.length > 0, options))) return
    throw new KeelsonError('CONFLICT', `expected no message, found ${this.#described()}`, {
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

  #described(): string {
    if (this.messages.length === 0) return 'none'
    return `${messages(this.messages.length)}: ${this.messages.map(describeReceived).join(', ')}`
  }
}

const messages = (count: number): string => (count === 1 ? '1 message' : `${count} messages`)
