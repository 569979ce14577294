/**
 * The memory of a durable actor, as one immutable value, and the rows that hold it: the main row
 * with state and pending steps, a row for each alarm, index rows, and rows that say when it must be
 * woken. A turn leads from one memory to the next, and its unit changes only the rows that differ.
 * Pure.
 */

import { KeelsonError } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import {
  alarmRowKey,
  decodeValue,
  dueRowKey,
  type EntityBody,
  type EntityRowChange,
  encodeIndexValue,
  encodeList,
  entityBodyFormat,
  indexRowKey,
  markBytes,
  readEntityBody,
  type StoredStep,
  type TurnMark,
  valueTags,
  writeMark,
} from '../../storage/index.ts'
import { readTraced, type TraceContext, withTrace } from '../../trace-context.ts'
import type { OwnLayer } from './own-rows.ts'
import { type Failure, packTries, unpackTries } from './retry-policy.ts'

/** A recorded `continue` that no turn has consumed. */
export type Step = {
  /** `incarnation/seq/index` of the turn that recorded it. It never changes. */
  readonly step: string
  readonly name: string
  readonly payload: unknown
  /** How often it has failed. */
  readonly tries: number
  /** It does not run before, in ms since 1970. 0: at once. */
  readonly notBefore: number
  /** When the actor is woken for it if it has not run by then. */
  readonly wakeAt: number
  /** Of its last try. */
  readonly failure: Failure | undefined
  /** The place in a trace of the turn that recorded it; absent: it had none. */
  readonly trace?: TraceContext | undefined
}

/** An alarm that is set. */
export type Alarm = {
  /** `incarnation/seq` of the turn that set it. */
  readonly setting: string
  readonly payload: unknown
  /** The time that was asked for, in ms since 1970. */
  readonly at: number
  readonly tries: number
  /** When it fires: `at`, or later after a failed try. */
  readonly dueAt: number
  /** Of its last try. */
  readonly failure: Failure | undefined
  /** The place in a trace of the turn that set it; absent: it had none. */
  readonly trace?: TraceContext | undefined
}

/** The crash of the process of an actor in one of its handlers, until that handler succeeds. */
export type Crash = {
  /** The message in two words: `call pay`. */
  readonly what: string
  /** How often it came with this error; `failure` has the first time and the last. */
  readonly count: number
  readonly failure: Failure
}

/** Whether a step or an alarm waits for `unblock`. */
export const isParked = ({ failure }: Pick<Step, 'failure'>): boolean => failure?.next === 'unblock'

/** The values of the index fields. A field without a value is not in the index. */
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Everything that a turn may change. */
export type Memory = {
  readonly state: unknown
  /** The mark of the last turn that changed something; `undefined`: unborn. */
  readonly mark: TurnMark | undefined
  readonly steps: readonly Step[]
  readonly alarms: ReadonlyMap<string, Alarm>
  readonly fields: Fields
  /**
   * Under which its own rows are kept: the incarnation that kept the first one. A deletion ends the
   * birth, so an actor that is born again never sees rows of before. `undefined`: it has kept none.
   */
  readonly birth: string | undefined
  /** The changes of own rows that are not durable yet. */
  readonly own: OwnLayer | undefined
  /** The names of its streams. */
  readonly streams: readonly string[]
  /** The last crash in a handler that has not succeeded since. */
  readonly crash: Crash | undefined
}

/** The kind and id of an actor, and both as one text. */
export type Identity = { readonly kind: string; readonly id: string; readonly entity: string }

/** The streams that most actors have. */
export const noStreams: readonly string[] = Object.freeze([])

/** The memory of an actor without rows. */
export const nothing: Memory = {
  state: undefined,
  mark: undefined,
  steps: [],
  alarms: new Map(),
  fields: {},
  birth: undefined,
  own: undefined,
  streams: noStreams,
  crash: undefined,
}

/** The main row. `shape` is the structural hash of a state machine, or ''. */
export const mainRow = (
  { state, steps, fields, birth, streams }: Memory,
  mark: TurnMark,
  version: number,
  shape: string,
): Uint8Array => {
  const recorded = steps.map(
    ({ step, name, payload, tries, notBefore, wakeAt, failure, trace }) => [
      step,
      name,
      packTries(tries, failure),
      notBefore,
      wakeAt,
      ...withTrace(payload, trace),
    ],
  )
  const isFailing = steps.some(({ failure }) => failure !== undefined)
  const hasStreams = streams !== noStreams
  const format = entityBodyFormat(birth !== undefined, isFailing, hasStreams)
  const body =
    birth === undefined
      ? [format, version, shape, recorded, fields, state]
      : [format, version, shape, recorded, fields, birth, state]
  if (hasStreams) body.splice(-1, 0, streams)
  if (state === undefined) body.pop()
  // The first part that may not be plain data: the steps, the index, or what follows it.
  const from = steps.length > 0 ? 3 : fields === nothing.fields ? 5 : 4
  const paths = birth === undefined ? bodyParts : bodyPartsOfOwn
  const named = hasStreams ? paths.toSpliced(-1, 0, ['streams']) : paths
  const row = encodeParts(body, named, markBytes, from)
  writeMark(row, 0, mark)
  return row
}

