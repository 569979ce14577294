/**
 * The server of every supervisor. It traps exits. The end of a child is a message, handled in its
 * turn, and takes as long as ending and starting children takes. No other message is handled during
 * that time. The rules are those of OTP's supervisor, including the order in which failed restarts
 * are tried again.
 */

import { cast } from '../process/messaging.ts'
import { processOf } from '../process/process.ts'
import { isAnything } from '../server/acceptance.ts'
import type { Context, From, GenServer } from '../server/gen-server.ts'
import {
  type NoReply,
  noReply,
  ok,
  type Reply,
  reply,
  type Stop,
  stop,
} from '../server/next-step.ts'
import type { StartResult } from '../server/start-options.ts'
import type { Ref } from '../words/address.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { backsOff, hasWaited } from './backing-off.ts'
import { childFault, childrenFault } from './child-fault.ts'
import { type ChildSpec, fullSpec } from './child-spec.ts'
import { AskedAgain, askAgain, waitAtGate } from './gate-wait.ts'
import {
  type AutoShutdown,
  endsSupervisor,
  givesUp,
  isRestarted,
  recentRestarts,
  type SignificantChild,
  type Strategy,
} from './restart-policy.ts'
import { closedGate } from './start-gate.ts'
import {
  Child,
  type ChildCount,
  type ChildInfo,
  count,
  endChild,
  endChildren,
  infoOf,
  refOfChild,
  report,
  reportAllRestarted,
  reportGaveUp,
  reportTerminated,
  restartFailed,
  shownReason,
  startChildProcess,
  startChildren,
} from './supervised-children.ts'

/**
 * The result of a request about a child. `reason` is `'not_found'`, `'running'` or `'restarting'`.
 */
export type ChildResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'not_found' | 'running' | 'restarting' }

/** The messages of a supervisor. */
export type SupervisorMessages = {
  calls: {
    startChild: (spec: ChildSpec) => StartResult<unknown>
    terminateChild: (id: string) => ChildResult
    restartChild: (id: string) => StartResult<unknown>
    deleteChild: (id: string) => ChildResult
    whichChildren: () => ChildInfo[]
    countChildren: () => ChildCount
  }
  casts: {
    /** @internal */
    tryAgain: (id: string) => void
  }
  infos: {
    /** @internal */
    waited: (child: Child) => void
    /** @internal */
    opened: (again: AskedAgain<Asked>) => void
  }
}

/** The start argument of a supervisor; `supervisor` makes it. */
export interface SupervisorArgument {
  readonly strategy: Strategy
  readonly intensity: number
  readonly periodMs: number
  readonly autoShutdown: AutoShutdown
  readonly children: readonly ChildSpec[]
}

/** The state of a supervisor. */
export interface SupervisorState {
  readonly options: SupervisorArgument
  /** By their ids, oldest first. */
  readonly children: Map<string, Child>
  /** Which child a process is, or was. */
  readonly byRef: WeakMap<Ref, Child>
  /** The times of the restarts that still count. */
  readonly restarts: readonly number[]
}

type State = SupervisorState
type Surroundings = Context<SupervisorMessages>
type Next = NoReply<State> | Stop<State>

