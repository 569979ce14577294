/**
 * The calls of the callers of a run: signals and updates, each a row until it is read, and its result.
 * They are apart from the calls of its control and of its relatives, because these only change rows
 * that its body reads later.
 */
import { onceSettled } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { type CallContext, noReply, reply } from '../../runtime/index.ts'
import type {
  Present,
  RunContext,
  RunEnd,
  RunMessages,
  SignalRequest,
  State,
  UpdateAnswer,
} from '../runs/messages.ts'
import {
  isOver,
  padded,
  type RunState,
  signalIdKey,
  signalKey,
  type UpdateRow,
  updateKey,
  updateName,
  updatesPrefix,
} from '../runs/record.ts'
import { endOf, notAnswered, notNow, valueIn, wholeEnd, wholeOf } from '../runs/turns.ts'
import { hashOf, signalRow, signalTooLarge, updateRow } from '../runs/values.ts'
import type { RunActivations, RunCalls } from './activations.ts'
import { orRefused, refuse } from './refusals.ts'

/** Keeps a caller of an update until it has its answer, or its time is up. */
const keepFor = (
  update: string,
  isReached: boolean,
  { updates }: Present,
  from: CallContext<RunMessages, unknown, UpdateAnswer>['from'],
): void => {
  // A turn that is made again, as one before it was refused, may give its update another number.
  let isKnown = false
  for (const { all } of updates.values()) isKnown = all.delete(from) || isKnown
  const waiters = updates.get(update) ?? { all: new Set(), isReached }
  updates.set(update, waiters)
  waiters.all.add(from)
  if (isKnown) return
  onceSettled(from, () => {
    for (const [each, { all }] of updates)
      if (all.delete(from) && all.size === 0) updates.delete(each)
  })
}

/** `result`. */
export const resultCalls = (activations: RunActivations): RunCalls<'result'> => ({
  result: (state, _, context) => {
    if (!state) return refuse(state, context, notNow('be waited for', context.id, undefined))
    if (isOver(state.status) || state.status === 'blocked')
      return orRefused(state, context, async () =>
        reply(await wholeEnd(endOf(state, context) as RunEnd), state),
      )
    const { waiting } = activations.presentOf(context)
    const { from } = context
    if (!waiting.has(from)) onceSettled(from, () => void waiting.delete(from))
    waiting.add(from)
    return noReply(state)
  },
})

/** `signal`. */
export const signalCalls = (activations: RunActivations): RunCalls<'signal'> => ({
  signal: (state, request, context) => {
    const { id } = request
    // A caller that lost the answer asks again, perhaps after the end.
    if (id !== undefined && context.rows.get(signalIdKey(id)) !== undefined)
      return reply({ repeated: true }, state)
    const refused = signalRefused(state, request, context)
    if (refused || !state) return refuse(state, context, refused as KeelsonError)
    const next = signalled(state, request, context)
    const isRead = next.status !== 'blocked' && !next.isHeld
    return reply({ repeated: false }, isRead ? activations.changed(next, context) : next)
  },
})

/** `update`: its caller is answered when the body has answered. */
export const updateCalls = (activations: RunActivations): RunCalls<'update'> => ({
  update: (state, request, context) =>
    orRefused(state, context, async () => {
      const { id } = request
      const known = id === undefined ? undefined : await knownUpdate(id, context)
      const { name, value } = request
      const hash =
        id === undefined
          ? undefined
          : (request.hash ?? hashOf({ name, value }, `the update ${name}`))
      if (known?.hash !== undefined && known.hash !== hash)
        return refuse(state, context, otherUpdate(context.id, `${id}`))
      if (known?.outcome) return reply(known.outcome, state)
      const refused = updateRefused(state, request, known, context)
      if (refused || !state) return refuse(state, context, refused as KeelsonError)
      const { status } = state
      if (isOver(status) || status === 'blocked') {
        const end = await wholeEnd(endOf(state, context) as RunEnd)
        return reply({ kind: 'ended', end }, state)
      }
      const number = state.signals + 1
      const update = updateName(id, number)
      const isReached = known?.lap !== undefined
      keepFor(update, isReached, activations.presentOf(context), context.from)
      if (known) return noReply(state)
      context.rows.put(`${updatesPrefix(name)}${padded(number)}`, updateRow(update, value))
      if (hash !== undefined) context.rows.put(updateKey(update), { hash } satisfies UpdateRow)
      const next = { ...state, signals: number, unread: state.unread + 1 }
      return noReply(next.isHeld ? next : activations.changed(next, context))
    }),
})

/** The row of an update with this id, if there is one. @throws KeelsonError `CORRUPT` */
const knownUpdate = async (id: string, { rows }: RunContext): Promise<UpdateRow | undefined> => {
  const what = `the answer of the update ${id}`
  return (await wholeOf(what, valueIn(rows, updateKey(updateName(id, 0)), what))) as UpdateRow
}

/** Why an update without an answer is refused. One that is known gets no other answer. */
const updateRefused = (
  state: State,
  request: SignalRequest,
  known: UpdateRow | undefined,
  { id }: RunContext,
): KeelsonError | undefined => {
  if (!state || (isOver(state.status) && !known)) return notNow('be updated', id, state?.status)
  if (known?.lap !== undefined && known.lap < state.lap) return notAnswered(id)
  return known || state.status === 'blocked' ? undefined : unreadRefused(state, request, id)
}

/** Why an id is refused under which the run has an update of another name or value. */
const otherUpdate = (id: string, update: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the run ${id} has another update with the id ${update}`, {
    details: { id, update },
  })

const unreadMax = 1_000

const signalRefused = (
  state: State,
  request: SignalRequest,
  { id }: RunContext,
): KeelsonError | undefined => {
  if (!state || isOver(state.status)) return notNow('take a signal', id, state?.status)
  return unreadRefused(state, request, id)
}

/** Why a run has no room for another unread signal or update. */
const unreadRefused = (
  { unread }: RunState,
  { value }: SignalRequest,
  id: string,
): KeelsonError | undefined => {
  if (unread >= unreadMax)
    return new KeelsonError('BUSY', `the run ${id} has ${unreadMax} unread signals and updates`)
  return signalTooLarge(value)
}

/** The state with one more unread signal. */
const signalled = (
  state: RunState,
  { name, value, id }: SignalRequest,
  { rows }: RunContext,
): RunState => {
  if (id !== undefined) rows.put(signalIdKey(id), true)
  const signals = state.signals + 1
  rows.put(signalKey(name, signals), signalRow(value))
  return { ...state, signals, unread: state.unread + 1 }
}
