/**
 * The turns of a run: from its state, and its rows, to the next state. They may be made again, so
 * they depend on nothing else. Pure, but for the rows of the current turn.
 */
import { LargeValue } from '../../actors/index.ts'
import {
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  type KeptError,
  keptError,
} from '../../errors.ts'
import type { Present, RunContext, RunEnd } from './messages.ts'
import {
  type Awaited,
  allOperations,
  cancelKey,
  isLive,
  isOver,
  type Operation,
  type Outcome,
  operationKey,
  operationsPrefix,
  padded,
  type Recorded,
  type RunState,
  type RunStatus,
  signalsPrefix,
  valueKey,
} from './record.ts'
import type { Asked } from './replay.ts'
import { outcomeOf, signalBytesMax, signalLength, signalRow } from './values.ts'

/** The parts of a context that these turns use. */
export type TurnContext = Pick<RunContext, 'rows' | 'now'>

/** The rows of a run, for reading. */
export type RunRows = Pick<TurnContext['rows'], 'range'>

/** The result of a turn, and the next state. */
export type Turned<R> = readonly [result: R, state: RunState]

/** The state with another status. */
export const withStatus = (state: RunState, status: RunStatus, context: TurnContext): RunState => ({
  ...state,
  status,
  since: context.now(),
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
): Turned<Recorded | undefined> => {
  if (isOver(state.status) || recorded?.outcome) return [undefined, state]
  // Its row may know more than its activation: a signal and a time-out may be on their way at once.
  const row = recorded && context.rows.get(operationKey(state.lap, recorded.number))
  if ((row as Operation | undefined)?.outcome) return [undefined, state]
  const { number = state.operations + 1, place: known, ...before } = recorded ?? {}
  // A cancel may have taken its place.
  const kept = row ? (row as Operation).place : known
  const place = kept ?? (change.outcome && state.outcomes + 1)
  const { round } = state
  const tried = kind === 'step' && round > 0 ? { round } : {}
  const next: Operation = { kind, key, ...before, at: context.now(), ...change, ...tried }
  const placed = place === undefined ? next : { ...next, place }
  putOperation(state, context, { ...placed, number })
  const after = {
    ...state,
    operations: Math.max(state.operations, number),
    outcomes: Math.max(state.outcomes, place ?? 0),
  }
  return [{ ...placed, number }, after]
}

/** Writes the row of an operation. A long value has another row. */
export const putOperation = (
  { lap }: Pick<RunState, 'lap'>,
  { rows }: Pick<TurnContext, 'rows'>,
  { number, ...row }: Recorded,
): void => {
  const { outcome } = row
  const isApart = outcome?.kind === 'ok' && outcome.isApart === true
  if (isApart) rows.put(valueKey(lap, number), outcome.value)
  const short: Operation = isApart ? { ...row, outcome: { kind: 'ok', isApart } } : row
  rows.put(operationKey(lap, number), short)
}

/** An operation. `signal`: it waits for a signal of this name. */
type MayWait = Asked & { readonly parts: { readonly signal?: string } }

/** Hands unread signals to the operations that wait for them, each to one, in order. */
export const delivering = (
  state: RunState,
  context: TurnContext,
  inFlight: Iterable<MayWait>,
): Turned<readonly Recorded[]> => {
  const delivered: Recorded[] = []
  let next = state
  for (const asked of inFlight) {
    const { signal } = asked.parts
    if (next.unread === 0) break
    if (signal === undefined) continue
    const page = readable(`the signal ${signal}`, () =>
      context.rows.range({ prefix: signalsPrefix(signal), limit: 1 }),
    )
    const [first] = page.entries
    if (!first) continue
    const [key, [value]] = first as [string, [unknown?]]
    const outcome = outcomeOf(value, `the signal ${signal}`)
    const [recorded, after] = recording(next, context, asked, { outcome })
    if (!recorded) continue
    context.rows.delete(key)
    delivered.push(recorded)
    next = { ...after, unread: after.unread - 1 }
  }
  return [delivered, next]
}

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

/** The turn after which a run does not go on until an operator lets it. */
export const blocking = (
  state: RunState,
  context: RunContext,
  { waiting, failing }: Present,
  error: KeptError,
): Turned<void> => {
  if (isOver(state.status)) return [undefined, state]
  failing.end()
  const end = { status: 'blocked', error } as const
  for (const from of waiting) from.reply(end)
  if (state.parent) context.addContinue('notifyParent')
  return [undefined, ended(state, context, end)]
}

/** Until when, and for which event, a run rests. */
type Rest = { readonly at: number; readonly waitsFor: Awaited | undefined }

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
  if (Number.isFinite(at)) context.setAlarm('timer', { at })
  const { waitsFor: _, ...others } = state
  const rested = waitsFor ? { ...others, waitsFor } : others
  return [true, withStatus(rested, 'waiting', context)]
}