/** The parts of a body, as a refusal names them. */
const stepsPart = ['steps']
const bodyParts = [['format'], ['version'], ['shape'], stepsPart, ['index'], ['state']]
const bodyPartsOfOwn = bodyParts.toSpliced(-1, 0, ['birth'])

/**
 * The bytes of the parts after `room` free ones.
 * @throws KeelsonError `INVALID_ARGUMENT` with the path of what cannot be stored, as users know it
 */
const encodeParts = (
  parts: unknown[],
  paths: readonly (readonly string[])[],
  room = 0,
  from = 0,
): Buffer => {
  try {
    return encodeList(parts, room, from)
  } catch (error) {
    const { path: [at, ...below] = [], found } = (error as KeelsonError).details as {
      readonly path?: readonly (string | number)[]
      readonly found?: string
    }
    if (typeof at !== 'number') throw error
    // A step is a list, whose last member is what the user gave.
    const isPayload = paths[at] === stepsPart && below[1] === 5
    const named = isPayload ? below.with(1, 'payload') : below
    const path = [...(paths[at] ?? []), ...named]
    const message = `${path.join('.')} cannot be stored: ${found}`
    throw new KeelsonError('INVALID_ARGUMENT', message, { details: { path, found } })
  }
}

/** The content of the body of a main row. */
export type Body = Omit<EntityBody, 'steps'> & { readonly steps: readonly Step[] }

/** Reads the body of a main row. @throws KeelsonError as `readEntityBody` */
export const readBody = (bytes: Uint8Array): Body => {
  const body = readEntityBody(bytes)
  return { ...body, steps: body.steps.map(readStep) }
}

const readStep = ([step, name, tries, notBefore, wakeAt, ...last]: StoredStep): Step => ({
  step,
  name,
  notBefore,
  wakeAt,
  ...unpackTries(tries),
  ...readTraced(last),
})

/** The bytes of an alarm's row. */
const alarmBytes = (
  name: string,
  { setting, payload, at, tries, dueAt, failure, trace }: Alarm,
): Uint8Array =>
  encodeParts(
    [setting, at, packTries(tries, failure), dueAt, ...withTrace(payload, trace)],
    [[], [], [], [], ['alarms', name]],
  )

/** @throws KeelsonError `CORRUPT` */
export const readAlarm = (bytes: Uint8Array): Alarm => {
  const [setting, at, tries, dueAt, ...last] = decodeValue({
    tag: valueTags.structured,
    bytes,
  }) as [string, number, unknown, number, ...unknown[]]
  return { setting, at, dueAt, ...unpackTries(tries), ...readTraced(last) }
}

/** The name in the due row of steps. No alarm's name begins with `$`. */
export const stepsName = '$steps'

/** The soonest time at which the steps need their actor awake. */
const wakeFor = (steps: readonly Step[]): number | undefined =>
  steps.reduce<number | undefined>(
    (soonest, step) => (isParked(step) ? soonest : Math.min(soonest ?? step.wakeAt, step.wakeAt)),
    undefined,
  )

const dueOf = (alarm: Alarm | undefined): number | undefined =>
  alarm === undefined || isParked(alarm) ? undefined : alarm.dueAt

/** The index field under which actors with parked steps and alarms are found. No user's has a $. */
export const parkedField = '$parked'

/** A parked step or alarm. */
export type Parked = {
  readonly kind: 'continue' | 'alarm'
  readonly name: string
  /** The name of the step, or of the setting of the alarm. */
  readonly step: string
  readonly tries: number
  readonly failure: Failure
}

/** The steps and alarms that are parked. */
export const parkedIn = ({
  steps,
  alarms,
}: Pick<Memory, 'steps' | 'alarms'>): readonly Parked[] => {
  const parked: Parked[] = []
  for (const { name, step, tries, failure } of steps)
    if (failure?.next === 'unblock') parked.push({ kind: 'continue', name, step, tries, failure })
  for (const [name, alarm] of alarms) {
    const { tries, failure } = alarm
    if (failure?.next !== 'unblock') continue
    parked.push({ kind: 'alarm', name, step: settingOf(name, alarm), tries, failure })
  }
  return parked
}

