/**
 * The beginning of an activation: the run is read, its replay is watched until it is complete, and the
 * changes of the body are known by it. A rehearsal reads and replays runs by it too.
 */
import {
  isKeelsonError,
  type KeelsonError,
  type KeptError,
  keptError,
  missingDeclaration,
} from '../../errors.ts'
import { readError } from '../../thrown.ts'
import { isFrame } from '../../user-frames.ts'
import type { Workflow } from './body.ts'
import type { Notified, Present, RunContext } from './messages.ts'
import { type Active, type ActiveParts, endsWithParent, type Scope } from './operations.ts'
import { isInTree, runKind } from './parts.ts'
import {
  isLive,
  lacksCode,
  type Recorded,
  type RunState,
  type RunStatus,
  typeOfRun,
} from './record.ts'
import { diverged, type Replay } from './replay.ts'
import { bodyOf, type EndingActivation } from './run-end.ts'
import {
  clearing,
  inputText,
  outcomeText,
  type RunRows,
  readable,
  recordIn,
  recording,
  type Turned,
  valueApart,
  valueIn,
  wholeOf,
  withValue,
} from './turns.ts'

/** A run as it is read. */
export type LoadedRun = {
  readonly state: RunState
  readonly record: readonly Recorded[]
  readonly input: unknown
}

/**
 * Reads a run, after every turn that is on its way. Later turns of its entity call this activation.
 * Large values are read outside of the turn. If a value cannot be read, the run is blocked and not
 * loaded. A run that ended or was blocked during the read is not loaded either.
 */
export const loadRun = async (
  activation: EndingActivation & Notified,
): Promise<LoadedRun | undefined> => {
  try {
    const loaded = await readRun(activation)
    if (!activation.isStopped && isLive(loaded.state.status)) return loaded
    activation.stop()
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    activation.block(keptError(error))
  }
  return undefined
}

/** @throws KeelsonError `CORRUPT` */
const readRun = async (activation: EndingActivation & Notified): Promise<LoadedRun> => {
  const stored = await activation.turn((state, { rows }) => {
    activation.present.activation = activation
    const stored = storedRun(state, rows)
    activation.present.failing.begin(stored.record)
    return [stored, state]
  })
  return wholeRun(stored)
}

/** A run as its rows have it: long values are a `LargeValue`. @throws KeelsonError `CORRUPT` */
export const storedRun = (state: RunState, rows: RunRows): LoadedRun => {
  const operations = readable('its record', () => [...recordIn(state, rows)])
  const record = operations.map((each) => withValue(each, valueApart(each, state, rows)))
  return { state, record, input: valueIn(rows, 'input', inputText) }
}

/** The run with all its values. @throws KeelsonError `CORRUPT` */
export const wholeRun = async ({
  state,
  record: operations,
  input,
}: LoadedRun): Promise<LoadedRun> => {
  const record: Recorded[] = []
  for (const each of operations) {
    const { outcome } = each
    const value = outcome?.kind === 'ok' ? outcome.value : undefined
    record.push(withValue(each, await wholeOf(outcomeText(each.key), value)))
  }
  return { state, record, input: await wholeOf(inputText, input) }
}

/** Removes the records of earlier bodies. */
export const clearLaps = async (activation: EndingActivation): Promise<void> => {
  while (await activation.turn((state, context) => [clearing(state, context), state]));
}

/**
 * The replay of the body has reached the end of its record, or cannot reach it. The callers that
 * woke the run are answered.
 */
export const arrive = (present: Pick<Present, 'wakers'>): void => {
  const { wakers } = present
  if (!wakers) return
  present.wakers = undefined
  for (const from of wakers) from.reply()
}

/** The activation, for the changes of its body. */
interface Patching {
  readonly replay: Replay<Active>
  readonly scope: Scope
  ask(parts: ActiveParts): Active
  does(work: Promise<unknown>): void
  turn<R>(change: (state: RunState, context: RunContext) => Turned<R>, first?: boolean): Promise<R>
}

/** The changes of the body that one activation has asked for. */
export class Patches {
  readonly #activation: Patching
  readonly #known = new Map<string, boolean>()

  constructor(activation: Patching) {
    this.#activation = activation
  }

