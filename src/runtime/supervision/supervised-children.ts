/**
 * The children of one supervisor, newest first, and how they are started, ended and replaced. A
 * child that ended keeps its place until it is deleted; a temporary one is forgotten.
 */
import { isError } from '../../thrown.ts'
import { type Process, processOf } from '../process/process.ts'
import { type Shutdown, shutDown, shutdownMsDefault, takeExits } from '../process/shutdown.ts'
import { TimeSlice } from '../queues/time-slice.ts'
import { badReturn } from '../server/next-step.ts'
import type { StartResult } from '../server/start-options.ts'
import { addressOf, isRef, type Ref } from '../words/address.ts'
import {
  describeReason,
  type ExitReason,
  isForeseen,
  isOrderly,
  isShutdown,
  reasonOf,
} from '../words/exit-reason.ts'
import { announce, type SupervisorReport } from '../words/telemetry.ts'
import type { ChildContext, FullChildSpec } from './child-spec.ts'
import { orphanGone } from './orphans.ts'
import { closedGate, gatePassed } from './start-gate.ts'

// The start of one child, and its cancellation. A supervisor handles no message while a child
// starts, as in OTP. A child that never starts must not keep the supervisor from ending, so a
// supervisor that has to end cancels the start.

/** The context of a supervisor that starts children. */
export type ParentContext = ChildContext & { readonly self: Ref }

/**
 * The result of the start function. It is a failure `shutdown` if `supervisor` has to end and the
 * start then takes longer than the child's shutdown time (5,000 ms for `infinity`). The starting
 * process is ended first; a start that succeeds later is undone. Rejects with the error of the
 * start.
 */
const startOrGiveUp = async (
  spec: FullChildSpec,
  context: ParentContext,
  supervisor: Process,
): Promise<unknown> => {
  const { shutdown } = spec
  const starting = Promise.resolve(spec.start(context))
  const result = await orGivenUp(starting, shutdown, supervisor)
  if (result !== givenUp) return result
  starting.then(
    (late) => endLate(late, supervisor),
    () => undefined,
  )
  const how = shutdown === 'infinity' ? shutdown : 'brutal_kill'
  await Promise.all([...supervisor.starting].map((each) => shutDown(supervisor, each, how)))
  return { ok: false, reason: 'shutdown' }
}

const givenUp: unique symbol = Symbol('given up')

/** The result of `starting`, or `givenUp` if that takes too long once `supervisor` is to end. */
const orGivenUp = async (
  starting: Promise<unknown>,
  shutdown: Shutdown,
  supervisor: Process,
): Promise<unknown> => {
  let cancel = (): void => undefined
  const late = new Promise<typeof givenUp>((resolve) => {
    supervisor.onceShutdown(() => {
      // A supervisor that is starting has its own starts to cancel; their times run together.
      for (const each of supervisor.starting) each.requestShutdown()
      cancel = supervisor.kernel.clock.after(left(supervisor, shutdown), () => resolve(givenUp))
    })
  })
  try {
    return await Promise.race([starting, late])
  } finally {
    supervisor.onceShutdown(undefined)
    cancel()
  }
}

/** The milliseconds left for a start under a supervisor that has to end. */
const left = ({ shutdownAt, kernel }: Process, shutdown: Shutdown): number => {
  if (shutdown === 'brutal_kill') return 0
  const now = kernel.clock.monotonic()
  const patience = shutdown === 'infinity' ? shutdownMsDefault : shutdown
  return Math.max(0, (shutdownAt ?? now) + patience - now)
}

const endLate = async (late: unknown, supervisor: Process): Promise<void> => {
  if (!isStartResult(late) || !late.ok) return
  const process = addressOf<Process>(late.ref).resolve()
  if (process !== undefined) await shutDown(supervisor, process)
}

/** A wait before a restart. It is over, or was cancelled, when `read` returns false. */
export type Wait = { cancel(): unknown; read(): number | false }

