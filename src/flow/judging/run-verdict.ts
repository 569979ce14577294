/**
 * From a replay to a verdict about its run: whether it would be blocked when it wakes, and whether it would wait,
 * begin or end otherwise than its record says. Pure, but for the rejections that Node has to report first.
 */

import type { Verdict } from '../../actors/index.ts'
import { isKeelsonError, type KeelsonError, type KeptError, keptError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import { readError } from '../../thrown.ts'
import { userPlace } from '../../user-frames.ts'
import type { Workflow } from '../runs/body.ts'
import { policyOf } from '../runs/decide.ts'
import { type Active, isSame, isWait, named } from '../runs/operations.ts'
import {
  type Awaited,
  isBetweenTries,
  isOver,
  type Named,
  namesMax,
  type RunState,
  typeOfRun,
} from '../runs/record.ts'
import { missingBody, standsStill } from '../runs/replaying.ts'
import { type BodyEnd, bodyOf, endsTooEarly, storable } from '../runs/run-end.ts'
import type { RehearsedRun } from './rehearsed-run.ts'
import type { RunRecord } from './stored-run.ts'

/** The verdict that a run or an actor is blocked with this error. */
const blocksWith = (error: KeptError, fix: string): Verdict => ({
  level: 'blocks',
  what: error.code ?? error.name,
  reason: error.message,
  fix,
})

/** The remedy for a run whose body does something else. */
const bodyFix =
  'keep the old way for runs that were beyond it: `ctx.patched`, or `previous` with a new `version`'

const stuck: KeptError = {
  name: 'KeelsonError',
  code: 'STUCK',
  message: 'its body asks again and again for what it is refused',
}

const acts = (what: string, reason: string, fix = bodyFix): Verdict => ({
  level: 'acts',
  what,
  reason,
  fix,
})

/** Whether the record of this run is replayed: its body has begun, and the program has one for it. */
export const isReplayed = (state: RunState, workflow: Workflow): boolean =>
  !state.isHeld &&
  bodyOf(workflow, state.version) !== undefined &&
  // An operator's cut may be anywhere in the record.
  !(state.status === 'cancelled' && state.cancel?.isPlaced !== true)

/** The verdict about a run without its body; `undefined`: it can be replayed, or begins yet. */
export const verdictBefore = (state: RunState, workflow: Workflow): Verdict | undefined => {
  if (isOver(state.status) || bodyOf(workflow, state.version)) return undefined
  const fix = `add the body to \`previous\` under ${state.version}`
  return softened(state, blocksWith(keptError(missingBody(workflow, state.version)), fix))
}

/** The parts of a program that runs name. */
export type NamedParts = {
  readonly queues: { get(name: string): { readonly takesRuns: boolean } | undefined }
  readonly workflows: { has(name: string): boolean }
}

/** The lack of anything that a run needs beside its body: its values, its queue, and the workflows of its children. */
export const lackOf = (
  run: RunRecord,
  { waitsFor }: RunState,
  { queues, workflows }: NamedParts,
): Verdict | undefined => {
  if ('unreadable' in run)
    return blocksWith(run.unreadable, 'restore the value, or `settle` the operation')
  const queue = waitsFor?.kind === 'queue' ? waitsFor.name : undefined
  const place = queue === undefined ? undefined : queues.get(queue)
  if (queue !== undefined && !place?.takesRuns)
    return lacks(`queue ${queue}${place ? ' without a handler, for its runs' : ''}`)
  for (const { child, outcome } of run.record) {
    if (child === undefined || outcome || workflows.has(typeOfRun(child))) continue
    return lacks(`workflow ${typeOfRun(child)}, of its child`)
  }
  return undefined
}

/** Stored data name a part that the program lacks. A run that waits for the part goes on when the tree has it again. */
export const lacks = (what: string): Verdict => ({
  level: 'blocks',
  what: 'UNSUPPORTED_VERSION',
  reason: `there is no ${what}`,
  fix: 'keep it in the tree until nothing stored names it',
})

/** The verdict about a run whose replay is over. `undefined`: it goes on as before. */
export const verdictOf = async (run: RehearsedRun): Promise<Verdict | undefined> => {
  const error = await blockingError(run)
  if (error) return softened(run.state, blocksWith(error, bodyFix))
  if (isBetweenTries(run.state)) return triesOfRun(run)
  return run.end ? verdictOfEnd(run, run.end) : verdictOfRest(run)
}

/** Why the run is blocked when it wakes. */
const blockingError = async (run: RehearsedRun): Promise<KeptError | undefined> => {
  const { divergence, replay, end } = run
  if (run.isStuck) return stuck
  if (divergence) return placed(divergence, run.divergedAt)
  if (!end) return replay.hasArrived ? refusedChild(run) : keptError(standsStill(replay))
  const unhandled = await run.unhandledFailure()
  if (unhandled) return unhandled
  const early = endsTooEarly(run, end)
  if (early) return keptError(early)
  return run.state.cancel ? undefined : unstorable(end)
}

/** The error with the place in the body that asked for it. */
const placed = (divergence: KeelsonError, at: Error | undefined): KeptError => {
  const kept = keptError(divergence)
  const place = at && userPlace(readError(at).stack)
  return place === undefined ? kept : { ...kept, message: `${kept.message}, at ${place}` }
}

/**
 * The schema of a child refuses what the body gives it. The child has begun, or may have: its start is asked for
 * again when the run wakes, and the run is blocked then. A run that waits for this child alone wakes with its end.
 */
const refusedChild = ({ replay, state }: RehearsedRun): KeptError | undefined => {
  if (isOver(state.status) || (state.status === 'waiting' && replay.inFlight.size === 1))
    return undefined
  for (const { parts } of replay.inFlight)
    try {
      parts.child?.input()
    } catch (error) {
      if (!isKeelsonError(error, 'INVALID_ARGUMENT')) throw error
      return keptError(error)
    }
  return undefined
}

const unstorable = (end: BodyEnd): KeptError | undefined => {
  try {
    storable(end)
    return undefined
  } catch (error) {
    if (!isKeelsonError(error, 'INVALID_ARGUMENT')) throw error
    return keptError(error)
  }
}

/** A run that has ended, or is blocked, is not woken: what its body does now is no reason to stop. */
export const softened = ({ status, error }: RunState, verdict: Verdict): Verdict => {
  if (isOver(status)) return { ...verdict, level: 'acts', what: `ended, and ${verdict.what}` }
  if (status !== 'blocked') return verdict
  return { ...verdict, level: 'notes', what: `blocked by ${error?.code}, and ${verdict.what}` }
}

const verdictOfEnd = ({ state }: RehearsedRun, end: BodyEnd): Verdict | undefined => {
  const { status } = state
  const how = end.status === 'completed' ? 'complete' : end.again ? 'begin again' : 'fail'
  if (status === 'waiting')
    return acts('would end', `it waits for ${shown(state.waitsFor)}, and would ${how} instead`)
  const isOtherwise =
    (status === 'completed' && how !== 'complete') || (status === 'failed' && how !== 'fail')
  if (isOtherwise) return acts('ended runs end otherwise', `it has ${status}, and would ${how}`)
  return undefined
}

/** A run that is where it was: its wait, and the operations that it would begin. */
const verdictOfRest = (run: RehearsedRun): Verdict | undefined => {
  const { state, replay } = run
  if (isOver(state.status)) {
    const text = `it has ${state.status}, and would wait for ${keysOf(replay.open)}`
    return acts('ended runs do more', text)
  }
  // The row of a run says `running` for some seconds after the failure of a step, though its pause has begun.
  const isOn = state.status === 'waiting' || (state.status === 'running' && !state.cancel)
  const retried = isOn ? replay.open.find(hasNoTryLeft) : undefined
  if (retried) {
    const { key, recorded } = retried
    const text = `${key} has failed ${recorded?.tries} times, and fails now: \`retry\` allows no more`
    return acts('has no try left', text, 'keep `retry.max` until these runs are over')
  }
  if (state.status !== 'waiting') return undefined
  const begun = replay.isComplete ? [...replay.inFlight].filter(isNew) : []
  if (begun.length > 0)
    return acts('would begin more', `it rests, and would begin ${keysOf(begun)}`)
  return (
    waitsOtherwise(state.waitsFor, replay.open, run.awaitsOthers) ??
    timedOtherwise(replay.open) ??
    attributesOtherwise(run)
  )
}

/** A run in the pause before its next try. With fewer tries in the program that one is its last. */
const triesOfRun = ({ state, workflow }: RehearsedRun): Verdict | undefined => {
  const { max } = policyOf({ max: 1 }, workflow.options.retry)
  const failed = state.attempt - 1
  if (failed < max) return undefined
  const text = `the run has failed ${failed} times, and \`retry\` allows ${max}: its next try is the last one`
  return acts('has no try left', text, 'keep `retry.max` until these runs are over')
}

/** The `timeout` of a wait counts from when the wait begins: one that has begun keeps the time of its program. */
const timedOtherwise = (open: readonly Active[]): Verdict | undefined => {
  const waits = open.filter(({ kind }) => kind === 'wait')
  const ends = waits.find(({ parts, recorded }) => !parts.at && recorded?.dueAt !== undefined)
  if (ends?.recorded?.dueAt !== undefined) {
    const until = new Date(ends.recorded.dueAt).toISOString()
    const text = `${shown(named(ends))} has no \`timeout\` now; the one that began holds: the body gets undefined at ${until}`
    return acts('its timeout holds', text, 'let the body take `undefined` there')
  }
  const untimed = waits.find(({ parts, recorded }) => parts.at && recorded?.dueAt === undefined)
  if (!untimed) return undefined
  const text = `${shown(named(untimed))} has a \`timeout\` now, which begins when something else wakes the run`
  const fix = 'to end these waits, send the runs their signal, or cancel them'
  return { ...acts('its timeout begins later', text, fix), level: 'notes' }
}

/** Attributes that the body sets otherwise now: the recorded ones stay. */
const attributesOtherwise = ({ replay }: RehearsedRun): Verdict | undefined => {
  for (const { parts, recorded } of replay.asked.values()) {
    const [set, now] = [recorded?.outcome, parts.change?.outcome]
    if (set?.kind !== 'ok' || now?.kind !== 'ok') continue
    const [old, next] = [Object(set.value), Object(now.value)]
    const names = [...new Set([...Object.keys(old), ...Object.keys(next)])]
    const moved = names.filter((name) => ownOf(old, name) !== ownOf(next, name)).sort()
    if (moved.length === 0) continue
    const text = `its body sets other values of ${moved.join(', ')} now, and lists find the ones that were set`
    const fix = 'for runs that have begun, set them once more in the body, under `ctx.patched`'
    return { ...acts('attributes stay', text, fix), level: 'notes' }
  }
  return undefined
}

/** The difference between the waits of a run at rest and the waits of its body now. */
const waitsOtherwise = (
  before: Awaited | undefined,
  open: readonly Active[],
  awaitsOthers: boolean,
): Verdict | undefined => {
  if (open.length === 0) {
    const text = `it waits for ${shown(before)}, and would wait for nothing of \`ctx\``
    return awaitsOthers ? undefined : acts('would wait otherwise', text)
  }
  if (!before) return undefined
  const known = [before, ...(before.others ?? [])]
  const text = (now: readonly Named[]): string =>
    `it waits for ${known.map(shown).join(' and ')}, and would wait for ${now.map(shown).join(' and ')}`
  const now = open.slice(0, namesMax).map(named)
  if (known.some((event) => !open.some((active) => isSame(named(active), event))))
    return acts('would wait otherwise', text(now))
  const more = open.filter(isWait).map(named)
  const isMore = more.some((event) => !known.some((each) => isSame(each, event)))
  if (!isMore || known.length === namesMax) return undefined
  return { ...acts('would wait for more', text(now)), level: 'notes' }
}

/** It has no row, and gets one at once. A wait without a time gets its row with its outcome. */
const isNew = ({ kind, recorded }: Active): boolean =>
  !recorded && ['step', 'sleep', 'child', 'attributes'].includes(kind)

const hasNoTryLeft = ({ parts, recorded }: Active): boolean =>
  recorded?.failure !== undefined &&
  parts.triesMax !== undefined &&
  (recorded.tries ?? 0) >= parts.triesMax

const keysOf = (operations: readonly Active[]): string =>
  operations.length === 0
    ? 'nothing'
    : operations
        .slice(0, 10)
        .map(({ kind, key }) => `${kind} ${key}`)
        .join(', ')

const shown = (awaited: Named | undefined): string =>
  awaited ? `the ${awaited.kind} ${awaited.name ?? ''}`.trim() : 'nothing'