/** The server; `supervisor` and `startSupervisor` start it. */
export const supervisorServer: GenServer<SupervisorMessages, State, SupervisorArgument> = {
  init: async (options, context) => {
    context.trapExit(true)
    const fault = childrenFault(options.children, options.autoShutdown)
    if (fault !== undefined) return stop(['start_spec', fault.reason])
    const children = options.children.map((spec) => new Child(fullSpec(spec))).reverse()
    const begun = await startChildren(children, context, 'first')
    if (begun.failed === undefined) return ok(begunWith(options, begun.children))
    const { child, reason } = begun.failed
    report(processOf(context), 'start_error', child, reason)
    await endChildren(begun.children, processOf(context))
    return stop(['shutdown', ['failed_to_start_child', child.spec.id, reason]])
  },
  // OTP's supervisor ends by a call or cast that it does not know, and its children with it.
  isOtpOutside: true,
  accepts: {
    calls: {
      startChild: isAnything,
      terminateChild: isAnything,
      restartChild: isAnything,
      deleteChild: isAnything,
      whichChildren: isAnything,
      countChildren: isAnything,
    },
    casts: { tryAgain: isAnything },
    infos: {
      waited: (payload) => payload instanceof Child,
      opened: (payload) => payload instanceof AskedAgain,
    },
  },
  calls: {
    startChild: (state, spec, context) => startChild(state, { spec, from: context.from }, context),
    terminateChild: async (state, id, context) => {
      const child = childOf(state, id)
      if (child === undefined) return reply(notFound, state)
      await endChild(child, processOf(context))
      if (child.spec.restart === 'temporary') forget(state, child)
      return reply(done, state)
    },
    restartChild: (state, id, context) => restartChild(state, { id, from: context.from }, context),
    deleteChild: (state, id) => {
      const child = childAtRest(state, id)
      if ('ok' in child) return reply(child, state)
      forget(state, child)
      return reply(done, state)
    },
    whichChildren: (state) => reply(newestFirst(state).map(infoOf), state),
    // A child may have ended already, though its exit message was not handled yet (OTP).
    countChildren: (state) =>
      reply(
        count([...state.children.values()], ({ process }) => process?.alive === true),
        state,
      ),
  },
  casts: {
    tryAgain: (state, id, context) => {
      const child = childOf(state, id)
      return child?.isRestarting ? restart(state, child, child.failure, context) : noReply(state)
    },
  },
  infos: {
    waited: (state, child, context) =>
      hasWaited(child) ? startAgain(state, child, child.failure, context) : noReply(state),
    opened: async (state, { asked }, context) => {
      const step =
        'spec' in asked
          ? await startChild(state, asked, context)
          : await restartChild(state, asked, context)
      if (step.kind === 'reply') asked.from.reply(step.value)
      return noReply(state)
    },
  },
  exit: (state, { from, reason }, context) => {
    const child = from === undefined ? undefined : state.byRef.get(from)
    if (child === undefined || refOfChild(child) !== from) return noReply(state)
    return childEnded(state, child, reason, context)
  },
  terminate: async (state, _reason, context) => {
    await endChildren(newestFirst(state), processOf(context))
  },
}

// The end of a child.

const childEnded = (
  state: State,
  child: Child,
  reason: ExitReason,
  context: Surroundings,
): Next | Promise<Next> => {
  child.process = undefined
  reportTerminated(processOf(context), child, reason)
  if (isRestarted(child.spec.restart, reason))
    return restart(state, child, shownReason(child, reason), context)
  if (child.spec.restart === 'temporary') forget(state, child)
  const { autoShutdown } = state.options
  const ends = endsSupervisor(autoShutdown, significance(child), significances(state))
  return ends ? stop('shutdown', state) : noReply(state)
}

const restart = (
  state: State,
  child: Child,
  reason: ExitReason,
  context: Surroundings,
): Next | Promise<Next> => {
  const { options } = state
  if (child.spec.backoff !== undefined) return backOff(state, child, reason, context)
  const restarts = recentRestarts(state.restarts, context.system.clock.monotonic(), options)
  if (givesUp(restarts, options)) {
    reportGaveUp(processOf(context), child, reason)
    return stop('shutdown', state)
  }
  const { children, byRef } = state
  return startAgain({ options, children, byRef, restarts }, child, reason, context)
}

/**
 * The children that would restart with `child` end now, and start with it when its wait is over. If
 * another restart includes them, they start with that one.
 */
const backOff = async (
  state: State,
  child: Child,
  reason: ExitReason,
  context: Surroundings,
): Promise<Next> => {
  const together = affected(state, child)
  keep(state, together, await endChildren(together, processOf(context)))
  backsOff(processOf(context), child, reason)
  return noReply(state)
}

const startAgain = async (
  state: State,
  child: Child,
  reason: ExitReason,
  context: Surroundings,
): Promise<Next> => {
  const together = affected(state, child)
  const again = await endChildren(together, processOf(context))
  const { children, failed, waiting } = await startChildren(again, context, 'again')
  if (waiting) waitAtGate(processOf(context), waiting.child, reason, waiting.closed)
  await reportAllRestarted(processOf(context), children, reason, child)
  if (failed) {
    restartFailed(processOf(context), failed.child, failed.reason)
    // A message to itself, after the waiting ones, as in OTP: an earlier crash of a sibling is
    // handled first.
    if (!backsOff(processOf(context), failed.child, failed.reason))
      cast(context.self, 'tryAgain', failed.child.spec.id)
  }
  keep(state, together, children)
  return noReply(state)
}