/** The state of a child. A class, so that no value from outside is taken for one. */
export class Child {
  readonly spec: FullChildSpec
  process: Process | undefined = undefined
  /** It waits for its restart, or a restart failed and will be tried again. */
  isRestarting = false
  /** The timer of its back-off, or its wait at a gate, if it waits. */
  wait: Wait | undefined = undefined
  /** The number of its latest restarts in a row, for its back-off. */
  row = 0
  /** When it will have run so long that the row is over (`clock.monotonic`). */
  quietAt = Number.POSITIVE_INFINITY
  /** The ref of its last process. */
  last: Ref | undefined = undefined
  /** Why the last one failed. */
  failure: ExitReason = undefined
  /** The number of its restarts. */
  restarts = 0

  /** A child that is not started yet. */
  constructor(spec: FullChildSpec) {
    this.spec = spec
  }
}

/** A child that did not start, and the reason. */
interface FailedStart {
  readonly child: Child
  readonly reason: ExitReason
}

/** The ref of a running child. */
export const refOfChild = (child: Child): Ref | undefined => child.process?.address

/** As `startChildProcess`, and once no orphan has its name. */
export const startWhenFree = async (
  child: Child,
  context: ParentContext,
  closed?: Promise<unknown>,
): Promise<StartResult<unknown>> => {
  const result = await startChildProcess(child, context, closed)
  if (result.ok) return result
  const isFree = await orphanGone(result, child.spec.shutdown, processOf(context))
  return isFree ? startWhenFree(child, context) : result
}

/**
 * Starts `child`, once its gate is open if `closed` says that it is not. A result that is not a start
 * result is a failed start (OTP).
 */
export const startChildProcess = async (
  child: Child,
  context: ParentContext,
  closed?: Promise<unknown>,
): Promise<StartResult<unknown>> => {
  const supervisor = processOf(context)
  const { parts } = supervisor.kernel.names
  const { part } = child.spec
  try {
    if (closed !== undefined) {
      const isOpen = await gatePassed(child.spec, supervisor, closed)
      if (!isOpen) return { ok: false, reason: 'shutdown' }
    }
    const begun = parts.begin(supervisor, part)
    const result = await startOrGiveUp(child.spec, context, supervisor).finally(begun)
    if (!isStartResult(result)) return { ok: false, reason: badReturn(result) }
    if (!result.ok) return asShown(result)
    const process = addressOf<Process>(result.ref).resolve()
    if (process === undefined) return { ok: false, reason: 'noproc' }
    parts.hold(part, process)
    adopt(process, supervisor)
    run(child, process)
    return result
  } catch (thrown) {
    return { ok: false, reason: reasonOf(thrown) }
  }
}

/** A failed start whose reason `formatStatus` hides: the reason goes up the tree, and into the log. */
const asShown = (result: StartResult): StartResult =>
  'shown' in result ? { ok: false, reason: result.shown } : result

/** A user's start function may return anything. */
const isStartResult = (result: unknown): result is StartResult<unknown> => {
  if (typeof result !== 'object' || result === null) return false
  const given: { readonly [K in keyof StartResult]?: unknown } = result
  const { ok, ignore, ref } = given
  return ok === true ? isRef(ref) : ok === false || ignore === true
}

/**
 * Links a child to its supervisor whatever its start function did: otherwise its end would never be
 * noticed and it would count as running for ever (as in OTP). A child that was started linked keeps
 * its links.
 */
const adopt = (process: Process, supervisor: Process): void => {
  if (process.parent === supervisor) return
  if (process.alive) supervisor.link(process)
  else supervisor.signal(process, 'noproc', true)
}

const run = (child: Child, process: Process): void => {
  const { backoff } = child.spec
  child.process = process
  child.last = process.address
  waitsNoLonger(child)
  process.restarts = child.restarts
  if (backoff !== undefined) child.quietAt = process.kernel.clock.monotonic() + backoff.toMs
}

const waitsNoLonger = (child: Child): void => {
  child.isRestarting = false
  child.wait?.cancel()
  child.wait = undefined
}

/** Begins a new row of restarts if the child, which ends at `now`, has run long enough. */
export const closeRow = (child: Child, now: number): void => {
  if (now >= child.quietAt) child.row = 0
  child.quietAt = Number.POSITIVE_INFINITY
}

/** The result of a start of children. */
export type Started = {
  /** The children that keep their place, newest first. */
  readonly children: Child[]
  /** The first one that was not started. */
  readonly failed?: FailedStart | undefined
  /** The first one that must wait, and its gate. */
  readonly waiting?: { readonly child: Child; readonly closed: Promise<unknown> } | undefined
}

