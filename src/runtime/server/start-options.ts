/** How a process is started, and what comes of it. Types only. */
import { KeelsonError } from '../../errors.ts'
import type { Via } from '../names/via.ts'
import type { Name, Ref } from '../words/address.ts'
import { causeOf, describeReason, type ExitReason } from '../words/exit-reason.ts'

/** How a process is started. */
export interface StartOptions<M = unknown> {
  /** Its name; or `via(registry, key)`, and then it is registered there from before its `init`. */
  readonly name?: Name<M> | Via<M> | undefined
  /** User messages that may wait; `Infinity` for processes whose senders are bounded otherwise. */
  readonly mailboxMax?: number | undefined
  /** `context.app` of it and all that it starts. By default what the starter has. */
  readonly app?: unknown
  /** The instance that it and all that it starts belong to, in telemetry. By default the starter's. */
  readonly instance?: string | undefined
  /** `init` must be done within so many ms, else the process is killed. No limit by default, as in OTP. */
  readonly timeoutMs?: number | undefined
  /** What process information calls it: `server`, `supervisor` … */
  readonly kind?: string | undefined
  /** How logs name it; by default its name. */
  readonly label?: string | undefined
}

/** The arguments behind the server. `arg` may be left out where the server takes none. */
export type StartArguments<A, M> = [A] extends [undefined]
  ? [arg?: A, options?: StartOptions<M>]
  : [arg: A, options?: StartOptions<M>]

/** What came of a start. */
export type StartResult<M = unknown> =
  | { readonly ok: true; readonly ref: Ref<M>; readonly ignore?: never; readonly reason?: never }
  | {
      readonly ok: false
      readonly reason: ExitReason
      readonly ignore?: never
      readonly ref?: never
    }
  | { readonly ignore: true; readonly ok?: false; readonly reason?: never; readonly ref?: never }

/** How a bare process is begun. */
export type SpawnOptions<M = unknown> = Omit<StartOptions<M>, 'timeoutMs'>

// A start that has to succeed: its ref, or an error that says why there is none.

/** The ref of what was started. Throws `EXITED` with the reason when it was not. */
export const refOf = (result: StartResult<never>): Ref<never> => {
  if (result.ok) return result.ref
  const reason = result.ignore ? 'ignore' : result.reason
  throw new KeelsonError('EXITED', `the process did not start: ${describeReason(reason)}`, {
    details: { reason },
    ...causeOf(reason),
  })
}
