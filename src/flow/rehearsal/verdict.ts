/** What a rehearsal says about stored data. Types, and the words that all judges share. */
import type { KeptError } from '../../errors.ts'

/** How much a verdict weighs: something stops, something acts otherwise, or something is worth a look. */
export type Level = 'blocks' | 'acts' | 'notes'

/** What the new program does to one run, actor or part. `what` is the same for all of one sort. */
export type Verdict = {
  readonly level: Level
  /** A short text that is the same for all verdicts of one sort. */
  readonly what: string
  /** What is so here: names of operations and parts, never a value. */
  readonly reason: string
  /** What helps. */
  readonly fix: string
}

/** The verdict that a run or an actor is blocked with this error. */
export const blocksWith = (error: KeptError, fix: string): Verdict => ({
  level: 'blocks',
  what: error.code ?? error.name,
  reason: error.message,
  fix,
})

/** What helps a run whose body does something else. */
export const bodyFix =
  'keep the old way for runs that were beyond it: `ctx.patched`, or `previous` with a new `version`'
