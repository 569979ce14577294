/**
 * The control of a run: a cancel, by its activation or by force without it; its deadline, which cancels it
 * too; and `retry`, `undo` and `settle`, by which an operator lets it go on. These messages are apart
 * from the others of the entity, because they alone take back what a run has decided.
 */

import { reopenStreams } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { noReply, reply } from '../../runtime/index.ts'
import { emitFlow } from '../runs/events.ts'
import type { RunContext, RunEnd } from '../runs/messages.ts'
import { unknownStep } from '../runs/operations.ts'
import { isOver, operationKey, type RunState } from '../runs/record.ts'
import {
  ended,
  endWaiting,
  noneToBegin,
  notNow,
  recordIn,
  reopening,
  reopeningFrom,
  settled,
  withStatus,
} from '../runs/turns.ts'
import type { RunActivations, RunAlarms, RunCalls } from './activations.ts'
import { orRefused, refuse } from './refusals.ts'
import { isParent, takenBy, withParent } from './run-start.ts'

/** `cancel`. */
export const cancelCalls = (activations: RunActivations): RunCalls<'cancel'> => ({
  cancel: (found, { reason, force, parent }, context) => {
    const { id } = context
    if (!found) return refuse(found, context, notNow('be cancelled', id, undefined))
    if (!isParent(found, parent)) {
      const how = 'is no child of the run that cancels it'
      return refuse(found, context, takenBy(id, activations.workflow.name, how))
    }
    const state = parent ? withParent(found, parent) : found
    const { status } = state
    if (isOver(status)) {
      // A parent that was tried again does not know the end that its last try was given.
      if (state.parent) context.addContinue('notifyParent')
      return reply({ accepted: false, status }, state)
    }
    activations.presentOf(context).isCancelled = true
    if (force) return reply({ accepted: true, status }, forced(activations, state, reason, context))
    if (status === 'undoing') return reply({ accepted: false, status }, state)
    const cancel = state.cancel ?? { reason, isPlaced: false }
    const next = cancel === state.cancel && status !== 'blocked' ? state : { ...state, cancel }
    return reply(
      { accepted: true, status },
      next === state ? state : activations.changed(next, context),
    )
  },
})

/** A run whose deadline has passed is cancelled. */
export const cancelAtDeadline = (activations: RunActivations): RunAlarms<'deadline'> => ({
  deadline: (state, _, context) => {
    if (!state || isOver(state.status) || state.cancel) return noReply(state)
    if (state.status === 'undoing') return noReply(state)
    const cancel = { reason: 'its deadline has passed', isPlaced: false }
    return noReply(activations.changed({ ...state, cancel }, context))
  },
})

/** Ends a run by force: its body gets nothing more, and nothing is undone. */
const forced = (
  activations: RunActivations,
  state: RunState,
  message: string,
  context: RunContext,
): RunState => {
  const error = { name: 'KeelsonError', code: 'CANCELLED', message }
  const end: RunEnd = { status: 'cancelled', error }
  activations.notify(context, (activation) => activation.stop())
  endWaiting(activations.presentOf(context), end)
  activations.presentOf(context).failing.end()
  context.cancelAlarm('timer')
  context.cancelAlarm('deadline')
  if (state.parent) context.addContinue('notifyParent')
  context.addContinue('cancelChildren')
  const { id } = context
  const { startedAt } = state
  context.background(async (background) =>
    emitFlow({ type: activations.workflow.name, id, background }, 'flow.ended', { end, startedAt }),
  )
  return ended(state, context, end)
}

/** `retry`, `undo` and `settle`. */
export const repairCalls = (
  activations: RunActivations,
): RunCalls<'retry' | 'undo' | 'settle'> => ({
  retry: (state, { from }, context) =>
    orRefused(state, context, async () => {
      if (!state || !mayRetry(state, from)) {
        const what = from === undefined ? 'be retried' : `be retried from ${from}`
        return refuse(state, context, notNow(what, context.id, state?.status))
      }
      const next = retried(state, from, context, activations.workflow.name)
      if (!next) return refuse(state, context, noneToBegin(context.id, `${from}`))
      return reply(undefined, activations.resumed({ ...next, attempt: 1 }, context))
    }),
  undo: (state, _, context) => {
    if (state?.status !== 'cancelled')
      return refuse(state, context, notNow('be undone', context.id, state?.status))
    // Its body has never begun.
    if (state.isHeld && !state.hasBegun) return reply(undefined, state)
    // As any other cancel it gets its place, and then its undos run. Undos that are done are recorded.
    const reason = state.error?.message ?? ''
    const { cancel = { reason, isPlaced: false } } = state
    reopenStreams(context)
    const next = activations.resumed({ ...state, cancel }, context)
    const isPlaced = cancel.isPlaced && next.status === 'running'
    return reply(undefined, isPlaced ? withStatus(next, 'cancelling', context) : next)
  },
  settle: (state, { key, outcome }, context) =>
    orRefused(state, context, async () => {
      const { id } = context
      if (state?.status !== 'blocked')
        return refuse(state, context, notNow(`settle ${key}`, id, state?.status))
      const next = await settled(state, { key, outcome }, context)
      if (!next) return refuse(state, context, noneToSettle(id, key))
      return reply(undefined, activations.resumed(next, context))
    }),
})

const mayRetry = ({ status, cancel }: RunState, from: string | undefined): boolean => {
  const isBlocked = status === 'blocked'
  if (from === undefined) return isBlocked || (isOver(status) && status !== 'completed')
  // After an acknowledged cancel each step that has begun must be there to be undone.
  return isOver(status) || (isBlocked && !cancel)
}

/** The state of a run that was retried; `undefined`: it has no operation with this key. */
const retried = (
  state: RunState,
  from: string | undefined,
  context: RunContext,
  type: string,
): RunState | undefined => {
  if (from !== undefined) return reopeningFrom(state, context, from)
  if (state.status === 'blocked') return unblocked(state, context)
  return reopening(state, context, { type, id: context.id })
}

const noneToSettle = (id: string, key: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the run ${id} needs no decision about "${key}"`, {
    details: { id, key },
  })

/** Of steps of `once` only the one for which the run is blocked runs again. */
const unblocked = (state: RunState, { rows }: RunContext): RunState => {
  const reason = state.error?.message
  for (const { number, hasBegun, ...row } of [...recordIn(state, rows)])
    if (hasBegun && !row.outcome && reason === unknownStep(row.key).message)
      rows.put(operationKey(state.lap, number), row)
  return state
}
