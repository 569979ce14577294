/** The types of workflows: what their bodies get and do. Types only. */
import type { Retry } from '../clock.ts'
import type { FlowPart } from './parts.ts'

/** A time: ms, or a number with `ms`, `s`, `m`, `h` or `d`, such as `'90s'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** One try of a step. */
export type Try = {
  /**
   * `flow/type/id/birth/round/key`: the same at each try of a step, and of no other step. Give it to
   * the outside world as the idempotency key.
   */
  readonly key: string
  /** From 1. */
  readonly attempt: number
  /** Aborts at the time-out, when the run is cancelled, and when this life of the run ends. */
  readonly signal: AbortSignal
}

/** The options of a step. */
export type StepOptions = {
  /** By default 3 tries, after 1 s, doubling to 60 s, less up to 20 %. */
  readonly retry?: Retry
}

/** The context of a run's body: its operations. Their keys are unique in a run. */
export interface Ctx {
  /** The id of the run. */
  readonly id: string
  /**
   * Calls `step`, tries it again if it throws, and resolves when one outcome is durable. After a
   * crash it resolves with that outcome.
   */
  step<T>(key: string, step: (attempt: Try) => T | Promise<T>, options?: StepOptions): Promise<T>
  /** Resolves after this time, never earlier. */
  sleep(key: string, time: Duration | { readonly at: number }): Promise<void>
}

/** The body of a workflow. It is replayed, so it acts through `ctx` alone. */
export type Body<I, O> = (ctx: Ctx, input: I) => Promise<O>

/** The options of a workflow. */
export type WorkflowOptions = {
  /** The version of the body, from 1. */
  readonly version?: number
}

/** A body without its types. */
export type UntypedBody = (ctx: Ctx, input: never) => Promise<unknown>

declare const types: unique symbol

/** A workflow: its runs take an `I` and end with an `O`. */
export interface Workflow<I = never, O = unknown> extends FlowPart {
  readonly sort: 'workflow'
  readonly body: UntypedBody
  readonly options: WorkflowOptions
  readonly [types]?: { readonly input: (input: I) => void; readonly output: O }
}