/** The name of the setting of an alarm among the steps of its actor. */
export const settingOf = (name: string, { setting }: Alarm): string => `${setting}/alarm/${name}`

const parkedBytes = (parked: readonly Parked[]): Uint8Array =>
  encodeList(
    parked.map(({ kind, name, step, tries, failure }) => [
      kind,
      name,
      step,
      packTries(tries, failure),
    ]),
  )

/** @throws KeelsonError `CORRUPT` */
export const readParked = (bytes: Uint8Array): readonly Parked[] => {
  const read = decodeValue({ tag: valueTags.structured, bytes }) as readonly (readonly [
    ...['continue' | 'alarm', string, string],
    unknown,
  ])[]
  return read.map(([kind, name, step, packed]) => {
    const { tries, failure } = unpackTries(packed)
    return { kind, name, step, tries, failure: failure as Failure }
  })
}

/** The index field under which actors are found whose process has crashed. No user's has a $. */
export const crashField = '$crashed'

/** The row of the crash of an actor. It is none of the main row, which each turn writes. */
export const crashRowKey = (entity: string): string => {
  const slash = entity.indexOf('/')
  const [kind, id] = [entity.slice(0, slash), entity.slice(slash + 1)]
  return indexRowKey(kind, crashField, encodeIndexValue(null), id)
}

const crashBytes = ({ what, count, failure }: Crash): Uint8Array =>
  encodeList([what, packTries(count, failure)])

/** @throws KeelsonError `CORRUPT` */
export const readCrash = (bytes: Uint8Array): Crash => {
  const [what, packed] = decodeValue({ tag: valueTags.structured, bytes }) as [string, unknown]
  const { tries: count, failure } = unpackTries(packed)
  return { what, count, failure: failure as Failure }
}

/** The rows beside the main row that differ between two memories. Most turns change none. */
export const rowChanges = (
  identity: Identity,
  before: Memory,
  after: Memory,
): readonly EntityRowChange[] => {
  const { alarms, steps, fields, crash } = before
  const isSame = alarms === after.alarms && steps === after.steps && fields === after.fields
  return isSame && crash === after.crash ? [] : differences(identity, before, after)
}

const differences = (
  { kind, id, entity }: Identity,
  before: Memory,
  after: Memory,
): readonly EntityRowChange[] => {
  const changes: EntityRowChange[] = []
  const due = (name: string, from: number | undefined, to: number | undefined): void => {
    if (from === to) return
    if (from !== undefined) changes.push([dueRowKey(from, entity, name), undefined])
    if (to !== undefined) changes.push([dueRowKey(to, entity, name), noBytes])
  }
  if (before.alarms !== after.alarms)
    for (const name of new Set([...before.alarms.keys(), ...after.alarms.keys()])) {
      const [old, next] = [before.alarms.get(name), after.alarms.get(name)]
      if (old === next) continue
      changes.push([alarmRowKey(entity, name), next && alarmBytes(name, next)])
      due(name, dueOf(old), dueOf(next))
    }
  due(stepsName, wakeFor(before.steps), wakeFor(after.steps))
  if (before.alarms !== after.alarms || before.steps !== after.steps)
    changes.push(...parkedChange(kind, id, parkedIn(before), parkedIn(after)))
  if (before.crash !== after.crash)
    changes.push([crashRowKey(entity), after.crash && crashBytes(after.crash)])
  if (before.fields !== after.fields)
    for (const field of namesIn(before.fields, after.fields)) {
      const [old, next] = [ownOf(before.fields, field), ownOf(after.fields, field)]
      if (old === next) continue
      const keyOf = (value: NonNullable<typeof old> | null): string =>
        indexRowKey(kind, field, encodeIndexValue(value), id)
      if (old !== undefined) changes.push([keyOf(old), undefined])
      if (next !== undefined) changes.push([keyOf(next), noBytes])
    }
  return changes
}

/** The names of the fields of both, each once. Most turns have the fields of the one before. */
const namesIn = (before: Fields, after: Fields): readonly string[] => {
  const names = Object.keys(after)
  for (const field of Object.keys(before)) if (!Object.hasOwn(after, field)) names.push(field)
  return names
}

const parkedChange = (
  kind: string,
  id: string,
  before: readonly Parked[],
  after: readonly Parked[],
): readonly EntityRowChange[] => {
  const isSame =
    before.length === after.length &&
    before.every(({ failure }, at) => failure === after[at]?.failure)
  if (isSame) return []
  const key = indexRowKey(kind, parkedField, encodeIndexValue(null), id)
  return [[key, after.length === 0 ? undefined : parkedBytes(after)]]
}

const noBytes = new Uint8Array(0)
