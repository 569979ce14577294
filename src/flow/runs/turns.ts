/**
 * The turns of a run: from its state, and its rows, to the next state. They may be made again, so
 * they depend on nothing else. Pure, but for the rows of the current turn.
 */
import {
  closeStreams,
  forgetProducers,
  LargeValue,
  reopenStreams,
  shardTime,
} from '../../actors/index.ts'
import {
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  type KeptError,
  keptError,
} from '../../errors.ts'
import { type AttributeChanges, attributesAfter } from '../attributes/attributes.ts'
import type { Present, RunContext, RunEnd } from './messages.ts'
import {
  type Awaited,
  allOperations,
  cancelKey,
  isLive,
  isOver,
  isRemembered,
  lacksCode,
  type Operation,
  type Outcome,
  operationKey,
  operationsPrefix,
  type Parent,
  padded,
  parentEnded,
  type Recorded,
  type RunState,
  type RunStatus,
  signalsPrefix,
  type UnreadUpdate,
  type UpdateRow,
  undoKey,
  updateKey,
  updateName,
  updatesPrefix,
  valueKey,
} from './record.ts'
import type { Asked } from './replay.ts'
import { saidBefore } from './said.ts'
import { outcomeOf, signalBytesMax, signalLength, signalRow, updateRow } from './values.ts'

/** The parts of a context that these turns use. */
export type TurnContext = Pick<RunContext, 'rows'>

/** The rows of a run, for reading. */
export type RunRows = Pick<TurnContext['rows'], 'range'>

/** The result of a turn, and the next state. */
export type Turned<R> = readonly [result: R, state: RunState]

/** The state with another status. */
export const withStatus = (state: RunState, status: RunStatus, context: TurnContext): RunState => ({
  ...state,
  status,
  since: shardTime(context).wall(),
})

/**
 * Records the present row of an operation. The result is `undefined` if there is nothing to record:
 * the run has ended, or the operation has its outcome.
 */
export const recording = (
  state: RunState,
  context: TurnContext,
  { kind, key, recorded }: Pick<Asked, 'kind' | 'key' | 'recorded'>,
  change: Partial<Operation>,
  updates?: Present['updates'],
): Turned<Recorded | undefined> => {
  if (isOver(state.status) || recorded?.outcome) return [undefined, state]
  // After a cancel no step begins, and a mark of one would say that it may have.
  if (change.hasBegun && state.cancel) return [undefined, state]
  // Its row may know more than its activation: a signal and a time-out may be on their way at once.
  const row = recorded && context.rows.get(operationKey(state.lap, recorded.number))
  if ((row as Operation | undefined)?.outcome) return [undefined, state]
  const number = recorded?.number ?? state.operations + 1
  // A cancel may have taken its place.
  const kept = row ? (row as Operation).place : recorded?.place
  const place = kept ?? (change.outcome && state.outcomes + 1)
  const next: Writable<Operation> = recorded ? unplaced(recorded) : { kind, key, at: 0 }
  Object.assign(next, change)
  const before = kind === 'attributes' ? attributing(state, next) : state
  if (kind === 'step' && state.round > 0) next.round = state.round
  if (state.said && change.outcome) next.said = state.said
  next.at = shardTime(context).wall()
  if (place !== undefined) next.place = place
  if (kind === 'answer') answering(state, context, next, updates)
  putOperation(state, context, number, next)
  const operations = Math.max(state.operations, number)
  const outcomes = Math.max(state.outcomes, place ?? 0)
  return [Object.assign({ number }, next), Object.assign({}, before, { operations, outcomes })]
}

