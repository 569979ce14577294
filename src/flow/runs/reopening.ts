/**
 * Outcomes that are taken back, so that their operations run again: for a retry, of the operation
 * that ended the run, or of all from one on; and for a fork, which begins with those before it.
 * Pure, but for the rows of the current turn.
 */
import {
  cancelKey,
  type Operation,
  operationKey,
  type Recorded,
  type RunState,
  undoKey,
  valueKey,
} from './record.ts'
import { recordIn, type TurnContext } from './turns.ts'

/**
 * Lets the operation whose failure ended the run begin once more, at its place; with `undone` the
 * steps that were undone too, under new keys. All other outcomes are kept.
 */
export const reopening = (state: RunState, context: TurnContext): RunState => {
  const record = [...recordIn(state, context.rows)]
  const undone = undoneIn(record)
  const failed = failedIn(state, record)
  for (const { number, ...row } of record) {
    const key = operationKey(state.lap, number)
    if (row.key === cancelKey || isUndo(row)) context.rows.delete(key)
    else if (number === failed || undone.has(row.key) || (row.hasBegun && !row.outcome))
      context.rows.put(key, fresh(row))
  }
  const { error: _, failedBy: __, cancel: ___, ...others } = state
  return { ...others, round: state.round + (undone.size > 0 ? 1 : 0) }
}

/** The number of the operation that ended the run: the one that it names, or its last failure. */
const failedIn = (
  { cancel, failedBy }: RunState,
  record: readonly Recorded[],
): number | undefined => {
  // No operation has ended it: a timer goes on where it was.
  if (cancel) return undefined
  if (failedBy !== undefined) return failedBy
  const decided = record.filter(({ place, key }) => place !== undefined && key !== cancelKey)
  const last = decided.sort((left, right) => (right.place ?? 0) - (left.place ?? 0))[0]
  const isTimeOut =
    last?.kind === 'wait' && last.outcome?.kind === 'ok' && !('value' in last.outcome)
  return last?.outcome?.kind === 'error' || isTimeOut ? last?.number : undefined
}

/**
 * Forgets the operation of this key, and those that were decided after it, in a new round of keys.
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
