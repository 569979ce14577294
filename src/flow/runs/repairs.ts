/**
 * The repairs of a run that does not go on. Outcomes are taken back, so that their operations run
 * again: for a retry that of the operation which ended the run, or all from one on; a fork begins
 * with those before it. And an operator decides one (`settle`). Pure, but for the rows of the turn.
 */
import { shardTime } from '../../actors/index.ts'
import { invalidArgument, isKeelsonError } from '../../errors.ts'
import type { RunContext } from './messages.ts'
import {
  cancelKey,
  type Operation,
  type Outcome,
  operationKey,
  operationsPrefix,
  type Parent,
  parentEnded,
  type Recorded,
  type RunState,
  signalsPrefix,
  type UnreadUpdate,
  type UpdateRow,
  undoKey,
  updateKey,
  updateName,
  updatesPrefix,
  valueKey,
} from './record.ts'
import {
  inputText,
  outcomeText,
  recordIn,
  recording,
  rowsIn,
  type TurnContext,
  valueApart,
  valueIn,
  wholeOf,
} from './turns.ts'
import { signalBytesMax, signalLength, signalRow, updateRow } from './values.ts'

/**
 * Lets the operation whose failure ended the run begin once more, at its place; with `undone` the
 * steps that were undone too, under new keys. Children that the end of the `run` has cancelled go on.
 * All other outcomes are kept, and so are start marks: whether such a step has run is for an operator
 * to find out.
 */
export const reopening = (
  state: RunState,
  context: TurnContext,
  run: Pick<Parent, 'type' | 'id'>,
): RunState => {
  const record = [...recordIn(state, context.rows)]
  const undone = undoneIn(record)
  const failed = failedIn(
    state,
    record.filter((each) => !isCancelledWith(run, each)),
  )
  for (const { number, ...row } of record) {
    const key = operationKey(state.lap, number)
    if (row.key === cancelKey || isUndo(row)) context.rows.delete(key)
    else if (number === failed || undone.has(row.key)) context.rows.put(key, fresh(row))
    else if (isCancelledWith(run, row)) {
      const { outcome: _, place: __, ...child } = row
      context.rows.put(key, child)
    }
  }
  const { error: _, failedBy: __, cancel: ___, ...others } = state
  return { ...others, round: state.round + (undone.size > 0 ? 1 : 0) }
}

/** Whether it is a child that was cancelled with this run, whose body has ended before. */
const isCancelledWith = (run: Pick<Parent, 'type' | 'id'>, { kind, outcome }: Operation): boolean =>
  kind === 'child' && outcome?.kind === 'error' && outcome.error.message === parentEnded(run)

/** The number of the operation that ended the run: the one that it names, or its last failure. */
const failedIn = (
  { status, cancel, failedBy }: RunState,
  record: readonly Recorded[],
): number | undefined => {
  // No operation has ended it: a timer goes on where it was.
  if (cancel) return undefined
  if (failedBy !== undefined) return failedBy
  // Nor has one if it was ended by force, unless its body had failed and was being undone.
  if (status === 'cancelled' && !record.some(isUndo)) return undefined
  const decided = record.filter(
    ({ kind, place, key }) =>
      place !== undefined && key !== cancelKey && kind !== 'answer' && !isUndo({ key }),
  )
  const last = decided.sort((left, right) => (right.place ?? 0) - (left.place ?? 0))[0]
  return last && (last.outcome?.kind === 'error' || isTimeOut(last)) ? last.number : undefined
}

/** Whether it is a wait that ran out. A signal may have no value either, but comes in time. */
const isTimeOut = ({ kind, outcome, at, dueAt = Number.POSITIVE_INFINITY }: Operation): boolean =>
  kind === 'wait' && outcome?.kind === 'ok' && !('value' in outcome) && at >= dueAt

/**
 * Forgets the operation of this key and the ones decided after it, in a new round of keys.
 * `undefined`: the run has no such operation.
 */
