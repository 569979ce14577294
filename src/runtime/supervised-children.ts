/**
 * The children of one supervisor, newest first, and what is done to them: started, ended, replaced. A child that ended
 * keeps its place until it is deleted; a temporary one is forgotten.
 */
import { KeelsonError } from '../errors.ts'
import { type Address, addressOf, isRef, type Ref } from './address.ts'
import type { FullChildSpec } from './child-spec.ts'
import { type ParentContext, startOrGiveUp } from './child-start.ts'
import { hasExit } from './exit-messages.ts'
import { describeReason, type ExitReason, reasonOf } from './exit-reason.ts'
import { badReturn } from './next-step.ts'
import type { Process } from './process.ts'
import { shutDown } from './shutdown.ts'
import type { StartResult } from './start-options.ts'
import { announce } from './telemetry.ts'

/** What is known of a child. */
export interface Child {
  readonly spec: FullChildSpec
  process: Process | undefined
  /** A restart failed, and is to be tried again. */
  isRestarting: boolean
  /** Why the last one failed. */
  failure: ExitReason
  /** How often it was started again. */
  restarts: number
}

/** A child that did not start, and why. */
export interface FailedStart {
  readonly id: string
  readonly reason: ExitReason
}

/** A child that is not started yet. */
export const newChild = (spec: FullChildSpec): Child => ({
  spec,
  process: undefined,
  isRestarting: false,
  failure: undefined,
  restarts: 0,
})

/** The ref of a running child. */
export const refOfChild = (child: Child): Ref | undefined => child.process?.address

/** Starts `child`; on success it runs. Answers what came of it: what is no result of a start is a failed one (OTP). */
export const startChildProcess = async (
  child: Child,
  context: ParentContext,
): Promise<StartResult<unknown>> => {
  const supervisor = processOf(context)
  try {
    const result = await startOrGiveUp(child.spec, context, supervisor)
    if (!isStartResult(result)) return { ok: false, reason: badReturn(result) }
    if (!result.ok) return result
    const process = (addressOf(result.ref) as Address<Process>).resolve()
    if (process === undefined) return { ok: false, reason: 'noproc' }
    adopt(process, supervisor)
    run(child, process)
    return result
  } catch (thrown) {
    return { ok: false, reason: reasonOf(thrown) }
  }
}

/** Start functions are the user's: what they answer may be anything. */
const isStartResult = (result: unknown): result is StartResult<unknown> => {
  if (typeof result !== 'object' || result === null) return false
  const { ok, ignore, ref } = result as Record<keyof StartResult, unknown>
  return ok === true ? isRef(ref) : ok === false || ignore === true
}

/**
 * A child is linked to its supervisor whatever its start function did: else its end would never be told, and it would
 * count as running for ever (in OTP it does). One that was started linked has seen to its links itself.
 */
const adopt = (process: Process, supervisor: Process): void => {
  if (process.parent === supervisor) return
  if (process.alive) supervisor.link(process)
  else if (!hasExit(supervisor, process)) supervisor.signal(process, 'noproc', true)
}

const run = (child: Child, process: Process): void => {
  child.process = process
  child.isRestarting = false
  process.restarts = child.restarts
}

/**
 * Starts those of `children` (newest first) in the order of their age. Stops at the first that fails. What ignores its
 * start stays, not running; a temporary one is forgotten.
 */
export const startChildren = async (
  children: readonly Child[],
  context: ParentContext,
): Promise<{ readonly children: Child[]; readonly failed: FailedStart | undefined }> => {
  const kept = [...children]
  for (const child of [...children].reverse()) {
    const result = await startChildProcess(child, context)
    if (result.ok) continue
    if (!result.ignore)
      return { children: kept, failed: { id: child.spec.id, reason: result.reason } }
    child.isRestarting = false
    if (child.spec.restart === 'temporary') kept.splice(kept.indexOf(child), 1)
  }
  return { children: kept, failed: undefined }
}

/** Ends those of `children` (newest first) one after another; answers those that are to be remembered. */
export const endChildren = async (
  children: readonly Child[],
  supervisor: Process,
): Promise<Child[]> => {
  const kept: Child[] = []
  for (const child of children) {
    await endChild(child, supervisor)
    if (child.spec.restart !== 'temporary') kept.push(child)
  }
  return kept
}

/** Ends one child, if it runs, within the time that its specification gives it. */
export const endChild = async (child: Child, supervisor: Process): Promise<void> => {
  const { process, spec } = child
  child.process = undefined
  child.isRestarting = false
  if (process === undefined) return
  const reason = await shutDown(supervisor, process, spec.shutdown)
  if (isExpected(spec.shutdown, reason) || (reason === 'normal' && spec.restart !== 'permanent'))
    return
  supervisor.kernel.logger.error(`${process} was ended: ${describeReason(reason)}`, {
    pid: process.pid,
    reason,
  })
}

const isExpected = (shutdown: FullChildSpec['shutdown'], reason: ExitReason): boolean =>
  shutdown === 'brutal_kill'
    ? reason === 'killed'
    : reason === 'shutdown' || (Array.isArray(reason) && reason[0] === 'shutdown')

/** A restart of `child` failed; it is tried again. The log is told, unless that is because `supervisor` ends (OTP's `start_error`). */
export const restartFailed = (supervisor: Process, child: Child, reason: ExitReason): void => {
  child.isRestarting = true
  child.failure = reason
  if (supervisor.toldToEndAt !== undefined) return
  const { id } = child.spec
  const what = `${supervisor}: ${id} was not started again: ${describeReason(reason)}`
  supervisor.kernel.logger.error(what, { id, reason })
}

/** Tells log and bus that `supervisor` spent its intensity when `child` ended. */
export const tellGaveUp = (supervisor: Process, child: Child, reason: ExitReason): void => {
  const { kernel } = supervisor
  const { id } = child.spec
  announce(kernel, 'supervisor.gave_up', () => ({ ...supervisor.facts(), id, reason }))
  kernel.logger.error(`${supervisor} gave up: ${id} ended: ${describeReason(reason)}`, {
    id,
    reason,
  })
}

/** Tells the bus that `child`, if it runs, was started again. */
export const tellRestarted = (supervisor: Process, child: Child, reason: ExitReason): void => {
  const { process, restarts, spec } = child
  if (process === undefined) return
  const facts = { supervisor: supervisor.pid, id: spec.id, reason, restarts }
  announce(supervisor.kernel, 'process.restarted', () => ({ ...process.facts(), ...facts }))
}

/** The process that a context is of. Throws `INVALID_ARGUMENT` for what is no context. */
export const processOf = (context: { readonly self: Ref }): Process => {
  if (!isRef(context?.self)) throw new KeelsonError('INVALID_ARGUMENT', 'expected a context')
  const { process } = addressOf(context.self) as Address<Process>
  if (process === undefined) throw new Error('a context is that of a process')
  return process
}
