/** Recorded work of a durable actor that an operator runs or cancels. Each request is a turn. */
import { endName } from '../turns/lifetime.ts'
import { type Alarm, isParked, type Memory, type Step } from '../turns/memory.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'

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

/** The step, due at `now`. A parked one has all its tries again. */
export const stepAt = (step: Step, now: number): Step => ({
  ...step,
  ...(isParked(step) && untried),
  notBefore: now,
  wakeAt: now,
})

/** The alarm, due at `now`. A parked one has all its tries again. */
export const alarmAt = (alarm: Alarm, now: number): Alarm => ({
  ...alarm,
  ...(isParked(alarm) && untried),
  dueAt: now,
})

const untried = { tries: 0, failure: undefined }
