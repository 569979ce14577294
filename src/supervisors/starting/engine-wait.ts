/**
 * The wait of a start for the engine of its cluster: reported with each new reason and once a
 * minute, so that a log has it, and limited by `cluster.startTimeoutMs`. The wait for another member
 * is none.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'

/** How often the same reason is reported, in ms. */
const againMs = 60_000

/** Gets the reason, and ends the start. */
export type EngineWaitOptions = {
  readonly clock: Clock
  readonly limitMs: number | undefined
  readonly onReason: (detail: string) => void
}

const nothing: Cancel = () => undefined

/** The wait of one start. It begins, ends, and may begin again. */
export class EngineWait {
  /** Ends the start at the limit. */
  onLimit: (error: KeelsonError) => void = nothing
  readonly #options: EngineWaitOptions
  #reason: string | undefined
  #again = nothing
  #limit: Cancel | undefined

  constructor(options: EngineWaitOptions) {
    this.#options = options
  }

  /** The start waits. */
  begin(): void {
    const { clock, limitMs } = this.#options
    if (limitMs === undefined) return
    this.#limit ??= clock.after(limitMs, () => {
      const why = this.#reason ?? 'it gave no answer'
      const message = `the engine did not serve this member within ${limitMs} ms: ${why}`
      this.onLimit(new KeelsonError('TIMEOUT', message, { details: { limitMs, reason: why } }))
    })
  }

  /** The start waits, for this reason. */
  because(reason: string): void {
    this.begin()
    if (reason === this.#reason) return
    this.#reason = reason
    this.#tell(reason)
  }

  /** The engine has answered, or the start has ended. */
  end(): void {
    this.#again()
    this.#limit?.()
    this.#limit = undefined
    this.#reason = undefined
  }

  #tell(reason: string): void {
    const { clock, onReason } = this.#options
    this.#again()
    onReason(reason)
    this.#again = clock.after(againMs, () => this.#tell(reason), { holdsProcess: false })
  }
}
