/**
 * The children of one supervisor, newest first, and what is done to them: started, ended, replaced. A child that ended
 * keeps its place until it is deleted; a temporary one is forgotten.
 */
import { type Process, processOf } from '../process/process.ts'
import { hasExit, type Shutdown, shutDown, shutdownMsDefault } from '../process/shutdown.ts'
import { badReturn } from '../server/next-step.ts'
import type { StartResult } from '../server/start-options.ts'
import { type Address, addressOf, isRef, type Ref } from '../words/address.ts'
import { describeReason, type ExitReason, reasonOf } from '../words/exit-reason.ts'
import { announce } from '../words/telemetry.ts'
import type { ChildContext, FullChildSpec } from './child-spec.ts'

// The start of one child, and the giving up of it. A supervisor handles nothing while a child starts, as in OTP; but a
// child that never starts must not keep it, and all above, from ending. So one that is told to end gives the start up.

/** What starts children: the context of a supervisor. */
export type ParentContext = ChildContext & { readonly self: Ref }

/**
 * What the start function answers; or a failure `shutdown` when `supervisor` was told to end and the start took longer,
 * from then on, than the shutdown of the child allows (5,000 ms, if that is `infinity`). What was starting is ended first,
 * a start that still succeeds later is undone. Rejects with what the start throws.
 */
export const startOrGiveUp = async (
  spec: FullChildSpec,
  context: ParentContext,
  supervisor: Process,
): Promise<unknown> => {
  const { shutdown } = spec
  let cancel = (): void => undefined
  const starting = Promise.resolve(spec.start(context))
  const givingUp = new Promise<typeof givenUp>((resolve) => {
    supervisor.onceToldToEnd(() => {
      // A supervisor that is being started has starts of its own to give up; their times run together.
      for (const each of startingUnder(supervisor)) each.tellToEnd()
      cancel = supervisor.kernel.clock.after(left(supervisor, shutdown), () => resolve(givenUp))
    })
  })
  try {
    const result = await Promise.race([starting, givingUp])
    if (result !== givenUp) return result
  } finally {
    supervisor.onceToldToEnd(undefined)
    cancel()
  }
  starting.then((late) => endLate(late, supervisor)).catch(() => undefined)
  const how = shutdown === 'infinity' ? shutdown : 'brutal_kill'
  await Promise.all(startingUnder(supervisor).map((each) => shutDown(supervisor, each, how)))
  return { ok: false, reason: 'shutdown' }
}

const givenUp = Symbol('given up')

/** Milliseconds that a start still has under a supervisor that was told to end. */
const left = ({ toldToEndAt, kernel }: Process, shutdown: Shutdown): number => {
  if (shutdown === 'brutal_kill') return 0
  const now = kernel.clock.monotonic()
  const patience = shutdown === 'infinity' ? shutdownMsDefault : shutdown
  return Math.max(0, (toldToEndAt ?? now) + patience - now)
}

/** Those that have this supervisor as parent and have not begun, or not finished, their `init`. */
const startingUnder = (supervisor: Process): Process[] =>
  [...supervisor.ties.links.all].filter(
    ({ parent, behaviour }) => parent === supervisor && behaviour.status() === 'starting',
  )

const endLate = async (late: unknown, supervisor: Process): Promise<void> => {
  const { ref } = (late ?? {}) as { readonly ref?: unknown }
  const process = isRef(ref) ? (addressOf(ref) as Address<Process>).resolve() : undefined
  if (process?.alive) await shutDown(supervisor, process)
}

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

// What a supervisor tells about its children.

/** A child as its supervisor sees it. */
export interface ChildInfo {
  readonly id: string
  readonly ref: Ref | undefined
  readonly status: 'running' | 'restarting' | 'stopped'
  readonly kind: 'worker' | 'supervisor'
}

/** How many children there are: specifications, running ones, and of which kind. */
export interface ChildCount {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/** The child as people see it. */
export const infoOf = (child: Child): ChildInfo => ({
  id: child.spec.id,
  ref: child.process?.address,
  status: child.isRestarting ? 'restarting' : child.process === undefined ? 'stopped' : 'running',
  kind: child.spec.kind,
})

/** How many there are. */
export const count = (children: readonly Child[]): ChildCount => {
  const supervisors = children.filter((child) => child.spec.kind === 'supervisor').length
  return {
    specs: children.length,
    active: children.filter((child) => child.process !== undefined).length,
    supervisors,
    workers: children.length - supervisors,
  }
}
