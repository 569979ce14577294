/**
 * A run and its relatives: the ends of its children, its own end for its parent. These messages are
 * apart from the others of the entity, because two runs make them: one side is repeated until the
 * other one has answered.
 */
import { isKeelsonError, keptError } from '../../errors.ts'
import { call, noReply, reply } from '../../runtime/index.ts'
import type { ChildEnd, RunContext, RunEnd, State } from '../runs/messages.ts'
import { runOf } from '../runs/operations.ts'
import {
  isOver,
  type Operation,
  type Outcome,
  operationKey,
  type RunState,
} from '../runs/record.ts'
import { endOf, recordIn, recording, wholeEnd } from '../runs/turns.ts'
import { outcomeOf } from '../runs/values.ts'
import type { RunActivations, RunCalls, RunContinues } from './activations.ts'

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
    const reason = `its parent ${workflow.name}/${context.id} has ended`
    for (const { child, outcome, isAbandoned } of [...recordIn(state, context.rows)])
      if (child !== undefined && !outcome && !isAbandoned)
        await call(runOf(context, child), 'cancel', { reason, force: false }).catch(unlessNone)
    return noReply(state)
  },
})

/** A child that has not begun does not begin: its parent has ended. */
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
      : { kind: 'error', error: end.error }
  const asked = { kind: row.kind, key: row.key, recorded: { ...row, number } }
  const [recorded, next] = recording(state, context, asked, { outcome })
  if (!recorded || next.status === 'blocked' || next.isHeld) return next
  return activations.goOn(next, context, (activation) => activation.recorded(recorded))
}
