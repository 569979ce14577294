/**
 * The access of one kind of caller to an instance: calls from outside have one, the user's
 * processes another. Each has its own handles, so that one can end before the other.
 */
import { KeelsonError } from '../../errors.ts'

/** Whether calls through a set of handles are taken. */
export class Access {
  #refusal: string | undefined

  /** Whether it has ended. */
  get isEnded(): boolean {
    return this.#refusal !== undefined
  }

  /** Refuses later calls, with `why` in the error. Pending calls go on. */
  end(why: string): void {
    this.#refusal = why
  }

  /** Called at the beginning of each call. @throws KeelsonError `CLOSED` once it has ended */
  check(): void {
    if (this.#refusal !== undefined) throw new KeelsonError('CLOSED', this.#refusal)
  }
}