/**
 * Starts `children` (newest first) in start order. Stops at the first failure. A child whose start
 * was ignored stays, not running; a temporary one is forgotten. At a closed gate the first start of
 * a tree waits; a restart stops.
 */
export const startChildren = async (
  children: readonly Child[],
  context: ParentContext,
  how: 'first' | 'again',
): Promise<Started> => {
  const supervisor = processOf(context)
  const forgotten = new Set<Child>()
  const kept = (): Child[] => children.filter((child) => !forgotten.has(child))
  const slice = new TimeSlice(supervisor.kernel.clock)
  for (const child of [...children].reverse()) {
    await slice.spent()
    const closed = closedGate(child.spec, supervisor)
    if (closed !== undefined && how === 'again')
      return { children: kept(), waiting: { child, closed } }
    if (how === 'again') child.restarts++
    const result = await startWhenFree(child, context, closed)
    if (result.ok) continue
    if (!result.ignore) return { children: kept(), failed: { child, reason: result.reason } }
    waitsNoLonger(child)
    if (child.spec.restart === 'temporary') forgotten.add(child)
  }
  return { children: kept() }
}

/** Ends `children` (newest first) one after another. Returns the children that keep their place. */
export const endChildren = async (
  children: readonly Child[],
  supervisor: Process,
): Promise<Child[]> => {
  const kept: Child[] = []
  const ended = takeExits(supervisor, endedRefs(children))
  const slice = new TimeSlice(supervisor.kernel.clock)
  for (const child of children) {
    await slice.spent()
    await endChild(child, supervisor, ended)
    if (child.spec.restart !== 'temporary') kept.push(child)
  }
  return kept
}

/** Ends `children` all at once. */
export const endAtOnce = async (children: Iterable<Child>, supervisor: Process): Promise<void> => {
  const all = [...children]
  const ended = takeExits(supervisor, endedRefs(all))
  const ends: Promise<void>[] = []
  const slice = new TimeSlice(supervisor.kernel.clock)
  for (const child of all) {
    await slice.spent()
    ends.push(endChild(child, supervisor, ended))
  }
  await Promise.all(ends)
}

const endedRefs = (children: readonly Child[]): Set<Ref> =>
  new Set(children.flatMap(({ process }) => (process?.alive === false ? process.address : [])))

/**
 * Ends one child, if it runs, within its shutdown time. `ended` has the reasons of children whose
 * exit message was taken already.
 */
export const endChild = async (
  child: Child,
  supervisor: Process,
  ended?: ReadonlyMap<Ref, ExitReason>,
): Promise<void> => {
  const { process, spec } = child
  child.process = undefined
  waitsNoLonger(child)
  if (process === undefined) return
  closeRow(child, process.kernel.clock.monotonic())
  const [reason] = ended?.has(process.address)
    ? [ended.get(process.address)]
    : await shutDown(supervisor, process, spec.shutdown)
  if (isExpected(spec.shutdown, reason) || (reason === 'normal' && spec.restart !== 'permanent'))
    return
  const shown = shownReason(child, reason)
  report(supervisor, 'shutdown_error', child, shown, process.pid)
  supervisor.kernel.logger.error(`${process} was ended: ${describeReason(shown)}`, {
    pid: process.pid,
    reason: said(shown),
  })
}

const isExpected = (shutdown: FullChildSpec['shutdown'], reason: ExitReason): boolean =>
  shutdown === 'brutal_kill' ? reason === 'killed' : isShutdown(reason)

/**
 * Notes that a restart of `child` failed; it is tried again. Logged, unless `supervisor` is ending
 * (OTP's `start_error`).
 */
export const restartFailed = (supervisor: Process, child: Child, reason: ExitReason): void => {
  child.isRestarting = true
  child.failure = reason
  report(supervisor, 'start_error', child, reason)
  if (supervisor.shutdownAt !== undefined) return
  const { id } = child.spec
  const what = `${supervisor}: ${id} was not started again: ${describeReason(reason)}`
  supervisor.kernel.logger.error(what, { id, reason })
}

