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

/** The watch of a turn that begins; `undefined`: nobody wants its times. */
export const watchOf = (owner: Owner, process: Process): TurnWatch | undefined => {
  const { clock, heard } = process.kernel
  const hearing = heard['turn.done']
  if (!hearing.isOn) return undefined
  const weight = hearing.weigh(clock)
  return weight > 0 || hearing.isAll ? new TurnWatch(owner, process, weight) : undefined
}

/** Watches one turn from its begin until it is over. */
export class TurnWatch {
  readonly #owner: Owner
  readonly #process: Process
  readonly #beganAt: number
  readonly #waitMs: number | undefined
  /** How many turns it counts for as a sample; 0: it is none. */
  readonly #weight: number
  #ranAt: number | undefined
  #isOver = false

  constructor(owner: Owner, process: Process, weight: number) {
    const { current, kernel } = process
    this.#weight = weight
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
    const { kind } = identity
    const result = failure === undefined ? 'ok' : failedAs(failure.error)
    const doneAt = kernel.clock.monotonic()
    if (this.#weight > 0) {
      const tookMs = doneAt - this.#beganAt
      const { instance } = shard.parts
      kernel.heard['turn.done'].measured({ instance, kind, result, tookMs }, this.#weight)
    }
    tell(kernel, shard, 'turn.done', {
      entity: identity.entity,
      kind,
      seq: mark.seq,
      what: run.kind === 'record' ? `record of ${run.what}` : run.what,
      result,
      waitMs: this.#waitMs,
      ranMs: ranAt - this.#beganAt,
      durableMs: doneAt - ranAt,
      lsn,
    })
  }
}
