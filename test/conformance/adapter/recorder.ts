/** Who is called what, and what happened in whom: labels of processes, and the events of the step at hand. */
import { isKeelsonError } from '../../../src/errors.ts'
import type { ExitReason, Ref, System } from '../../../src/runtime/index.ts'
import type { StepTrace, Term } from './scenario.ts'
import { isChildSpec } from './terms.ts'

/** The failure of a call that nobody caught: the exit reason of whoever made it. */
export class FailedCall extends Error {
  readonly reason: ExitReason

  constructor(reason: ExitReason) {
    super('a call failed')
    this.reason = reason
  }
}

export class Recorder {
  readonly #system: System
  readonly #labels = new Map<number, string>()
  readonly #refs = new Map<string, Ref>()
  readonly #counts = new Map<string, number>()
  readonly #ended = new Set<string>()
  #events: Record<string, Term[]> = {}
  #refusal: Error | undefined = undefined

  constructor(system: System) {
    this.#system = system
  }

  /** Gives a process the next label of `base`, and records its end from now on. */
  label(base: string, ref: Ref): string {
    const count = (this.#counts.get(base) ?? 0) + 1
    this.#counts.set(base, count)
    const label = count === 1 ? base : `${base}#${count}`
    this.#labels.set(ref.pid ?? 0, label)
    this.#refs.set(label, ref)
    this.#system.monitor(ref, (reason) => {
      this.record(label, ['ended', this.encode(reason)])
      this.#ended.add(label)
    })
    return label
  }

  /** An event of a process that has not ended: what a killed one still does is none. */
  record(label: string, event: Term): void {
    if (this.#ended.has(label)) return
    this.#events[label] ??= []
    this.#events[label].push(event)
  }

  /**
   * Remembers that the scenario asks for something that the format does not have: whatever its processes make of the
   * error, it cannot pass.
   */
  refuse(why: string): Error {
    const refusal = new Error(why)
    this.#refusal ??= refusal
    return refusal
  }

  /** What a step amounts to; the next one begins. Throws what was refused in it. */
  take(result: Term): StepTrace {
    if (this.#refusal !== undefined) throw this.#refusal
    const events = this.#events
    this.#events = {}
    return Object.keys(events).length === 0 ? { result } : { result, events }
  }

  refOf(label: string): Ref | undefined {
    return this.#refs.get(label)
  }

  latest(base: string): Ref | undefined {
    const count = this.#counts.get(base) ?? 1
    return this.#refs.get(count === 1 ? base : `${base}#${count}`)
  }

  labelOf(pid: number): string | undefined {
    return this.#labels.get(pid)
  }

  /** A value of the runtime as a term of the trace. */
  encode(value: unknown): Term {
    if (value === undefined || value === null) return null
    if (typeof value === 'function') return { $fun: '*' }
    if (typeof value !== 'object') return value as Term
    if (value instanceof FailedCall) return { $call: this.encode(value.reason) }
    if (isKeelsonError(value) && value.code === 'EXITED')
      return { $call: this.encode(value.details.reason) }
    if (value instanceof Error) return { $error: value.message }
    if (isRef(value)) return { $pid: this.labelOf(value.pid ?? 0) ?? `<${value.pid}>` }
    if (isChildSpec(value)) return { $child: value.id }
    // Nonsense from `init` comes as an answer of the wrong kind (`initOf`); the term is what it carries.
    if ('kind' in value && value.kind === 'noReply' && 'state' in value)
      return this.encode(value.state)
    if (Array.isArray(value)) return value.map((each) => this.encode(each))
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.encode(each)]))
  }
}

const isRef = (value: object): value is Ref => 'pid' in value && 'toString' in value
