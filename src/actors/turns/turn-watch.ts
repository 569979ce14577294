/** The times of one turn while `turn.done` has a listener, and its place in a trace. */
import { failedAs } from '../../errors.ts'
import type { Process, Traced, TraceOrigin, TurnEnd } from '../../runtime/index.ts'
import type { TraceContext } from '../../trace-context.ts'
import { emit } from '../core/storage-events.ts'
import type { ActorShard } from './actor-shard.ts'
import type { Identity } from './memory.ts'
import type { Run } from './turn-run.ts'

/** The actor of a turn. */
type Owner = { readonly identity: Identity; readonly shard: ActorShard }

/** A turn, and its frame once that is known. */
type Watched = {
  readonly run: Run
  readonly mark: { readonly seq: number }
  readonly lsn: number | undefined
}

type Failure = { readonly error: unknown } | undefined

/** The watch of a turn that begins; `undefined`: it is no sample, and has no trace. */
export const watchOf = (owner: Owner, process: Process, turn: Watched): TurnWatch | undefined => {
  const { clock, heard, tracer } = process.kernel
  const hearing = heard['turn.done']
  const isHeard = hearing.isOn && !hearing.skips()
  if (!isHeard && tracer === undefined) return undefined
  return new TurnWatch(owner, process, turn, hearing.weigh(clock))
}

/** Watches one turn from its begin until it is over. */
export class TurnWatch {
  readonly #owner: Owner
  readonly #process: Process
  readonly #turn: Watched
  readonly #beganAt: number
  readonly #waitMs: number | undefined
  /** How many turns it counts for as a sample; 0: it is none. */
  readonly #weight: number
  #traced: Traced<TurnEnd> | undefined
  #ranAt: number | undefined
  #isOver = false

  constructor(owner: Owner, process: Process, turn: Watched, weight: number) {
    const { current, kernel } = process
    this.#weight = weight
    this.#owner = owner
    this.#process = process
    this.#turn = turn
    this.#beganAt = kernel.clock.monotonic()
    this.#waitMs = current?.arrivedAt && this.#beganAt - current.arrivedAt
    // Own turns after this one have no message.
    if (current?.arrivedAt) current.arrivedAt = undefined
    const { identity, shard } = owner
    this.#traced = kernel.tracer?.turn({
      instance: shard.parts.instance,
      shard: shard.index,
      kind: identity.kind,
      id: identity.id,
      what: this.#what,
      origin: originOf(turn.run),
      seq: turn.mark.seq,
    })
  }

  get #what(): string {
    const { kind, what } = this.#turn.run
    return kind === 'record' ? `record of ${what}` : what
  }

  /** Its place in a trace. */
  get place(): TraceContext | undefined {
    return this.#traced?.place
  }

  /** Calls its handler as a part of its trace. */
  run({ handler, payload }: Run, state: unknown, context: unknown): unknown {
    const work = (): unknown => handler(state, payload, context)
    return this.#traced ? this.#traced.run(work) : work()
  }

  /** Its handler has ended. */
  ran(): void {
    this.#ranAt ??= this.#process.kernel.clock.monotonic()
  }

  /** It was dropped. The trace ends; a turn that is handled again has another one. */
  dropped(failure: Failure): void {
    this.#traced?.end(failure, { lsn: undefined })
    this.#traced = undefined
  }

  /** It is out, or has failed. */
  over(failure?: Failure): void {
    if (this.#isOver) return
    this.#isOver = true
    this.ran()
    const { lsn, mark } = this.#turn
    this.#traced?.end(failure, { lsn })
    this.#traced = undefined
    const { identity, shard } = this.#owner
    const { kernel } = this.#process
    const ranAt = this.#ranAt ?? this.#beganAt
    const { kind } = identity
    const result = failure === undefined ? 'ok' : failedAs(failure.error)
    const doneAt = kernel.clock.monotonic()
    if (this.#weight > 0) {
      const tookMs = doneAt - this.#beganAt
      const { instance } = shard.parts
      kernel.heard['turn.done'].measured(
        { instance, kind, result, tookMs, waitMs: this.#waitMs },
        this.#weight,
      )
    }
    emit(kernel, shard, 'turn.done', {
      entity: identity.entity,
      kind,
      seq: mark.seq,
      what: this.#what,
      result,
      waitMs: this.#waitMs,
      ranMs: ranAt - this.#beganAt,
      durableMs: doneAt - ranAt,
      lsn,
    })
  }
}

/** The turn that recorded a step, or set an alarm, whose time may be far from that. */
const originOf = ({ step, alarm }: Run): TraceOrigin | undefined => {
  const trace = step?.trace ?? alarm?.set.trace
  return trace && { trace, isLate: step === undefined }
}