/** The children to restart together, newest first. */
const affected = (state: State, child: Child): Child[] => {
  const { strategy } = state.options
  if (strategy === 'one_for_one') return [child]
  const all = newestFirst(state)
  return strategy === 'one_for_all' ? all : all.slice(0, all.indexOf(child) + 1)
}

// Requests about children.

/** A start that a caller asked for, of a new child or of one that ended. */
type Asked = AskedSpec | AskedId
type AskedSpec = { readonly spec: ChildSpec; readonly from: From<StartResult<unknown>> }
type AskedId = { readonly id: string; readonly from: From<StartResult<unknown>> }

type Answer = Reply<StartResult<unknown>, State> | NoReply<State>

const startChild = async (
  state: State,
  asked: AskedSpec,
  context: Surroundings,
): Promise<Answer> => {
  const { spec } = asked
  const fault = childFault(spec, state.options.autoShutdown)
  if (fault !== undefined) return reply({ ok: false, reason: fault.reason }, state)
  const full = fullSpec(spec)
  const present = childOf(state, full.id)
  if (present !== undefined) return reply({ ok: false, reason: presence(present) }, state)
  const child = new Child(full)
  const closed = closedGate(full, processOf(context))
  if (closed !== undefined) {
    askAgain(processOf(context), asked, closed)
    return noReply(state)
  }
  const result = await startChildProcess(child, context)
  const isKept = result.ok || (result.ignore === true && full.restart !== 'temporary')
  if (isKept) {
    state.children.set(full.id, child)
    note(state, child)
    return reply(result, state)
  }
  return reply(result.ignore ? result : { ok: false, reason: [result.reason, spec] }, state)
}

const restartChild = async (
  state: State,
  asked: AskedId,
  context: Surroundings,
): Promise<Answer> => {
  const child = childAtRest(state, asked.id)
  if ('ok' in child) return reply(child, state)
  const closed = closedGate(child.spec, processOf(context))
  if (closed !== undefined) {
    askAgain(processOf(context), asked, closed)
    return noReply(state)
  }
  const result = await startChildProcess(child, context)
  note(state, child)
  return reply(result, state)
}

/** A child that waits for its restart is present, and has no process (OTP). */
const presence = (child: Child): ExitReason =>
  child.process === undefined ? 'already_present' : ['already_started', refOfChild(child)]

/** The child with this id, if it neither runs nor waits for its restart; otherwise the refusal. */
const childAtRest = (state: State, id: string): Child | Refusal => {
  const child = childOf(state, id)
  if (child === undefined) return notFound
  if (child.isRestarting) return { ok: false, reason: 'restarting' }
  return child.process === undefined ? child : { ok: false, reason: 'running' }
}

type Refusal = Extract<ChildResult, { ok: false }>

const done: ChildResult = { ok: true }
const notFound: Refusal = { ok: false, reason: 'not_found' }

// The children of a state. It is changed in place: a copy for each of thousands would be slow.

const begunWith = (options: SupervisorArgument, children: readonly Child[]): State => {
  const oldestFirst = [...children].reverse()
  const state: State = {
    options,
    children: new Map(oldestFirst.map((child) => [child.spec.id, child])),
    byRef: new WeakMap(),
    restarts: [],
  }
  for (const child of oldestFirst) note(state, child)
  return state
}

const newestFirst = ({ children }: State): Child[] => [...children.values()].reverse()

const childOf = ({ children }: State, id: string): Child | undefined => children.get(id)

const forget = ({ children }: State, { spec }: Child): void => void children.delete(spec.id)

/** Notes which process runs in `child`, if one does. */
const note = ({ byRef }: State, child: Child): void => {
  const ref = refOfChild(child)
  if (ref !== undefined) byRef.set(ref, child)
}

/** Of `together`, only `kept` stay; their processes may be new. */
const keep = (state: State, together: readonly Child[], kept: readonly Child[]): void => {
  for (const child of kept) note(state, child)
  const staying = new Set(kept)
  for (const child of together) if (!staying.has(child)) forget(state, child)
}

const significance = (child: Child): SignificantChild => ({
  significant: child.spec.significant,
  isRunning: child.process !== undefined || child.isRestarting,
})

function* significances({ children }: State): Iterable<SignificantChild> {
  for (const child of children.values()) yield significance(child)
}
