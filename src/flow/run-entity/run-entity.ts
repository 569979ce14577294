/**
 * The entity of a run: its durable state, and the turns that its callers make. The body runs beside
 * its mailbox (`activation.ts`), so no call waits for a step.
 */

import { madeOf } from '../../actors/index.ts'
import { isKeelsonError, keptError } from '../../errors.ts'
import { claimRejections } from '../../process-events.ts'
import { type ChildSpec, call, noReply, reply } from '../../runtime/index.ts'
import { kindSpec } from '../../supervisors/index.ts'
import type { Workflow } from '../runs/body.ts'
import type { ChildEnd, RunContext, RunEnd, State } from '../runs/messages.ts'
import { runOf } from '../runs/operations.ts'
import { runKind } from '../runs/parts.ts'
import {
  fieldsOf,
  isLive,
  isOver,
  type Operation,
  type Outcome,
  operationKey,
  parentEnded,
  parentOf,
  type RunState,
} from '../runs/record.ts'
import { hasParts, isLacking } from '../runs/replaying.ts'
import { endOf, recordIn, recording, wholeEnd } from '../runs/turns.ts'
import { outcomeOf } from '../runs/values.ts'
import { RunActivations, type RunCalls, type RunContinues, type RunServer } from './activations.ts'
import { resultCalls, signalCalls, updateCalls } from './run-callers.ts'
import { cancelAtDeadline, cancelCalls, repairCalls } from './run-control.ts'
import { enterQueue, forkCalls, startCalls, startTimer } from './run-start.ts'

/** The part of the tree with the runs of a workflow. */
export const runKindSpec = (workflow: Workflow): ChildSpec => {
  const kind = runKind(workflow.name)
  const server = (): RunServer => Object.assign(runServer(workflow), { [madeOf]: workflow })
  const spec = (): ChildSpec => kindSpec(kind, server(), { idleMs })
  // The processes of one instance share their memory, those of another one do not.
  return { ...spec(), start: (context) => claiming(spec(), context) }
}

/** As long as the kind lives, its runs claim the rejections that their bodies leave unhandled. */
const claiming = async (spec: ChildSpec, context: Parameters<ChildSpec['start']>[0]) => {
  const started = await spec.start(context)
  if ('ref' in started && started.ref) context.system.monitor(started.ref, claimRejections())
  return started
}

/** How long the process of a run that has nothing to do stays. */
const idleMs = 2_000

const runServer = (workflow: Workflow): RunServer => {
  const activations = new RunActivations(workflow)
  return {
    init: () => undefined,
    wake: (state, context) => {
      activations.forget(context.id)
      if (state && isLive(state.status)) activations.begin(context)
    },
    terminate: (state, reason, context) => {
      activations.forget(context.id)
      // It was stopped: the message goes to its next process, in which the run goes on.
      const isStopped = reason === 'normal' && state && isLive(state.status)
      if (isStopped && activations.isHere(context))
        void call(context.self, 'wake').catch(() => undefined)
    },
    index: fieldsOf,
    calls: {
      ...startCalls(activations),
      ...forkCalls(activations),
      ...resultCalls(activations),
      ...signalCalls(activations),
      ...updateCalls(activations),
      ...cancelCalls(activations),
      ...repairCalls(activations),
      ...childCalls(activations),
      wake: (state, _, context) => {
        if (state && isLacking(state) && hasParts(state, context.rows, workflow, context.app))
          return reply(undefined, activations.resumed(state, context))
        const present = activations.presentOf(context)
        if (!state || !isLive(state.status) || present.activation?.replay?.hasArrived)
          return reply(undefined, state)
        present.wakers ??= []
        present.wakers.push(context.from)
        return noReply(state)
      },
    },
    continues: { ...enterQueue(activations), ...familyContinues(activations) },
    alarms: { ...startTimer(activations), ...cancelAtDeadline(activations) },
  }
}

// A run and its relatives: the ends of its children, its own end for its parent. Two runs make these
// messages: one side is repeated until the other one has answered.

/** `childEnded`. */
export const childCalls = (activations: RunActivations): RunCalls<'childEnded'> => ({
  childEnded: (state, end, context) => {
    if (!state || isOver(state.status)) return reply(undefined, state)
    try {
      return reply(undefined, endOfChild(state, end, context, activations))
    } catch (error) {
      if (!isKeelsonError(error, 'CORRUPT')) throw error
      context.from.fail(error)
      // An activation reads the record, and finds that it cannot go on. The child asks again.
      const mayLook = state.status === 'waiting' && !state.isHeld
      return noReply(mayLook ? activations.goOn(state, context, () => undefined) : state)
    }
  },
})

/** A run that has ended, or is blocked, notifies its parent; one ended by force cancels its children. */
export const familyContinues = ({
  workflow,
}: RunActivations): RunContinues<'notifyParent' | 'cancelChildren'> => ({
  notifyParent: async (state, _, context) => {
    const parent = state?.parent
    // A run that goes on has nothing to notify of.
    if (!state || !parent || (!isOver(state.status) && state.status !== 'blocked'))
      return noReply(state)
    const { type, id, ...place } = parent
    const notify = (end: RunEnd): Promise<unknown> =>
      call(runOf(context, `${type}/${id}`), 'childEnded', { ...place, end })
    try {
      await notify(await wholeEnd(endOf(state, context) as RunEnd))
    } catch (error) {
      // The parent gets an unreadable output after its repair: this step is tried again.
      if (isKeelsonError(error, 'CORRUPT'))
        await notify({ status: 'blocked', error: keptError(error) })
      throw error
    }
    return noReply(isOver(state.status) ? { ...state, isParentNotified: true } : state)
  },
  cancelChildren: async (state, _, context) => {
    if (!state || !isOver(state.status)) return noReply(state)
    for (const { number, child, outcome, isAbandoned } of [...recordIn(state, context.rows)]) {
      if (child === undefined || outcome || isAbandoned) continue
      const parent = parentOf(workflow.name, context.id, state, number)
      const request = { reason: parentEnded(parent), force: false, parent }
      await call(runOf(context, child), 'cancel', request).catch(unlessNone)
    }
    return noReply(state)
  },
})

/** A child that has not begun does not begin: its parent has ended. A run of others is left alone. */
const unlessNone = (error: unknown): void => {
  if (!isKeelsonError(error, 'CONFLICT')) throw error
}

/** Records the end of a child, once. A blocked child has not ended. */
const endOfChild = (
  state: RunState,
  { end, ...place }: ChildEnd,
  context: RunContext,
  activations: RunActivations,
): State => {
  const { birth, lap, number } = place
  const row = context.rows.get<Operation>(operationKey(lap, number))
  if (state.birth !== birth || state.lap !== lap || !row || row.outcome) return state
  if (end.status === 'blocked') {
    const isAtRest = state.status === 'waiting' || state.status === 'blocked'
    return isAtRest
      ? state
      : activations.goOn(state, context, (activation) => activation.childBlocked(number, end.error))
  }
  const outcome: Outcome =
    end.status === 'completed'
      ? outcomeOf(end.output, 'the output')
      : { kind: 'error', error: end.error, ended: end.status }
  const asked = { kind: row.kind, key: row.key, recorded: { ...row, number } }
  const [recorded, next] = recording(state, context, asked, { outcome })
  if (!recorded || next.status === 'blocked' || next.isHeld) return next
  const { outcomes } = state
  return activations.goOn(next, context, (activation) => activation.recorded(recorded), outcomes)
}
