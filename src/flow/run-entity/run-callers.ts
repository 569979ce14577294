/** The calls of the callers of a run: signals to it, each a row until it is read, and its result. */
import { KeelsonError } from '../../errors.ts'
import { noReply, reply } from '../../runtime/index.ts'
import type { RunContext, RunEnd, SignalRequest, State } from '../runs/messages.ts'
import { isOver, type RunState, signalIdKey, signalKey } from '../runs/record.ts'
import { endOf, notNow, wholeEnd } from '../runs/turns.ts'
import { signalBytesMax, signalLength, signalRow } from '../runs/values.ts'
import type { RunActivations, RunCalls } from './activations.ts'
import { orRefused, refuse } from './refusals.ts'

/** `result`. */
export const resultCalls = (activations: RunActivations): RunCalls<'result'> => ({
  result: (state, _, context) => {
    if (!state) return refuse(state, context, notNow('be waited for', context.id, undefined))
    if (isOver(state.status) || state.status === 'blocked')
      return orRefused(state, context, async () =>
        reply(await wholeEnd(endOf(state, context) as RunEnd), state),
      )
    activations.presentOf(context).waiting.add(context.from)
    return noReply(state)
  },
})

/** `signal`. */
export const signalCalls = (activations: RunActivations): RunCalls<'signal'> => ({
  signal: (state, request, context) => {
    const refused = signalRefused(state, request, context)
    if (refused || !state) return refuse(state, context, refused as KeelsonError)
    const next = signalled(state, request, context)
    if (next === state) return reply({ repeated: true }, state)
    const isRead = next.status !== 'blocked' && !next.isHeld
    return reply({ repeated: false }, isRead ? activations.changed(next, context) : next)
  },
})

const unreadMax = 1_000

const signalRefused = (
  state: State,
  { value, id }: SignalRequest,
  context: RunContext,
): KeelsonError | undefined => {
  // A caller that lost the answer asks again, perhaps after the end.
  if (id !== undefined && context.rows.get(signalIdKey(id)) !== undefined) return undefined
  if (!state || isOver(state.status)) return notNow('take a signal', context.id, state?.status)
  if (state.unread >= unreadMax)
    return new KeelsonError('BUSY', `the run ${context.id} has ${unreadMax} unread signals`)
  // Of its row: a longer one is not read at once.
  const length = signalLength(value)
  if (length <= signalBytesMax) return undefined
  return new KeelsonError('TOO_LARGE', `a signal has at most ${signalBytesMax} bytes`, {
    details: { length, max: signalBytesMax },
  })
}

/** The state with one more unread signal; the same state if it has this one. */
const signalled = (
  state: RunState,
  { name, value, id }: SignalRequest,
  { rows }: RunContext,
): RunState => {
  if (id !== undefined && rows.get(signalIdKey(id)) !== undefined) return state
  if (id !== undefined) rows.put(signalIdKey(id), true)
  const signals = state.signals + 1
  rows.put(signalKey(name, signals), signalRow(value))
  return { ...state, signals, unread: state.unread + 1 }
}
