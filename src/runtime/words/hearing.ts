/**
 * Who hears an event of hot code: listeners, who get every one, and samplers, who get every one
 * while there are few, and of many a sample that counts for the others. Hot code asks `isOn`.
 */
import type { Clock } from '../../clock.ts'

/** Gets a sample and its weight: how many events there were since the last sample, with itself. */
export type Sampler<Facts> = (facts: Facts, weight: number) => void

/** So many samples within `roundMs` are too many: the next ones count for twice as many events. */
const roundSamples = 250
const roundMs = 250

/** Who hears one event. */
export class Hearing<Facts> {
  /** Whether it has a listener or a sampler. */
  isOn = false
  /** Called when it gets its first listener or sampler, and when it has lost the last one. */
  whenHeard: () => void = () => undefined
  #isAll = false
  readonly #samplers = new Set<Sampler<Facts>>()
  /** Each sample counts for so many events; `#left` of them are to come. */
  #gap = 1
  #left = 1
  /** Events that the next sample counts for too. */
  #skipped = 0
  #samples = 0
  #roundAt = Number.NEGATIVE_INFINITY

  /** Whether it has listeners. */
  get isAll(): boolean {
    return this.#isAll
  }

  set isAll(isAll: boolean) {
    this.#isAll = isAll
    this.#changes()
  }

  #changes(): void {
    const isOn = this.#isAll || this.#samplers.size > 0
    if (isOn === this.isOn) return
    this.isOn = isOn
    this.whenHeard()
  }

  /** Adds a sampler. Returns a function that removes it. */
  sample(sampler: Sampler<Facts>): () => void {
    if (this.#samplers.size === 0) {
      this.#gap = this.#left = 1
      this.#skipped = this.#samples = 0
    }
    this.#samplers.add(sampler)
    this.#changes()
    return () => {
      this.#samplers.delete(sampler)
      this.isAll = this.#isAll
    }
  }

  /** Begins again with every event. Without that, rare events after very many would be lost. */
  restart(): void {
    this.#skipped += this.#gap - this.#left
    this.#gap = this.#left = 1
    this.#samples = 0
  }

  /** Counts an event while `isOn`. True: it is no sample, and has no listener. */
  skips(): boolean {
    return --this.#left > 0 && !this.#isAll
  }

  /** The weight of the counted event as a sample; 0: it is none. */
  weigh(clock: Clock): number {
    if (this.#left > 0 || this.#samplers.size === 0) return 0
    const weight = this.#gap + this.#skipped
    this.#skipped = 0
    if (this.#samples++ % roundSamples === 0) {
      const now = clock.monotonic()
      if (now - this.#roundAt < roundMs) this.#gap *= 2
      this.#roundAt = now
    }
    this.#left = this.#gap
    return weight
  }

  /** Hands a sample to the samplers. */
  measured(facts: Facts, weight: number): void {
    for (const sampler of this.#samplers) sampler(facts, weight)
  }
}

/** A call that is over. */
export type CallSample = {
  readonly instance: string | undefined
  readonly kind: string
  readonly label: string | undefined
  readonly message: string
  readonly result: string
  readonly tookMs: number
}

/** A turn of a durable actor that is over. */
export type TurnSample = {
  readonly instance: string
  readonly kind: string
  readonly result: string
  readonly tookMs: number
  /** How long its message waited in the mailbox; one of 64 messages has a time. */
  readonly waitMs: number | undefined
}

/** The events of hot code, and who hears them. */
export class Heard {
  readonly 'call.done' = new Hearing<CallSample>()
  readonly 'turn.done' = new Hearing<TurnSample>()
}