  /** Whether the run goes the way of this change. */
  has(change: string): boolean {
    const key = `$patch ${change}`
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const { replay, scope } = this.#activation
    const isNew = replay.isComplete
    const isPatched = isNew || replay.missing().includes(key)
    // A run that was beyond it stays so, wherever it asks again.
    this.#known.set(key, isPatched)
    if (!isPatched) return false
    const active = this.#activation.ask({ kind: 'patch', key, scope })
    replay.drop(active)
    active.stop(undefined)
    // Its turn goes before that of every later operation: without its row their replay goes the old way.
    if (isNew) this.#activation.does(this.#records(active, replay.reached))
    return true
  }

  #records(active: Active, after: number): Promise<unknown> {
    const records = (state: RunState, context: RunContext) =>
      recording(state, context, active, { after })
    return this.#activation.turn(records, true)
  }
}

/** A body that asks for nothing of its record for so long, while the loop is idle, has diverged. */
export const stillMs = 2_000
const lookMs = 100

/**
 * Watches a replay, until it is complete, for a body that no longer asks for its record. A first replay
 * gives up at the first look that finds it still: then the run is only replayed once more.
 */
export const watchReplay = async (activation: EndingActivation): Promise<void> => {
  const { replay } = activation
  const { clock } = activation.background.system
  const isOn = (): boolean => !replay.isComplete && !activation.isStopped && !activation.isBodyOver
  const patienceMs = activation.terms.isSecond ? stillMs : lookMs
  let [stillFor, seen] = [0, -1]
  while (isOn() && stillFor < patienceMs) {
    // The body has come to an operation that is tried again, which may take long.
    if (replay.hasArrived) await activation.nextRecord()
    const due = clock.monotonic() + lookMs
    await new Promise<void>((resolve) => void clock.after(lookMs, resolve))
    // A busy loop says nothing about the body.
    if (clock.monotonic() - due > lookMs) continue
    const isStill = replay.progress === seen && activation.working === 0
    stillFor = isStill ? stillFor + lookMs : 0
    seen = replay.progress
  }
  if (activation.isStopped || activation.isBodyOver) return
  if (replay.isComplete) return cancelLeft(activation)
  activation.diverges(standsStill(replay))
}

/**
 * Why a body has diverged that stands still before the end of its record. Its stack is that of the last
 * operation for which it waits, as far as that is known.
 */
export const standsStill = (replay: Pick<Replay<Active>, 'missing' | 'inFlight'>): KeelsonError => {
  const missing = replay.missing()
  const asked = [...replay.inFlight].map(({ key }) => key)
  const text = `the body waits for ${listed(asked)}, and never asks for ${listed(missing)}`
  const error = diverged(text, { missing, asked })
  const last = [...replay.inFlight].findLast(({ askedAt }) => askedAt)
  const stack = last?.askedAt && readError(last.askedAt).stack
  const isPlace = (line: string): boolean => isFrame(line) && !line.endsWith('(<anonymous>)')
  const frames = stack?.split('\n').filter(isPlace) ?? []
  if (frames.length > 0) error.stack = [`${error.name}: ${text}`, ...frames].join('\n')
  return error
}

/**
 * Cancels the children that the body has let go in the replay: the activation which saw that first
 * may have ended before they got it.
 */
const cancelLeft = (activation: EndingActivation): void => {
  for (const child of activation.replay.asked.values())
    if (endsWithParent(child.parts) && child.isOver && child.recorded && !child.recorded.outcome)
      void activation.cancels(child)
}

const listed = (keys: readonly string[]): string =>
  keys.length === 0 ? 'nothing' : keys.slice(0, 10).join(', ')

// The parts of a program that the rows of a run name and the running program lacks. Then the run is
// blocked, nothing of it is decided, and it goes on by itself in a program that has them.

/** Why a run cannot go on whose version has no body in this program. */
export const missingBody = ({ name }: Workflow, version: number): KeelsonError =>
  missingDeclaration(`body of version ${version} of the workflow ${name}`)

/** Whether a run is blocked because a program lacked a part of it. */
export const isLacking = ({
  status,
  error,
}: {
  readonly status: RunStatus
  readonly error?: KeptError | undefined
}): boolean => status === 'blocked' && error?.code === lacksCode

/** Whether this program has what such a run needs: its body, and the workflows of its children. */
export const hasParts = (
  state: RunState,
  rows: RunRows,
  workflow: Workflow,
  app: unknown,
): boolean => {
  if (!bodyOf(workflow, state.version)) return false
  for (const { child, outcome } of recordIn(state, rows))
    if (child !== undefined && !outcome && !isInTree(app, runKind(typeOfRun(child)))) return false
  return true
}
