/**
 * The recorded work of a durable actor, its steps and alarms: which may run at a time, as which turn,
 * and what an operator changes in it. Pure.
 */
import { errorOf } from '../../errors.ts'
import type { Failed } from '../turns/durable-server.ts'
import { callStep, type RecordedCall } from '../turns/durable-table.ts'
import { endName } from '../turns/lifetime.ts'
import { type Alarm, isParked, type Memory, type Step, settingOf } from '../turns/memory.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import { missing, Run, throwing } from '../turns/turn-run.ts'
import type { DurableTerms } from './durable-terms.ts'

/**
 * Until when a step or an alarm waits for a declaration that the program lacks, by its setting, in ms
 * since 1970; 0: it may run.
 */
type Lacking = { waitsUntil(setting: string): number }

/** The first step that may run. */
export const readyStep = ({ steps }: Memory, now: number, lacking: Lacking): Step | undefined => {
  /** The entities that an earlier call is still for: what an actor sends to one comes in order. */
  let calling: Set<string> | undefined
  for (const step of steps) {
    const target = step.name === callStep ? targetOf(step) : undefined
    const isFree = target === undefined || !calling?.has(target)
    const isDue = step.notBefore <= now && !isParked(step)
    if (isFree && isDue && lacking.waitsUntil(step.step) <= now) return step
    if (target !== undefined) {
      calling ??= new Set()
      calling.add(target)
    }
  }
  return undefined
}

const targetOf = ({ payload }: Step): string => {
  const { kind, id } = payload as RecordedCall
  return `${kind}/${id}`
}

/** The alarms that may run, the earliest first. */
export const readyAlarms = (
  memory: Memory,
  now: number,
  lacking: Lacking,
): readonly (readonly [string, Alarm])[] =>
  dueAt(memory, now).filter(([name, alarm]) => lacking.waitsUntil(settingOf(name, alarm)) <= now)

/** When to ask again, if due work waits for declarations; `undefined`: none does. */
export const askAgainAt = (memory: Memory, now: number, lacking: Lacking): number | undefined => {
  const settings = [
    ...memory.steps.filter((step) => step.notBefore <= now).map(({ step }) => step),
    ...dueAt(memory, now).map(([name, alarm]) => settingOf(name, alarm)),
  ]
  const until = settings.map((each) => lacking.waitsUntil(each)).filter((at) => at > now)
  return until.length > 0 ? Math.min(...until) : undefined
}

/** The alarms that are due, the earliest first. */
const dueAt = ({ alarms }: Memory, now: number): readonly (readonly [string, Alarm])[] =>
  [...alarms]
    .filter(([, alarm]) => alarm.dueAt <= now && !isParked(alarm))
    .sort(([, a], [, b]) => a.dueAt - b.dueAt)

/** The turn of a recorded step or of an alarm: its handler, or `onFailed` if its tries have ended. */
export const runOf = (
  { table, identity, work }: DurableTerms,
  ...[kind, name, set]: ['step', string, Step] | ['alarm', string, Alarm]
): Run => {
  const [step, alarm] = kind === 'step' ? [set, undefined] : [undefined, { name, set }]
  const what = `${kind === 'step' ? 'continue' : 'alarm'} ${name}`
  const { payload, tries, failure } = set
  if (failure?.next !== 'onFailed') {
    const ended = work.endedUnder(identity.entity, what)
    const known = table[kind === 'step' ? 'continues' : 'alarms'][name]
    const handler = ended ? throwing(ended) : (known ?? missing(what))
    return new Run(kind, handler, payload, what, name, undefined, step, alarm)
  }
  const error = errorOf(failure.error)
  const failed: Omit<Failed, 'name'> & { readonly name: string } = {
    kind: kind === 'step' ? 'continue' : 'alarm',
    name,
    payload,
    error,
    tries,
    step: `${identity.entity}/${kind === 'step' ? set.step : settingOf(name, set)}`,
  }
  const lastWhat = `onFailed of ${what}`
  const ended = work.endedUnder(identity.entity, lastWhat)
  const once = kind === 'step' ? table.triedOnce[name] : undefined
  const handler = ended ? throwing(ended) : (once ?? table.onFailed ?? throwing(error))
  return new Run('onFailed', handler, failed, lastWhat, name, undefined, step, alarm)
}

/** A request of an operator. `name`: of the steps, or of the alarm. */
export type ByHand = {
  readonly act: 'retryStep' | 'fireAlarm' | 'cancelAlarm'
  readonly name: string
}

/** Does as asked in the turn of `draft`. False: there is no such step or alarm. */
export const doByHand = (
  draft: TurnDraft,
  { steps, alarms }: Memory,
  now: number,
  { act, name }: ByHand,
): boolean => {
  if (act === 'retryStep') {
    const named = steps.filter((step) => step.name === name)
    for (const step of named) draft.keepStep(stepAt(step, now))
    return named.length > 0
  }
  const alarm = alarms.get(name)
  // The end of the actor is an alarm too.
  if (alarm === undefined || name === endName) return false
  if (act === 'cancelAlarm') return draft.cancelAlarm(name)
  draft.setAlarm(name, alarmAt(alarm, now))
  return true
}

/** The step, due at `now`. If the step was parked, its tries are counted from 0 again. */
export const stepAt = (step: Step, now: number): Step => ({
  ...step,
  ...(isParked(step) && untried),
  notBefore: now,
  wakeAt: now,
})

/** The alarm, due at `now`. If the alarm was parked, its tries are counted from 0 again. */
export const alarmAt = (alarm: Alarm, now: number): Alarm => ({
  ...alarm,
  ...(isParked(alarm) && untried),
  dueAt: now,
})

const untried = { tries: 0, failure: undefined }
