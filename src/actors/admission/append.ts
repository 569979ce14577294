/**
 * A write on its way into a shard's log, as the actors see it: a write of a group, with its units.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import {
  type FrameUnits,
  type GroupWrite,
  outcomeOf,
  type UnitAnswer,
  type WriteGroup,
} from '../../storage/index.ts'

/** Where a frame stands: everything up to here in its shard's log. */
export type Position = { readonly shard: number; readonly lsn: number }

/** A write that becomes a frame. */
export interface Append extends GroupWrite {
  readonly units: FrameUnits
  /** Of its first key. */
  readonly namespace: string
  /** It stands at `lsn`, and its units answered so. */
  applied(lsn: number, answers: readonly UnitAnswer[]): void
}

/** The appends that share one commit. */
export type AppendGroup = WriteGroup<Append>

/** What a failure before the log means to the caller of a write: a refusal stays what it is. */
export const beforeTheLog = (failure: unknown): KeelsonError =>
  isKeelsonError(failure) && !callFailures.has(failure.code)
    ? failure
    : outcomeOf('unsubmitted', failure)

/** Failures of a call, which say nothing about the write. */
const callFailures: ReadonlySet<string> = new Set([
  'TIMEOUT',
  'EXITED',
  'NO_PROCESS',
  'MAILBOX_FULL',
])
