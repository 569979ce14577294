/** The one language that all processes of a scenario speak: a message is a name and a payload. */
import type { Fired, TaskValue } from '../../../src/runtime/index.ts'

export type Said = { readonly name: string; readonly payload: unknown }

export type Talk = {
  calls: { say: (said: Said) => unknown }
  casts: { say: (said: Said) => void }
  infos: {
    say: (said: Said) => void
    ring: (fired: Fired<Rung>) => void
    task: (done: TaskValue) => void
  }
  continues: { go: (name: string) => void }
}

/** What a `start_timer` timer carries. */
export type Rung = { readonly tag: string; readonly payload: unknown }
