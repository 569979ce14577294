/** The options and the result of a start. Types only. */
import { KeelsonError } from '../../errors.ts'
import type { Via } from '../names/via.ts'
import type { StartGate } from '../process/process.ts'
import type { Name, Ref } from '../words/address.ts'
import { causeOf, describeReason, type ExitReason, failedStart } from '../words/exit-reason.ts'

/** The options of a start. */
export interface StartOptions<M = unknown> {
  /** Its name, or `via(registry, key)`. It is registered before `init`. */
  readonly name?: Name<M> | Via<M> | undefined
  /**
   * The most user messages that may wait. `Infinity` for processes whose senders are bounded
   * otherwise.
   */
  readonly mailboxMax?: number | undefined
  /** `context.app` of it and of all processes that it starts. By default that of the starter. */
  readonly app?: unknown
  /**
   * The instance of it and of all processes that it starts, in telemetry. By default that of the
   * starter.
   */
  readonly instance?: string | undefined
  /**
   * The gate at which children wait, under this supervisor and all supervisors that it starts. By
   * default as for the starter.
   */
  readonly startGate?: StartGate | undefined
  /**
   * The process is killed if `init` takes longer than this many ms. No limit by default, as in OTP.
   */
  readonly timeoutMs?: number | undefined
  /**
   * The process ends with `TIMEOUT` (`details.reason` is `handler_timeout`) when the promise of a
   * handler, or of `terminate`, is pending for this many ms. `terminate` does not run after a
   * handler that did not settle. No limit by default, as in OTP.
   */
  readonly handlerTimeoutMs?: number | undefined
  /** Its kind in process information: `server`, `supervisor` … */
  readonly kind?: string | undefined
  /** Its name in logs. By default its registered name. */
  readonly label?: string | undefined
}

/** The arguments after the server. `arg` may be absent if the server takes none. */
export type StartArguments<A, M> = undefined extends A
  ? [arg?: A, options?: StartOptions<M>]
  : [arg: A, options?: StartOptions<M>]

/** The result of a start. */
export type StartResult<M = unknown, S = unknown> =
  | { readonly ok: true; readonly ref: Ref<M, S>; readonly ignore?: never; readonly reason?: never }
  | {
      readonly ok: false
      readonly reason: ExitReason
      readonly ignore?: never
      readonly ref?: never
    }
  | { readonly ignore: true; readonly ok?: false; readonly reason?: never; readonly ref?: never }

/** The options of a bare process. */
export type SpawnOptions<M = unknown> = Omit<StartOptions<M>, 'timeoutMs' | 'handlerTimeoutMs'>

// A start that has to succeed: its ref, or an error with the reason.

/**
 * The ref of the started process. Throws `EXITED` with the reason when the start failed; of a tree
 * whose root has the id `root`, also with the path to the part that failed, and its reason as cause.
 */
export const refOf = <M, S>(result: StartResult<M, S>, root?: string): Ref<M, S> => {
  if (result.ok) return result.ref
  const reason = result.ignore ? 'ignore' : result.reason
  throw notStarted(reason, root === undefined ? [] : [root])
}

/** The error of a failed start below the parts of `above`. */
export const notStarted = (reason: ExitReason, above: readonly string[]): KeelsonError => {
  const failed = failedStart(reason)
  const path = [...above, ...failed.path]
  const part = path.length === 0 ? 'the process' : path.join(' › ')
  return new KeelsonError('EXITED', `${part} did not start: ${describeReason(failed.reason)}`, {
    details: { reason, ...(path.length > 0 && { path }) },
    ...causeOf(failed.reason),
  })
}