export const reopeningFrom = (
  state: RunState,
  { rows }: TurnContext,
  from: string,
): RunState | undefined => {
  const record = [...recordIn(state, rows)]
  const kept = before(state, record, from)
  if (!kept) return undefined
  const left = new Map(kept.record.map((each) => [each.number, each]))
  for (const each of record) {
    const { number, outcome } = each
    const next = left.get(number)
    if (next === each) continue
    if (!next && each.update !== undefined) forgetUpdate(each.update, rows)
    if (outcome?.kind === 'ok' && outcome.isApart) rows.delete(valueKey(state.lap, number))
    const key = operationKey(state.lap, number)
    if (!next) rows.delete(key)
    else {
      const { number: _, ...row } = next
      rows.put(key, row)
    }
  }
  rows.delete('output')
  const { error: _, failedBy: __, cancel: ___, ...others } = state
  return { ...others, round: state.round + 1, outcomes: kept.outcomes }
}

/** An update that has no answer may be sent again under its id. */
const forgetUpdate = (update: string, rows: TurnContext['rows']): void => {
  const key = updateKey(update)
  if (!rows.get<UpdateRow>(key)?.outcome) rows.delete(key)
}

/** The beginning of a record. `outcomes`: its last place. */
export type Beginning = { readonly record: readonly Recorded[]; readonly outcomes: number }

/**
 * The record before the operation of this key: the operations with a place before its place. Operations that were
 * in flight then are not in it. Steps that were undone since have no outcome there, as they have
 * none in a retry. `undefined`: there is no such operation.
 */
export const before = (
  state: RunState,
  record: readonly Recorded[],
  from: string,
): Beginning | undefined => {
  const first = record.find(
    ({ key, kind }) => key === from && kind !== 'patch' && key !== cancelKey,
  )
  if (!first || isUndo(first)) return undefined
  const place = first.place ?? state.outcomes + 1
  const undone = undoneIn(record)
  const isBefore = (each: Recorded): boolean =>
    each.kind === 'patch'
      ? (each.after ?? 0) < place
      : each.place !== undefined && each.place < place && each.key !== cancelKey && !isUndo(each)
  const left = record.filter(isBefore).map((each) => {
    const isDecided = each.kind === 'patch' || (each.outcome && !undone.has(each.key))
    return isDecided ? each : { ...fresh(each), number: each.number }
  })
  return { record: left, outcomes: place - 1 }
}

/** The keys of the steps that an undo has begun for. */
const undoneIn = (record: readonly Recorded[]): ReadonlySet<string> =>
  new Set(record.filter(isUndo).map(({ key }) => key.slice(undoKey('').length)))

const isUndo = ({ key }: Pick<Operation, 'key'>): boolean => key.startsWith(undoKey(''))

/** The row without what its tries have made of it. */
const fresh = ({ kind, key, place, at }: Operation): Operation =>
  place === undefined ? { kind, key, at } : { kind, key, at, place }

/** The key under which the input of a run is settled. */
export const inputKey = '$input'

/** How the key of an unread signal, or update, begins under which it is settled. */
const signalText = '$signal/'
const updateText = '$update/'

/** The decision of an operator for a blocked run: an outcome, its input, or a value that is unread. */
type Decision = { readonly key: string; readonly outcome: Outcome }

/** The state with the decision; `undefined` if the run does not lack this. */
export const settled = (
  state: RunState,
  decision: Decision,
  context: RunContext,
): Promise<RunState | undefined> =>
  decision.key === inputKey
    ? settledInput(state, decision, context)
    : decision.key.startsWith(signalText) || decision.key.startsWith(updateText)
      ? settledUnread(state, decision, context)
      : settledOutcome(state, decision, context)

const settledInput = async (
  state: RunState,
  { outcome }: Decision,
  { rows }: RunContext,
): Promise<RunState | undefined> => {
  const value = givenIn(outcome, inputText)
  if (await isReadable(inputText, () => valueIn(rows, 'input', inputText))) return undefined
  if (value === undefined) rows.delete('input')
  else rows.put('input', value)
  return state
}

