/**
 * The end of a durable actor, as its rows have it: an alarm of the system's own, at which all its
 * rows are removed. From the turn that sets it on, nothing else of the actor may change. Pure.
 */
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Alarm, Memory } from './memory.ts'

/** How an actor ends. */
export type EndOptions = {
  /** How long it can be looked at and asked, in ms; that of its kind, or 0. */
  readonly keepMs?: number
  /** Removes the keys that it wrote with `context.writes`, too; false. Its kind records them. */
  readonly keys?: boolean
}

/** The name of the alarm. No alarm of a user begins with `$`. */
export const endName = '$end'

/** The alarm of an end. `setting`: the turn that sets it. */
export const endAlarm = (
  setting: string,
  now: number,
  { keepMs = 0, keys = false }: EndOptions,
): Alarm => {
  const at = now + Math.ceil(keepMs)
  if (typeof keepMs !== 'number' || !(keepMs >= 0) || !Number.isSafeInteger(at))
    throw invalidArgument('keepMs', 'ms from 0', keepMs)
  if (typeof keys !== 'boolean') throw invalidArgument('keys', 'a boolean', keys)
  return { setting, payload: keys, at, tries: 0, dueAt: at, failure: undefined }
}

/** The end that is set; `undefined`: the actor has not ended. */
export const endIn = ({ alarms }: Pick<Memory, 'alarms'>): Alarm | undefined => alarms.get(endName)

/** Why a turn of an actor that has ended changes nothing. */
export const ended = (entity: string, { at }: Alarm): KeelsonError =>
  new KeelsonError('CONFLICT', `${entity} has ended: its state cannot change until it is removed`, {
    details: { entity, reason: endedReason, endsAt: at },
  })

const endedReason = 'ended'

/** Whether a turn was refused because its actor has ended. */
export const isEnded = (error: unknown): boolean =>
  isKeelsonError(error, 'CONFLICT') && error.details.reason === endedReason
