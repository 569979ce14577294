/**
 * The async context: what `AsyncLocalStorage`, tracers and loggers read. Node passes it from the
 * code that schedules work to that work. Code that wakes a run queue or arms a timer must not pass
 * its own to the work of others, so queues run in the context in which they were made.
 */
import { AsyncResource } from 'node:async_hooks'

/** The async context of the code that made it. */
export class AsyncContext {
  readonly #resource = new AsyncResource('keelson')

  /** Calls `work` in this context. */
  run(work: () => void): void {
    this.#resource.runInAsyncScope(work)
  }

  /** `work`, which runs in this context and not in that of its caller. */
  bind(work: () => void): () => void {
    return () => this.run(work)
  }
}

/** Something that may carry the context of its maker: a message, a timer, a start. */
export interface Carrier {
  /**
   * Its async context, its place in a trace, or both. Absent unless the System passes one on: it
   * costs no memory where it is not used.
   */
  context?: { run(work: () => void): void } | undefined
}

/** Gives `to` the context of `from`, if that carries one. */
export const handOn = (from: Carrier, to: Carrier): void => {
  if (from.context !== undefined) to.context = from.context
}
