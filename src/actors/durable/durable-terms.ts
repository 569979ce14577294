/** The parts that make the process of a durable actor, and the calls that report its life. */
import type { KeelsonError } from '../../errors.ts'
import type { ExitReason, Process } from '../../runtime/index.ts'
import type { ActorTrouble } from '../turns/actor-trouble.ts'
import type { ActorWork } from '../turns/actor-work.ts'
import type { KeepIds } from '../turns/call-ids.ts'
import type { TurnDraft, UnitTerms } from '../turns/turn-draft.ts'
import type { TurnLog } from '../turns/turn-log.ts'
import type { RecordOptions } from './turn-record.ts'

/** The settings that all actors of one kind share. */
export type CommonTerms = {
  /** The most turns of one actor on their way. */
  readonly pipeline: number
  readonly keepIds: KeepIds
  /** Without a message for this long a process rests; `undefined`: never. */
  readonly idleMs: number | undefined
  /** A process ends when one of its handlers is pending for this long; `undefined`: never. */
  readonly handlerTimeoutMs: number | undefined
  /** How long an actor is kept after its end, if it does not say; `undefined`: not at all. */
  readonly keepMs: number | undefined
  /** Turns note the keys that they write, so that they can be removed with the actor. */
  readonly keys: boolean
  /** Turns record what they got and gave, for rehearsals; `undefined`: they do not. */
  readonly record: RecordOptions | undefined
  /** Freezes a state, outside of production. */
  readonly freeze: <T>(state: T) => T
}

/** One durable actor, as the starter of its process knows it. */
export interface DurableTerms extends UnitTerms {
  readonly common: CommonTerms
  /** Receives its waits, failures and refusals. */
  readonly trouble: ActorTrouble
  /** Where it notes what runs, for a close. */
  readonly work: ActorWork
  /** The argument of `init` for an actor without a row. */
  readonly arg: unknown
  /** Why it is not tried again to wake; `undefined`: it is. */
  readonly blockedBy: KeelsonError | undefined
  /**
   * Resolves when the actor may wake: earlier incarnations are decided, its back-off is over.
   * `undefined`: it may.
   */
  mayWake(): Promise<unknown> | undefined
  /** Its process has ended. The next incarnation waits until the log is drained. */
  ended(log: TurnLog<TurnDraft>, reason: ExitReason): void
  /** The process that takes its messages after it ended by itself. */
  successor(): Process | undefined
  /** It has woken; `reason` if it is blocked. */
  woke(reason: KeelsonError | undefined): void
  /** It is blocked for this reason. */
  blocks(reason: KeelsonError): void
  /** Its rows are removed, and with them what it was blocked by. */
  removed(): void
}
