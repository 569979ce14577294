/** The times of one turn, while `turn.done` has a listener. */
import { failedAs } from '../../errors.ts'
import type { Process } from '../../runtime/index.ts'
import { tell } from '../core/storage-events.ts'
import type { ActorShard } from './actor-shard.ts'
import type { Identity } from './memory.ts'
import type { Run } from './turn-run.ts'

/** The actor of a turn. */
type Owner = { readonly identity: Identity; readonly shard: ActorShard }

/** A turn that is over. */
type Over = {
  readonly run: Run
  readonly mark: { readonly seq: number }
  readonly lsn: number | undefined
}

/** Watches one turn from its begin until it is over. */
export class TurnWatch {
  readonly #owner: Owner
  readonly #process: Process
  readonly #beganAt: number
  readonly #waitMs: number | undefined
  #ranAt: number | undefined
  #isOver = false

  constructor(owner: Owner, process: Process) {
    const { current, kernel } = process
    this.#owner = owner
    this.#process = process
    this.#beganAt = kernel.clock.monotonic()
    this.#waitMs = current?.arrivedAt && this.#beganAt - current.arrivedAt
    // Own turns after this one have no message.
    if (current?.arrivedAt) current.arrivedAt = undefined
  }

  /** Its handler has ended. */
  ran(): void {
    this.#ranAt ??= this.#process.kernel.clock.monotonic()
  }

  /** It is out, or has failed with `failure.error`. */
  over({ run, mark, lsn }: Over, failure?: { readonly error: unknown }): void {
    if (this.#isOver) return
    this.#isOver = true
    this.ran()
    const { identity, shard } = this.#owner
    const { kernel } = this.#process
    const ranAt = this.#ranAt as number
    tell(kernel, shard, 'turn.done', {
      entity: identity.entity,
      kind: identity.kind,
      seq: mark.seq,
      what: run.kind === 'record' ? `record of ${run.what}` : run.what,
      result: failure === undefined ? 'ok' : failedAs(failure.error),
      waitMs: this.#waitMs,
      ranMs: ranAt - this.#beganAt,
      durableMs: kernel.clock.monotonic() - ranAt,
      lsn,
    })
  }
}