/** The state of a run that has ended so, or does not go on. */
export const ended = (state: RunState, context: TurnContext, end: RunEnd): RunState => {
  if (end.status !== 'completed')
    return { ...withStatus(state, end.status, context), error: end.error }
  const { error: _, ...others } = state
  if (end.output !== undefined) context.rows.put('output', end.output)
  return withStatus(others, 'completed', context)
}

const outputText = 'the output of the run'

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

/** The key under which the input of a run is settled. */
export const inputKey = '$input'

/** How the key of an unread signal begins under which it is settled. */
const signalText = '$signal/'

/** The recorded operations of the present lap. */
export function* recordIn({ lap }: RunState, rows: RunRows): Iterable<Recorded> {
  const prefix = operationsPrefix(lap)
  for (const [key, row] of rowsIn(rows, prefix))
    yield { ...(row as Operation), number: Number(key.slice(prefix.length)) }
}

function* rowsIn(
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

/** The decision of an operator for a blocked run: an outcome, its input, or an unread signal. */
type Decision = { readonly key: string; readonly outcome: Outcome }

/** The state with the decision; `undefined` if the run does not lack this. */
export const settled = (
  state: RunState,
  decision: Decision,
  context: RunContext,
): Promise<RunState | undefined> =>
  decision.key === inputKey
    ? settledInput(state, decision, context)
    : decision.key.startsWith(signalText)
      ? settledSignal(state, decision, context)
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

/** The first unread signal of this name that cannot be read. */
const settledSignal = async (
  state: RunState,
  { key, outcome }: Decision,
  { rows }: RunContext,
): Promise<RunState | undefined> => {
  const name = key.slice(signalText.length)
  const what = `the signal ${name}`
  const value = givenIn(outcome, what)
  const length = signalLength(value)
  if (length > signalBytesMax)
    throw invalidArgument(
      'value',
      `at most ${signalBytesMax} bytes for a signal`,
      `${length} bytes`,
    )
  for (const [row] of rowsIn(rows, signalsPrefix(name), false)) {
    if (await isReadable(what, () => valueIn(rows, row, what))) continue
    rows.put(row, signalRow(value))
    return state
  }
  return undefined
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
  const found = foundIn(state, rows, key, context.now())
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
    const row = operationAt(rows, rowKey)
    if (row?.key === key) return { ...row, number }
    if (row) places.add(row.place)
    else lost ??= number
  }
  if (lost === undefined) return undefined
  const kept = Array.from({ length: state.outcomes }, (_, at) => at + 1)
  const place = kept.find((each) => !places.has(each))
  return { kind: 'settled', key, number: lost, at, ...(place !== undefined && { place }) }
}

/** The row of an operation; `undefined`: it cannot be read. */
const operationAt = (rows: RunContext['rows'], key: string): Operation | undefined => {
  try {
    return rows.get<Operation>(key)
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

/** Begins a run once more with another input, under the present version. */
export const beginningAgain = (
  state: RunState,
  context: TurnContext,
  input: unknown,
  version: number,
): RunState => {
  if (input === undefined) context.rows.delete('input')
  else context.rows.put('input', input)
  const { lap, round } = state
  return { ...state, version, lap: lap + 1, round: round + 1, outcomes: 0, operations: 0 }
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

/** Why a run does not go on, as it is kept. */
export const blockedBy = (code: KeelsonError['code'], message: string): KeptError => ({
  name: 'KeelsonError',
  code,
  message,
})
