/** The messages between a rehearsal and the process that judges, as plain data. Types only. */
import type { RecordedTurn } from '../../actors/index.ts'
import type { Found, StoredFacts, StoredPart } from '../../flow/index.ts'

/** To the judge. Each message is answered, one after another. */
export type ToJudge =
  | {
      readonly ask: 'load'
      /** The configuration file, absolute. */
      readonly config: string
      readonly asOf: number
      /** Sockets are open while modules load. */
      readonly allowNet: boolean
    }
  /** `oneByOne`: it says which part it begins with, before it does. */
  | { readonly ask: 'judge'; readonly lot: readonly StoredPart[]; readonly oneByOne: boolean }
  | { readonly ask: 'turns'; readonly lot: readonly RecordedTurn[] }
  | { readonly ask: 'rest' }
  | { readonly ask: 'whole'; readonly facts: StoredFacts }

/** From the judge. */
export type FromJudge =
  | { readonly says: 'begins'; readonly at: number }
  | { readonly says: 'loaded' }
  | { readonly says: 'failed'; readonly code: string; readonly message: string }
  | {
      readonly says: 'found'
      readonly found: readonly Found[]
      /** Runs that stand still, and are judged in the end. */
      readonly still: number
      /** Refused attempts of the judged code since the last answer. */
      readonly refused: readonly string[]
      /** Errors since then that nobody handled. */
      readonly thrown: readonly string[]
    }