/** Announces what happened to `child`, whose process has or had `pid`. */
export const report = (
  supervisor: Process,
  errorContext: SupervisorReport['errorContext'],
  { spec }: Child,
  reason: ExitReason,
  pid?: number,
): void => {
  const { id, restart, shutdown, kind } = spec
  const child = { id, pid, restart, shutdown, kind }
  const facts = { errorContext, reason, child }
  announce(supervisor.kernel, 'supervisor.report', () => ({ ...supervisor.facts(), ...facts }))
}

/** The reason of a child's end, as its process lets it be shown. */
export const shownReason = ({ last }: Pick<Child, 'last'>, reason: ExitReason): ExitReason => {
  const process = last && addressOf<Process>(last).process
  return process !== undefined && Object.is(process.reason, reason) ? process.shownReason : reason
}

/** The child ended by itself: reported unless that was an orderly end that it may have. */
export const reportTerminated = (supervisor: Process, child: Child, reason: ExitReason): void => {
  if (child.spec.restart !== 'permanent' && isOrderly(reason)) return
  const shown = shownReason(child, reason)
  report(supervisor, 'child_terminated', child, shown, child.last?.pid)
}

/** Logs and announces that `supervisor` spent its intensity when `child` ended. */
export const reportGaveUp = (supervisor: Process, child: Child, reason: ExitReason): void => {
  const { kernel } = supervisor
  const { id } = child.spec
  announce(kernel, 'supervisor.gave_up', () => ({ ...supervisor.facts(), id, reason }))
  kernel.logger.error(`${supervisor} gave up: ${id} ended: ${describeReason(reason)}`, {
    id,
    reason: said(reason),
  })
}

/** The reason of a process that ended: if it is an Error, the crash has logged it with its stack. */
const said = (reason: ExitReason): ExitReason => (isError(reason) ? describeReason(reason) : reason)

/** Announces `children` (newest first) in the order of their starts, as OTP's progress reports. */
export const reportAllRestarted = async (
  supervisor: Process,
  children: readonly Child[],
  reason: ExitReason,
  ended: Child,
): Promise<void> => {
  const slice = new TimeSlice(supervisor.kernel.clock)
  for (const child of [...children].reverse()) {
    await slice.spent()
    reportRestarted(supervisor, child, reason, ended)
  }
}

/**
 * Logs and announces that `child`, if it runs, was restarted because `ended` ended for `reason`: it
 * itself, or a sibling that it restarts with. A crash has logged its own reason. An end that was
 * foreseen is not logged.
 */
export const reportRestarted = (
  supervisor: Process,
  child: Child,
  reason: ExitReason,
  ended: Child,
): void => {
  const { process, restarts, spec } = child
  if (process === undefined) return
  const facts = { supervisor: supervisor.pid, id: spec.id, reason, restarts }
  announce(supervisor.kernel, 'process.restarted', () => ({ ...process.facts(), ...facts }))
  if (isForeseen(reason)) return
  const own = isError(reason) ? '' : `: ${describeReason(reason)}`
  const why = ended === child ? own : ` with ${ended.spec.id}`
  supervisor.kernel.logger.warn(`${supervisor}: ${spec.id} was restarted${why}`, {
    supervisor: supervisor.pid,
    id: spec.id,
    reason: said(reason),
    restarts,
  })
}

// Information about the children.

/** A child as its supervisor sees it. */
export interface ChildInfo {
  readonly id: string
  /** While it backs off, that of its last process. */
  readonly ref: Ref | undefined
  readonly status: 'running' | 'restarting' | 'stopped'
  readonly kind: 'worker' | 'supervisor'
}

/** The number of children: specifications, running ones, supervisors and workers. */
export interface ChildCount {
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/** The information about one child. */
export const infoOf = (child: Child): ChildInfo => ({
  id: child.spec.id,
  ref: child.process?.address ?? (child.wait && child.last),
  status: child.isRestarting ? 'restarting' : child.process === undefined ? 'stopped' : 'running',
  kind: child.spec.kind,
})

/** Their number; a supervisor decides what `isActive`. */
export const count = (
  children: readonly Child[],
  isActive: (child: Child) => boolean,
): ChildCount => {
  const supervisors = children.filter((child) => child.spec.kind === 'supervisor').length
  return {
    specs: children.length,
    active: children.filter(isActive).length,
    supervisors,
    workers: children.length - supervisors,
  }
}