/** The first unread signal, or update, of this name that cannot be read. */
const settledUnread = async (
  state: RunState,
  { key, outcome }: Decision,
  { rows }: RunContext,
): Promise<RunState | undefined> => {
  const isUpdate = key.startsWith(updateText)
  const name = key.slice(signalText.length)
  const what = `the ${isUpdate ? 'update' : 'signal'} ${name}`
  const value = givenIn(outcome, what)
  const length = signalLength(value)
  if (length > signalBytesMax)
    throw invalidArgument(
      'value',
      `at most ${signalBytesMax} bytes for a signal or an update`,
      `${length} bytes`,
    )
  const prefix = isUpdate ? updatesPrefix(name) : signalsPrefix(name)
  for (const [row] of rowsIn(rows, prefix, false)) {
    if (await isReadable(what, () => valueIn(rows, row, what))) continue
    const number = Number(row.slice(prefix.length))
    rows.put(row, isUpdate ? updateRow(nameOfLost(rows, number), value) : signalRow(value))
    return state
  }
  return undefined
}

/**
 * The name of the update of this number, whose row had its id: that of the one known update that is
 * in no row, if this row alone cannot be read. Otherwise it has no id, and an update that is in no
 * row may be sent again under its own.
 */
const nameOfLost = (rows: RunContext['rows'], number: number): string => {
  const lost = new Set<string>()
  for (const [key] of rowsIn(rows, updateKey(updateName('', 0)), false)) {
    const row = readOr<UpdateRow>(rows, key)
    if (row && row.lap === undefined && !row.outcome) lost.add(key.slice(updateKey('').length))
  }
  let unreadable = 0
  for (const [key] of rowsIn(rows, updatesPrefix(), false)) {
    const row = readOr<UnreadUpdate>(rows, key)
    if (row) lost.delete(row.update)
    else unreadable++
  }
  const [only] = lost
  if (only !== undefined && lost.size === 1 && unreadable === 1) return only
  for (const update of lost) rows.delete(updateKey(update))
  return updateName(undefined, number)
}

const givenIn = (outcome: Outcome, what: string): unknown => {
  if (outcome.kind === 'ok') return outcome.value
  throw invalidArgument('decision', `a value for ${what}`, 'an error')
}

const settledOutcome = async (
  state: RunState,
  { key, outcome }: Decision,
  context: RunContext,
): Promise<RunState | undefined> => {
  const { rows } = context
  const found = foundIn(state, rows, key, shardTime(context).wall())
  if (!found || (await hasOutcome(found, state, rows))) return undefined
  const { outcome: _, ...recorded } = found
  const { number, ...row } = recorded
  rows.put(operationKey(state.lap, number), row)
  return recording(state, context, { ...recorded, recorded }, { outcome })[1]
}

/**
 * The operation of this key. If no row has it, it is the first one whose row cannot be read, at the
 * first place that no other one has. `undefined`: all can be read.
 */
const foundIn = (
  state: RunState,
  rows: RunContext['rows'],
  key: string,
  at: number,
): Recorded | undefined => {
  const prefix = operationsPrefix(state.lap)
  const places = new Set<number | undefined>()
  let lost: number | undefined
  for (const [rowKey] of rowsIn(rows, prefix, false)) {
    const number = Number(rowKey.slice(prefix.length))
    const row = readOr<Operation>(rows, rowKey)
    if (row?.key === key) return { ...row, number }
    if (row) places.add(row.place)
    else lost ??= number
  }
  if (lost === undefined) return undefined
  const kept = Array.from({ length: state.outcomes }, (_, at) => at + 1)
  const place = kept.find((each) => !places.has(each))
  return { kind: 'settled', key, number: lost, at, ...(place !== undefined && { place }) }
}

/** A row; `undefined`: it cannot be read. */
const readOr = <T>(rows: RunContext['rows'], key: string): T | undefined => {
  try {
    return rows.get<T>(key)
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return undefined
    throw error
  }
}

const hasOutcome = async (
  found: Recorded,
  state: RunState,
  rows: RunContext['rows'],
): Promise<boolean> =>
  found.outcome !== undefined &&
  isReadable(outcomeText(found.key), () => valueApart(found, state, rows))

const isReadable = async (what: string, read: () => unknown): Promise<boolean> => {
  try {
    await wholeOf(what, read())
    return true
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return false
    throw error
  }
}
