/**
 * The wait of a member for the engine of its cluster: reported with each new reason and once a
 * minute, so that a log has it. The wait of a start is limited by `cluster.startTimeoutMs`. The wait
 * for another member is none.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'

/** How often the same reason is reported, in ms. */
const againMs = 60_000

/** `limitMs`: of a start; absent: none. */
export type EngineWaitOptions = {
  readonly clock: Clock
  readonly limitMs?: number | undefined
  readonly onReason: (detail: string) => void
}

const nothing: Cancel = () => undefined

/** The wait of one member. It begins, ends, and may begin again. */
export class EngineWait {
  /** Ends the start at the limit. */
  onLimit: (error: KeelsonError) => void = nothing
  readonly #options: EngineWaitOptions
  readonly #reported = new Set<string>()
  #reason: string | undefined
  #isServed = false
  #again = nothing
  #limit: Cancel | undefined

  constructor(options: EngineWaitOptions) {
    this.#options = options
  }

  /** Whether the engine has ever served the member. */
  get isServed(): boolean {
    return this.#isServed
  }

  /** The member waits. */
  begin(): void {
    const { clock, limitMs } = this.#options
    if (limitMs === undefined) return
    this.#limit ??= clock.after(limitMs, () => {
      const why = this.#reason ?? 'it gave no answer'
      const message = `the engine did not serve this member within ${limitMs} ms: ${why}`
      this.onLimit(new KeelsonError('TIMEOUT', message, { details: { limitMs, reason: why } }))
    })
  }

  /** The member waits, for this reason. */
  because(reason: string): void {
    this.begin()
    this.#reason = reason
    if (this.#reported.has(reason)) return
    this.#reported.add(reason)
    this.#report()
  }

  /** The engine serves the member. */
  served(): void {
    this.#isServed = true
    this.end()
  }

  /** Nothing is waited for. */
  end(): void {
    this.#again()
    this.#reported.clear()
    this.#limit?.()
    this.#limit = undefined
    this.#reason = undefined
  }

  #report(): void {
    const { clock, onReason } = this.#options
    this.#again()
    if (this.#reason !== undefined) onReason(this.#reason)
    this.#again = clock.after(againMs, () => this.#report(), { holdsProcess: false })
  }
}
