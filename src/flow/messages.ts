/** The messages of a run's entity, and of the process in which its body runs. Types only. */

import type { DurableContext, Life } from '../actors/index.ts'
import type { CallContext, Ref } from '../runtime/index.ts'
import type { KeptError, RunState } from './record.ts'

/** How a run ended. */
export type RunEnd =
  | { readonly status: 'completed'; readonly output: unknown }
  | { readonly status: 'failed' | 'cancelled' | 'blocked'; readonly error: KeptError }

/** The argument of a start. */
export type StartRequest = { readonly input: unknown }

/** The messages of a run. */
export type RunMessages = {
  calls: {
    /** Answers whether the run had begun before. @throws KeelsonError `CONFLICT` */
    start: (request: StartRequest) => { readonly repeated: boolean }
    /** Answers when the run has ended. */
    result: () => RunEnd
  }
  casts: {
    /** Lets a run that is live go on. */
    wake: () => void
  }
}

/** The state of an entity of this kind; `undefined`: no run has begun. */
export type State = RunState | undefined

/** The context of a turn of a run. */
export type RunContext = DurableContext<RunMessages, unknown, State>

/** The messages of the process in which the body of a run runs. */
export type LifeMessages = {
  casts: {
    /** A turn of the entity has changed something: look at it. */
    changed: () => void
  }
}

/** A life of a run beside its mailbox. */
export type OwnLife = Life<RunMessages, unknown, State>

/** What the process of a run keeps in memory. */
export type Present = {
  /** The process in which its body runs. */
  life: Ref<LifeMessages> | undefined
  /** The callers that wait for its end. */
  readonly waiting: Set<CallContext<RunMessages, unknown, RunEnd>['from']>
}
