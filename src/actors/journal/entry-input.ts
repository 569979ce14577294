/**
 * The input of an application to the journal, checked and made payloads. Values become payloads of
 * version 1; bytes that are payloads already are taken as they are. Pure.
 */
import { types } from 'node:util'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type EntryContent,
  type EventPayload,
  eventPayload,
  readEventPayload,
  type TypedPayload,
} from '../../storage/index.ts'
import { checkedField, ownOptions } from '../core/argument-check.ts'

/** The types of values, by the type of event or effect that carries them. */
export type PayloadTypes = Readonly<Record<string, unknown>>

/**
 * A value, or its payload as `eventPayload` makes it. A Uint8Array is always a payload: bytes as a
 * value go through `eventPayload`.
 */
export type PayloadInput<T = unknown> = T | EventPayload<T>

/** An event or a side effect to journal. */
export type TypedInput<Types extends PayloadTypes = PayloadTypes> = {
  readonly [Type in keyof Types & string]: {
    readonly type: Type
    readonly payload: PayloadInput<Types[Type]>
  }
}[keyof Types & string]

/**
 * An entry to journal. `id` and the types have 1 to 512 bytes without NUL. An absent command or
 * response is `null`.
 */
export type EntryInput<
  Events extends PayloadTypes = PayloadTypes,
  Effects extends PayloadTypes = PayloadTypes,
> = {
  /** The entry counts once, however often it is appended. */
  readonly id: string
  readonly type: string
  readonly command?: PayloadInput
  readonly response?: PayloadInput
  /** Emitted to subscribers, in order. */
  readonly events?: readonly TypedInput<Events>[]
  /** Kept for replays and replicas, never emitted. */
  readonly effects?: readonly TypedInput<Effects>[]
}

const entryNames = ['id', 'type', 'command', 'response', 'events', 'effects']
const typedNames = ['type', 'payload']

/**
 * The content of an entry.
 * @throws KeelsonError `INVALID_ARGUMENT` with `details.path`
 */
export const entryContentOf = (entry: EntryInput): EntryContent => {
  const { id, type, command, response, events, effects } = ownOptions(entry, entryNames)
  return {
    id: checkedField(id, 'id'),
    type: checkedField(type, 'type'),
    command: payloadOf(command, 'command'),
    response: payloadOf(response, 'response'),
    events: events === undefined ? [] : typedOf(events, 'events'),
    effects: effects === undefined ? [] : typedOf(effects, 'effects'),
  }
}

const typedOf = (list: readonly TypedInput[], name: string): readonly TypedPayload[] => {
  if (!Array.isArray(list)) throw invalidArgument(name, 'a list', list)
  // A hole is refused, as `undefined` is.
  return Array.from(list, (item: TypedInput, at) => {
    const { type, payload } = ownOptions(item, typedNames, [name, at])
    return {
      type: checkedField(type, [name, at, 'type']),
      payload: payloadOf(payload, name, at),
    }
  })
}

const nothing = eventPayload(null)

/** The payload of `input`, the argument `name` or the item `at` of the list `name`. */
const payloadOf = (input: unknown, name: string, at?: number): EventPayload => {
  if (input === undefined && at === undefined) return nothing
  try {
    if (!types.isUint8Array(input)) return eventPayload(input)
    readEventPayload(input)
    return input
  } catch (error) {
    throw refusalAt(at === undefined ? [name] : [name, at, 'payload'], input, error)
  }
}

/** The refusal of a value, with its path in the entry. */
const refusalAt = (path: readonly (string | number)[], input: unknown, error: unknown): unknown => {
  if (isKeelsonError(error, 'CORRUPT'))
    return invalidArgument(path, 'a value, or a payload that eventPayload made', input)
  if (!isKeelsonError(error, 'INVALID_ARGUMENT')) return error
  const below = (error.details.path ?? []) as readonly (string | number)[]
  return new KeelsonError('INVALID_ARGUMENT', error.message, {
    details: { ...error.details, path: [...path, ...below] },
    cause: error,
  })
}
