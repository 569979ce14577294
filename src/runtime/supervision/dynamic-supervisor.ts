/**
 * A supervisor whose children are started while it runs, in any number. Each child is independent,
 * as with `one_for_one`. A child that has ended is forgotten. At the supervisor's end all children
 * end at the same time.
 */

import { config, membersOf, noMore, or, orInfinite, readOptions, wholeFrom } from '../../check.ts'
import { noOptions } from '../../own-names.ts'
import type { Via } from '../names/via.ts'
import { call, cast } from '../process/messaging.ts'
import type { Process } from '../process/process.ts'
import { processOf } from '../process/process.ts'
import type { Shutdown } from '../process/shutdown.ts'
import { isAnything } from '../server/acceptance.ts'
import type { AnyContext, Context, From, GenServer, Result, System } from '../server/gen-server.ts'
import { type NoReply, noReply, type Reply, reply, stop } from '../server/next-step.ts'
import { refOf, type StartResult } from '../server/start-options.ts'
import { Address, addressOf, isRef, type Name, type Ref } from '../words/address.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { backsOff, hasWaited } from './backing-off.ts'
import { shapeFault } from './child-fault.ts'
import {
  type ChildSpec,
  checked,
  expectStartable,
  fullSpec,
  intensityOptions,
  supervisorStart,
} from './child-spec.ts'
import { AskedAgain, askAgain, waitAtGate } from './gate-wait.ts'
import { holderIn } from './orphans.ts'
import { givesUp, isRestarted, type RestartOption, recentRestarts } from './restart-policy.ts'
import { closedGate } from './start-gate.ts'
import {
  Child,
  type ChildCount,
  type ChildInfo,
  count,
  endAtOnce,
  endChild,
  infoOf,
  reportGaveUp,
  reportRestarted,
  reportTerminated,
  restartFailed,
  shownReason,
  startChildProcess,
  startWhenFree,
} from './supervised-children.ts'
import { madeAt, patiently, started } from './supervisor.ts'

/** The messages of a dynamic supervisor. */
export type DynamicSupervisorMessages = {
  calls: {
    startChild: (spec: ChildSpec) => StartResult
    terminateChild: (child: Ref) => boolean
    whichChildren: () => ChildInfo[]
    countChildren: () => ChildCount
  }
  casts: {
    /** @internal */
    tryAgain: (child: Child) => void
  }
  infos: {
    /** @internal */
    waited: (child: Child) => void
    /** @internal */
    opened: (again: AskedAgain<Asked>) => void
  }
}

/** The options of a dynamic supervisor, also as a child. */
export interface DynamicSupervisorOptions {
  /**
   * The most restarts of all children within `periodMs`; one more ends the supervisor with
   * `shutdown`. 3 by default.
   */
  readonly intensity?: number | undefined
  /** 5,000 by default. */
  readonly periodMs?: number | undefined
  /** The most children; more are refused with `'max_children'`. No limit by default. */
  readonly maxChildren?: number | undefined
  readonly name?: Name | Via | undefined
  /** `context.app` of all processes below. */
  readonly app?: unknown
  readonly restart?: RestartOption | undefined
  readonly shutdown?: Shutdown | undefined
  readonly significant?: boolean | undefined
}

interface State {
  readonly intensity: number
  readonly periodMs: number
  readonly maxChildren: number
  /** In start order. A child whose restart failed stays until the next try. */
  readonly children: Set<Child>
  /** The children by the ref of their process; while they wait for a restart, of their last one. */
  readonly running: Map<Ref, Child>
  restarts: readonly number[]
}

/** A dynamic supervisor as a child of another supervisor. Throws `CONFIG` with `details.path`. */
export const dynamicSupervisor = (
  id: string,
  given: DynamicSupervisorOptions = noOptions,
  ...surplus: []
): ChildSpec<DynamicSupervisorMessages> => {
  noMore(surplus, 'dynamicSupervisor(id, { name, … })')
  const options = readOptions(given, knownOptions, config(id))
  const { name, restart, shutdown, significant } = options
  expectStartable(id, { name })
  const limits = limitsOf(options, config(id))
  const start = supervisorStart(id, dynamicServer, limits, 'dynamic_supervisor', options)
  return checked({ id, start, restart, shutdown, significant, kind: 'supervisor' })
}