/** The state with the attributes that the operation changes. One with too many becomes its error. */
const attributing = (state: RunState, operation: Writable<Operation>): RunState => {
  const { outcome } = operation
  if (outcome?.kind !== 'ok') return state
  const { attributes: before, ...others } = state
  try {
    const attributes = attributesAfter(before, outcome.value as AttributeChanges)
    return attributes ? Object.assign({}, others, { attributes }) : others
  } catch (error) {
    operation.outcome = { kind: 'error', error: keptError(error) }
    return state
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

const unplaced = ({ number: _, place: __, ...row }: Recorded): Operation => row

/** The answer of an update: its callers get it, also when they ask again with its id. */
const answering = (
  { lap }: RunState,
  { rows }: TurnContext,
  { update = '', outcome }: Operation,
  updates: Present['updates'] | undefined,
): void => {
  if (!outcome) return
  if (isRemembered(update)) remembering(rows, update, { lap, outcome })
  for (const from of updates?.get(update)?.all ?? []) from.reply(outcome)
}

/** Adds to what the row of an update with an id has. */
const remembering = (rows: TurnContext['rows'], update: string, change: UpdateRow): void => {
  const key = updateKey(update)
  rows.put(key, { ...(rows.get(key) as UpdateRow | undefined), ...change })
}

/** Writes the row of an operation. A long value has another row. */
export const putOperation = (
  { lap }: Pick<RunState, 'lap'>,
  { rows }: Pick<TurnContext, 'rows'>,
  number: number,
  row: Operation,
): void => {
  const { outcome } = row
  const isApart = outcome?.kind === 'ok' && outcome.isApart === true
  if (isApart) rows.put(valueKey(lap, number), outcome.value)
  const short: Operation = isApart ? { ...row, outcome: { kind: 'ok', isApart } } : row
  rows.put(operationKey(lap, number), short)
}

/** An operation. `signal`: it waits for a signal, or an update, of this name. */
type MayWait = Asked & { readonly parts: { readonly signal?: string } }

/**
 * Hands unread signals and updates to the operations that wait for them, each to one, in the order in
 * which they came. Later ones than an update wait until the body has it.
 */
export const delivering = (
  state: RunState,
  context: TurnContext,
  inFlight: Iterable<MayWait>,
  updates: Present['updates'],
): Turned<readonly Recorded[]> => {
  const delivered: Recorded[] = []
  let next = state
  for (const { asked, key } of state.unread === 0 ? [] : unreadFor(state, context, inFlight)) {
    const row = context.rows.get<readonly [unknown?] | UnreadUpdate>(key)
    const { value, update } = row && 'update' in row ? row : { value: row?.[0], update: undefined }
    const known = update === undefined ? {} : { update }
    const change = { outcome: outcomeOf(value, waitedFor(asked)), ...known }
    const [recorded, after] = recording(next, context, asked, change)
    if (!recorded) continue
    context.rows.delete(key)
    delivered.push(recorded)
    next = { ...after, unread: after.unread - 1 }
    if (update === undefined) continue
    const waiters = updates.get(update)
    if (waiters) waiters.isReached = true
    if (isRemembered(update)) remembering(context.rows, update, { lap: state.lap })
    break
  }
  return [delivered, next]
}

/**
 * The operations that wait, each with the unread row that it gets, in the order of the rows. There
 * are none while an update is on its way to the body, which then waits for the next one.
 */
const unreadFor = (
  { lap }: RunState,
  { rows }: TurnContext,
  inFlight: Iterable<MayWait>,
): readonly { readonly asked: MayWait; readonly key: string; readonly number: number }[] => {
  const waiting = new Map<string, MayWait[]>()
  for (const asked of inFlight) {
    const { signal } = asked.parts
    if (signal === undefined) continue
    const { number } = asked.recorded ?? {}
    const row = number === undefined ? undefined : rows.get<Operation>(operationKey(lap, number))
    const hasOutcome = (row ?? asked.recorded)?.outcome !== undefined
    if (hasOutcome && asked.kind === 'update') return []
    if (hasOutcome) continue
    const prefix = asked.kind === 'update' ? updatesPrefix(signal) : signalsPrefix(signal)
    waiting.set(prefix, [...(waiting.get(prefix) ?? []), asked])
  }
  const found = [...waiting].flatMap(([prefix, [...all]]) => {
    const what = waitedFor(all[0] as MayWait)
    const { entries } = readable(what, () => rows.range({ prefix, limit: all.length }))
    return entries.map(([key], at) => {
      return { asked: all[at] as MayWait, key, number: Number(key.slice(prefix.length)) }
    })
  })
  return found.sort((one, other) => one.number - other.number)
}

/** How an error names the signal, or the update, of an operation. */
const waitedFor = ({ kind, parts }: MayWait): string =>
  `the ${kind === 'update' ? 'update' : 'signal'} ${parts.signal}`

/** The callers that wait for the end of a run, or for the answer of an update, get this end. */
export const endWaiting = ({ waiting, updates }: Present, end: RunEnd): void => {
  for (const from of waiting) from.reply(end)
  for (const waiters of updates.values())
    for (const from of waiters.all) from.reply({ kind: 'ended', end })
}

/** The body has begun again: updates that it has, and has not answered, get no answer. */
export const forgoing = ({ updates }: Present, id: string): void => {
  for (const waiters of updates.values())
    if (waiters.isReached) for (const from of waiters.all) from.fail(notAnswered(id))
}

/** Why a run will not answer an update. */
export const notAnswered = (id: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the body of the run ${id} began again before it answered`, {
    details: { id },
  })

/** How far the body is when a cancel gets its place. */
export type Reached = {
  /** The keys that it has asked for. */
  readonly asked: ReadonlyMap<string, unknown>
  /** The place of a reopened operation, within the record: the cancel takes it. */
  readonly reopened: number | undefined
}

/** Gives a cancel that was asked for its place among the outcomes. */
export const placing = (
  state: RunState,
  context: TurnContext,
  { asked, reopened: place }: Reached,
): Turned<Recorded | undefined> => {
  const { cancel } = state
  if (!cancel || cancel.isPlaced || !isLive(state.status)) return [undefined, state]
  const marker = { kind: 'cancel', key: cancelKey } as const
  const isTaken = place !== undefined && !givesWay(state, context, place, asked)
  if (isTaken) return [undefined, state]
  const number = state.operations + 1
  const recorded = place === undefined ? undefined : { ...marker, number, place, at: 0 }
  const change = { outcome: { kind: 'ok' }, asked: asked.size } as const
  const [row, next] = recording(state, context, { ...marker, recorded }, change)
  const placed = { ...next, cancel: { ...cancel, isPlaced: true } }
  return [row, withStatus(placed, 'cancelling', context)]
}

/**
 * Ends the record at this place: operations that the body has not asked for again are forgotten, and
 * those without an outcome have no place. False: the operation of this place has its outcome.
 */
const givesWay = (
  state: RunState,
  { rows }: TurnContext,
  from: number,
  asked: Reached['asked'],
): boolean => {
  const record = [...recordIn(state, rows)]
  if (record.some(({ place, outcome }) => place === from && outcome)) return false
  for (const { number, ...row } of record) {
    const key = operationKey(state.lap, number)
    const { place, ...others } = row
    if (!asked.has(row.key)) rows.delete(key)
    else if (place !== undefined && !row.outcome) rows.put(key, others)
  }
  return true
}

/** The turn after which a run does not go on until an operator lets it. False: it has ended before. */
export const blocking = (
  state: RunState,
  context: RunContext,
  present: Present,
  error: KeptError,
): Turned<boolean> => {
  if (isOver(state.status)) return [false, state]
  present.failing.end()
  const end = { status: 'blocked', error } as const
  endWaiting(present, end)
  // A run that lacks a part of the program goes on by itself: its parent waits.
  if (state.parent && error.code !== lacksCode) context.addContinue('notifyParent')
  return [true, ended(state, context, end)]
}

/** Until when, for which event, and with which operations in flight a run rests. */
type Rest = {
  readonly at: number
  readonly waitsFor: Awaited | undefined
  readonly open: readonly Pick<Asked, 'recorded'>[]
}

/**
 * Lets a run rest until its next timer. False: something has happened that its activation does
 * not know.
 */
export const resting = (
  state: RunState,
  context: RunContext,
  seen: Pick<RunState, 'outcomes' | 'signals'> & Rest,
): Turned<boolean> => {
  const { at, waitsFor } = seen
  const isPresent = state.outcomes === seen.outcomes && state.signals === seen.signals
  if (!isPresent || state.status !== 'running' || state.cancel) return [false, state]
  // A reopened operation keeps its place: its outcome adds none.
  const isDecided = seen.open.some(({ recorded }) => {
    if (recorded?.place === undefined) return false
    return context.rows.get<Operation>(operationKey(state.lap, recorded.number))?.outcome
  })
  if (isDecided) return [false, state]
  if (Number.isFinite(at))
    context.setAlarm('timer', { inMs: Math.max(0, at - shardTime(context).now()) })
  const { waitsFor: _, ...others } = state
  const rested = waitsFor ? { ...others, waitsFor } : others
  return [true, withStatus(rested, 'waiting', context)]
}

/** The state of a run that has ended so, or does not go on. */
export const ended = (state: RunState, context: TurnContext, end: RunEnd): RunState => {
  if (end.status !== 'blocked') closeStreams(context)
  if (end.status !== 'completed')
    return { ...withStatus(state, end.status, context), error: end.error }
  const { error: _, ...others } = state
  if (end.output !== undefined) context.rows.put('output', end.output)
  return withStatus(others, 'completed', context)
}

/** How an error names the output. */
export const outputText = 'the output of the run'

/** The end with the whole of its output. @throws KeelsonError `CORRUPT` */
export const wholeEnd = async (end: RunEnd): Promise<RunEnd> =>
  end.status === 'completed' ? { ...end, output: await wholeOf(outputText, end.output) } : end

/**
 * How a run has ended, or why it does not go on; `undefined`: it goes on. A large output is a
 * `LargeValue`.
 */
export const endOf = (
  state: RunState,
  { rows }: { readonly rows: RunRows },
): RunEnd | undefined => {
  const { status } = state
  if (status === 'completed') return { status, output: valueIn(rows, 'output', outputText) }
  if (status === 'failed' || status === 'cancelled' || status === 'blocked')
    return { status, error: state.error ?? keptError('no reason was kept') }
  return undefined
}

/**
 * The value of a row, or a `LargeValue`. `what` names it in the error.
 * @throws KeelsonError `CORRUPT` if it is missing though it must be there, or damaged
 */
export const valueIn = (rows: RunRows, key: string, what: string): unknown =>
  readable(what, () => rows.range({ gte: key, lte: key, limit: 1 }).entries[0]?.[1])

/** The result of `read`, whose error says that it was `what` that cannot be read. */
export const readable = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    throw unreadable(what, error)
  }
}

/** A value, or the whole of a `LargeValue`. @throws KeelsonError `CORRUPT`, with `what` */
export const wholeOf = async (what: string, value: unknown): Promise<unknown> => {
  if (!(value instanceof LargeValue)) return value
  return value.load().catch((error) => {
    throw unreadable(what, error)
  })
}

const unreadable = (what: string, error: unknown): unknown => {
  if (!isKeelsonError(error, 'CORRUPT')) return error
  return new KeelsonError('CORRUPT', `${what} cannot be read: ${error.message}`, {
    details: { ...error.details, what },
    cause: error,
  })
}

/** How an error names the value of an operation. */
export const outcomeText = (key: string): string => `the outcome of ${key}`

/** How an error names the input. */
export const inputText = 'the input'

/** The recorded operations of the present lap. */
export function* recordIn({ lap }: RunState, rows: RunRows): Iterable<Recorded> {
  const prefix = operationsPrefix(lap)
  for (const [key, row] of rowsIn(rows, prefix))
    yield { ...(row as Operation), number: Number(key.slice(prefix.length)) }
}

/** The rows with this prefix. */
export function* rowsIn(
  rows: RunRows,
  prefix: string,
  values = true,
): Iterable<readonly [key: string, value: unknown]> {
  let cursor: string | undefined
  do {
    const page = rows.range({ prefix, values, limit: 1_000, ...(cursor && { cursor }) })
    yield* page.entries
    cursor = page.cursor
  } while (cursor)
}

/** The outcome of an operation, whose value may be in another row. */
export const valueApart = (
  { key, outcome, number }: Recorded,
  { lap }: RunState,
  rows: RunRows,
): unknown => {
  if (outcome?.kind !== 'ok') return undefined
  return outcome.isApart ? valueIn(rows, valueKey(lap, number), outcomeText(key)) : outcome.value
}

/** The operation with the value of its outcome. */
export const withValue = (recorded: Recorded, value: unknown): Recorded => {
  const { outcome } = recorded
  return outcome?.kind === 'ok' && value !== undefined
    ? { ...recorded, outcome: { ...outcome, value } }
    : recorded
}

/** Begins a run once more with another input, under the present version. */
export const beginningAgain = (
  state: RunState,
  context: TurnContext,
  input: unknown,
  version: number,
): RunState => {
  if (input === undefined) context.rows.delete('input')
  else context.rows.put('input', input)
  // The keys of an earlier lap, or round, never come again: a step that failed in it has no further try.
  forgetProducers(context)
  const { said: _, ...others } = state
  const { lap, round } = state
  const begun = { version, lap: lap + 1, round: round + 1, attempt: 1 }
  return { ...others, ...begun, outcomes: 0, operations: 0 }
}

/** Removes rows of earlier laps. Answers whether there are more. */
export const clearing = ({ lap }: RunState, { rows }: TurnContext): boolean => {
  const lt = allOperations + padded(lap)
  const page = rows.range({ gte: allOperations, lt, limit: 500, values: false })
  for (const [key] of page.entries) rows.delete(key)
  return !page.exhausted
}

/** Why a run cannot do this. */
export const notNow = (what: string, id: string, status: RunStatus | undefined): KeelsonError =>
  new KeelsonError('CONFLICT', `the run ${id} cannot ${what}: ${status ?? 'it has not begun'}`, {
    details: { id, status },
  })

/** Why a run cannot begin from an operation. */
export const noneToBegin = (id: string, from: string): KeelsonError =>
  new KeelsonError('CONFLICT', `the run ${id} has no operation "${from}" to begin from`, {
    details: { id, from },
  })

/** Why a run that has ended does not go on, as its child does not. */
export const childIsBlocked = (child: string | undefined, { message }: KeptError): KeptError =>
  blockedBy('BLOCKED', `its child ${child} is blocked: ${message}`)

/** Why a run does not go on, as it is kept. */
export const blockedBy = (code: KeelsonError['code'], message: string): KeptError => ({
  name: 'KeelsonError',
  code,
  message,
})

// The repairs of a run that does not go on. Outcomes are taken back, so that their operations run again:
// for a retry that of the operation which ended the run, or all from one on; a fork begins with those
// before it. And an operator decides one (`settle`).

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
  if (isOver(state.status)) reopenStreams(context)
  if (undone.size > 0) forgetProducers(context)
  const { error: _, failedBy: __, cancel: ___, ...others } = state
  const next = { ...others, round: state.round + (undone.size > 0 ? 1 : 0) }
  return saying(
    next,
    record.filter(({ number, key }) => number === failed || undone.has(key)),
  )
}

/** The state of a run that gives up the outcomes of these operations: what its body said since, it says again. */
const saying = (state: RunState, given: readonly Recorded[]): RunState => {
  const { said: before, ...others } = state
  const said = before && saidBefore(before, given)
  return said ? Object.assign({}, others, { said }) : others
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
  context: TurnContext,
  from: string,
): RunState | undefined => {
  const { rows } = context
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
  if (isOver(state.status)) reopenStreams(context)
  forgetProducers(context)
  const { error: _, failedBy: __, cancel: ___, ...others } = state
  const next = { ...others, round: state.round + 1, outcomes: kept.outcomes }
  return saying(
    next,
    record.filter((each) => left.get(each.number) !== each),
  )
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
const inputKey = '$input'

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
