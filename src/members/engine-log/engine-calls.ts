/**
 * The calls of one host to its engine. A call without an answer is repeated as it is, until the
 * engine answers or the host ends. So is a call of a member that the engine has served, and refuses
 * with `CONFIG`: a person mends that, and the member goes on. The meaning of an answer is not
 * decided here.
 */

import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { engineDown, fenced } from './append-verdict.ts'

/** The pause before the first repeat, in ms. Each later one is twice as long, up to the longest. */
const [firstPauseMs, longestPauseMs] = [10, 1_000]

/** The calls of a start. */
type Start = {
  /** Whether `CONFIG` is an answer: the engine has not served the member before. */
  readonly mayRefuse?: () => boolean
  /** Hears why a call is repeated, each time. */
  readonly onSilence?: (error: KeelsonError) => void
  /** Ends the calls with `why`, or with its reason, a `KeelsonError`. */
  readonly signal?: AbortSignal | undefined
  readonly why?: KeelsonError
}

/** Calls that end together. */
export class EngineCalls {
  readonly #clock: Clock
  readonly #mayRefuse: () => boolean
  readonly #onSilence: (error: KeelsonError) => void
  readonly #pending = new Set<(reason: KeelsonError) => void>()
  readonly #unlisten: () => void
  #end: KeelsonError | undefined
  /** Why the last call had no answer; `undefined` after an answer. */
  #silence: KeelsonError | undefined

  constructor(clock: Clock, options: Start = noOptions) {
    const { mayRefuse = () => false, onSilence = () => undefined, signal, why } = options
    this.#clock = clock
    this.#mayRefuse = mayRefuse
    this.#onSilence = onSilence
    const abort = (): void => void this.end(why ?? signal?.reason)
    this.#unlisten = () => signal?.removeEventListener('abort', abort)
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) abort()
  }

  /** Why the calls have ended; `undefined` before. */
  get ended(): KeelsonError | undefined {
    return this.#end
  }

  /** Ends all calls: pending and later ones reject with `reason`. */
  end(reason: KeelsonError): KeelsonError {
    this.#end ??= reason
    this.#unlisten()
    for (const refuse of [...this.#pending]) refuse(this.#end)
    return this.#end
  }

  /** Ends all calls if `work` has not settled after `ms`: the engine is away. */
  async within<T>(ms: number, work: Promise<T>): Promise<T> {
    const cancel = this.#clock.after(ms, () => {
      this.end(this.#silentFor(ms))
    })
    return work.finally(cancel)
  }

  /**
   * Repeats `call` until it is answered, and settles as the answer does. If that takes `ms`, it is
   * not repeated: the engine is away.
   */
  ask<T>(call: () => Promise<T>, ms?: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#end) return reject(this.#end)
      let pause: Cancel | undefined
      let limit: Cancel | undefined
      const settle = (action: () => void): void => {
        if (!this.#pending.delete(refuse)) return
        pause?.()
        limit?.()
        action()
      }
      const refuse = (reason: KeelsonError): void => settle(() => reject(reason))
      const attempt = (pauseMs: number): void => {
        call().then(
          (answer) => {
            this.#silence = undefined
            settle(() => resolve(answer))
          },
          (error: unknown) => {
            this.#silence = this.#isSilence(error) ? error : undefined
            if (!this.#silence) settle(() => reject(error))
            else if (this.#pending.has(refuse)) {
              this.#onSilence(this.#silence)
              pause = this.#again(pauseMs, attempt)
            }
          },
        )
      }
      this.#pending.add(refuse)
      if (ms !== undefined) limit = this.#clock.after(ms, () => refuse(this.#silentFor(ms)))
      attempt(firstPauseMs)
    })
  }

  /**
   * As `ask`, by an owner. A refusal that shows another owner ends all calls with `FENCED`: it has
   * the epoch, or has trimmed what this owner has not. `isTrimmed`: this owner has trimmed it.
   */
  async asOwner<T>(call: () => Promise<T>, isTrimmed = (): boolean => false): Promise<T> {
    try {
      return await this.ask(call)
    } catch (error) {
      const isFenced =
        isKeelsonError(error, 'FENCED') || (isKeelsonError(error, 'BAD_CURSOR') && !isTrimmed())
      throw isFenced && error !== this.#end ? this.end(fenced(error)) : error
    }
  }

  #silentFor(ms: number): KeelsonError {
    return engineDown(`the engine gave no answer within ${ms} ms`, this.#silence)
  }

  #isSilence(error: unknown): error is KeelsonError {
    if (isKeelsonError(error, 'CONFIG')) return !this.#mayRefuse()
    return isKeelsonError(error, 'UNKNOWN_OUTCOME')
  }

  #again(pauseMs: number, attempt: (pauseMs: number) => void): Cancel {
    const nextMs = Math.min(2 * pauseMs, longestPauseMs)
    return this.#clock.after(pauseMs, () => attempt(nextMs), { holdsProcess: false })
  }
}