/** Starts one: without a parent for a System, linked for a context. */
export const startDynamicSupervisor = (
  where: System | AnyContext,
  options: DynamicSupervisorOptions = noOptions,
  ...surplus: []
): Promise<Ref<DynamicSupervisorMessages>> =>
  startAlone(where, options, surplus, 'startDynamicSupervisor(where, { name, … })')

/** Starts one that has no id. Arguments after those of `form` are refused. */
export const startAlone = (
  where: System | AnyContext,
  options: DynamicSupervisorOptions,
  surplus: readonly unknown[],
  form: string,
): Promise<Ref<DynamicSupervisorMessages>> =>
  madeAt(
    where,
    started(where, () => {
      noMore(surplus, form)
      const read = readOptions(options, knownOptions, config('dynamic_supervisor'))
      return dynamicSupervisor(String(read.name ?? 'dynamic_supervisor'), read)
    }),
  )

/**
 * Starts a child. A failure is the reason of its start, the fault of its specification, or
 * `'max_children'`. Ids may be equal. `significant` has no effect, because there is no
 * auto-shutdown.
 */
export const startDynamicChild = <M, S>(
  supervisor: Ref<DynamicSupervisorMessages>,
  spec: ChildSpec<M, S>,
): Promise<StartResult<M, S>> =>
  call(supervisor, 'startChild', spec, patiently) as Promise<StartResult<M, S>>

/**
 * The process that has the name, or else that of a child which is started now and takes the name.
 * Two starts at the same time end at the same process. If the ref of the supervisor has its sender
 * bound, so has the process's. Rejects with `EXITED` (`details.reason`) if it does not start.
 */
export const startOrGet = async <M, S>(
  supervisor: Ref<DynamicSupervisorMessages>,
  spec: ChildSpec<M, S>,
  name: Name | Via | undefined,
): Promise<Ref<M, S>> => {
  const parent = addressOf<Process>(supervisor)
  const holder = name === undefined ? undefined : parent.resolve()?.kernel.names.find(name)
  const found = holder?.address ?? refOrHolder(await startDynamicChild(supervisor, spec), spec.id)
  const { directory, process, name: looked } = addressOf<Process>(found)
  return new Address(directory, process, looked, parent.sender)
}

/** The started process, or the one that had its name. Throws `EXITED` if there is none. */
const refOrHolder = (result: StartResult, id: string): Ref => holderIn(result) ?? refOf(result, id)

/**
 * Ends a child and forgets it. One that waits for its restart is named by the ref of its last
 * process. False: it is not a child of this supervisor.
 */
export const terminateDynamicChild = (
  supervisor: Ref<DynamicSupervisorMessages>,
  child: Ref,
): Promise<boolean> => call(supervisor, 'terminateChild', child, patiently)

const limitsOf = membersOf({
  ...intensityOptions,
  maxChildren: or(orInfinite(wholeFrom(0)), Number.POSITIVE_INFINITY),
})

const knownOptions = [
  'intensity',
  'periodMs',
  'maxChildren',
  'name',
  'app',
  'restart',
  'shutdown',
  'significant',
]

type Limits = Pick<State, 'intensity' | 'periodMs' | 'maxChildren'>
type Surroundings = Context<DynamicSupervisorMessages>

type DynamicServer = GenServer<DynamicSupervisorMessages, State, Limits> & {
  readonly cast: (state: State) => Result<State, never>
}

