/**
 * `context.app` of the user's processes: the parts of their instance. The type is the runtime's, so
 * that every `context` has it; its fields are declared here.
 */
import type { BatcherHandle, ControlHandle, Store } from '../actors/index.ts'
import type { AppContext, Registry } from '../runtime/index.ts'

declare module '../runtime/words/app-context.ts' {
  interface AppContext {
    readonly store: Store
    readonly control: ControlHandle
    /** The windows in which writes of a namespace form a group, and commands as data. */
    readonly batcher: BatcherHandle
    /** The instance's Registry with unique keys. */
    readonly registry: Registry.Handle
  }
}

export type { AppContext }