const dynamicServer: DynamicServer = {
  init: (limits, context) => {
    context.trapExit(true)
    return { ...limits, children: new Set(), running: new Map(), restarts: [] }
  },
  // Elixir's ends by a call that it does not know.
  isOtpOutside: true,
  accepts: {
    calls: {
      startChild: isAnything,
      terminateChild: isRef,
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
    terminateChild: async (state, ref, context) => {
      // Any ref of the process is accepted: its own, one with a bound sender, or one of its name.
      // A text is no ref, so an id names no child (Elixir).
      const process = isRef(ref) ? addressOf<Process>(ref).resolve() : undefined
      const child = process && state.running.get(process.address)
      if (child === undefined) return reply(false, state)
      forget(state, child)
      await endChild(child, processOf(context))
      return reply(true, state)
    },
    whichChildren: (state) => reply([...state.children].map(infoOf), state),
    // Elixir's does not look whether they live.
    countChildren: (state) =>
      reply(
        count([...state.children], ({ process }) => process !== undefined),
        state,
      ),
  },
  casts: {
    tryAgain: (state, child, context) =>
      state.children.has(child) && child.isRestarting
        ? restart(state, child, child.failure, context)
        : noReply(state),
  },
  infos: {
    waited: (state, child, context) =>
      hasWaited(child) ? startAgain(state, child, child.failure, context) : noReply(state),
    opened: async (state, { asked }, context) => {
      const step = await startChild(state, asked, context)
      if (step.kind === 'reply') asked.from.reply(step.value)
      return noReply(state)
    },
  },
  // A cast that it does not know does not end it (Elixir).
  cast: (state) => noReply(state),
  exit: (state, { from, reason }, context) => {
    const child = from === undefined ? undefined : state.running.get(from)
    if (child === undefined || child.isRestarting) return noReply(state)
    reportTerminated(processOf(context), child, reason)
    if (isRestarted(child.spec.restart, reason))
      return restart(state, child, shownReason(child, reason), context)
    forget(state, child)
    return noReply(state)
  },
  terminate: ({ children }, _reason, context) => endAtOnce(children, processOf(context)),
}

/** A start that a caller asked for. */
type Asked = { readonly spec: ChildSpec; readonly from: From<StartResult> }

const startChild = async (
  state: State,
  asked: Asked,
  context: Surroundings,
): Promise<Reply<StartResult, State> | NoReply<State>> => {
  const fault = shapeFault(asked.spec)
  if (fault !== undefined) return reply({ ok: false, reason: fault.reason }, state)
  if (state.children.size >= state.maxChildren) {
    return reply({ ok: false, reason: 'max_children' }, state)
  }
  const child = new Child(fullSpec(asked.spec))
  const closed = closedGate(child.spec, processOf(context))
  if (closed !== undefined) {
    askAgain(processOf(context), asked, closed)
    return noReply(state)
  }
  const result = await startChildProcess(child, context)
  if (result.ok) remember(state, child)
  return reply(result, state)
}

const restart = (
  state: State,
  child: Child,
  reason: ExitReason,
  context: Surroundings,
): Result<State, never> => {
  child.process = undefined
  if (backsOff(processOf(context), child, reason)) return noReply(state)
  state.restarts = recentRestarts(state.restarts, context.system.clock.monotonic(), state)
  if (givesUp(state.restarts, state)) {
    forget(state, child)
    reportGaveUp(processOf(context), child, reason)
    return stop('shutdown', state)
  }
  return startAgain(state, child, reason, context)
}

const startAgain = async (
  state: State,
  child: Child,
  reason: ExitReason,
  context: Surroundings,
): Promise<NoReply<State>> => {
  const closed = closedGate(child.spec, processOf(context))
  if (closed !== undefined) {
    waitAtGate(processOf(context), child, reason, closed)
    return noReply(state)
  }
  forgetRef(state, child)
  child.restarts++
  const result = await startWhenFree(child, context)
  if (result.ok) {
    remember(state, child)
    reportRestarted(processOf(context), child, reason, child)
  } else if (result.ignore) forget(state, child)
  else {
    remember(state, child)
    restartFailed(processOf(context), child, result.reason)
    if (!backsOff(processOf(context), child, result.reason)) cast(context.self, 'tryAgain', child)
  }
  return noReply(state)
}

const remember = (state: State, child: Child): void => {
  state.children.add(child)
  if (child.last !== undefined) state.running.set(child.last, child)
}

const forget = (state: State, child: Child): void => {
  state.children.delete(child)
  forgetRef(state, child)
}

const forgetRef = (state: State, child: Child): void => {
  if (child.last !== undefined) state.running.delete(child.last)
}
