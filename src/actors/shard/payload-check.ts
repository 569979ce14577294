/** Checks of what storage actors are sent. A message that fails its check is refused, and the actor lives on. Pure. */
import type { Accepts } from '../../runtime/index.ts'

/** For a message whose payload is not read. */
export const isIgnored: Accepts = () => true

/** A text. */
export const isText: Accepts = (payload) => typeof payload === 'string'

/** `true` or `false`. */
export const isFlag: Accepts = (payload) => typeof payload === 'boolean'

/** A whole number from 0 on: an LSN, a shard's number. */
export const isCount: Accepts = (payload) => Number.isSafeInteger(payload) && Number(payload) >= 0

/** A time in ms, above 0; `Infinity` included. */
export const isTime: Accepts = (payload) => typeof payload === 'number' && payload > 0

/** Any function. */
export const isFunction: Accepts = (payload) => typeof payload === 'function'

/** A list, whose members are not looked at: lists between storage actors may be long. */
export const isList: Accepts = (payload) => Array.isArray(payload)

/** A list of what `item` accepts. */
export const isListOf =
  (item: Accepts): Accepts =>
  (payload) =>
    Array.isArray(payload) && payload.every(item)

/** One of these words. */
export const isOneOf =
  (...words: readonly unknown[]): Accepts =>
  (payload) =>
    words.includes(payload)

/** What `check` accepts, or nothing. */
export const isOptional =
  (check: Accepts): Accepts =>
  (payload) =>
    payload === undefined || check(payload)

/** An object of a class. No code from outside storage can make one of the classes in use here. */
export const isInstance =
  (of: abstract new (...parameters: never[]) => unknown): Accepts =>
  (payload) =>
    payload instanceof of

/** An object with these fields. */
export const isRecord =
  (fields: Readonly<Record<string, Accepts>>): Accepts =>
  (payload) =>
    typeof payload === 'object' &&
    payload !== null &&
    Object.entries(fields).every(([name, check]) => check(Reflect.get(payload, name)))

/** What `context.pipe` sends: a failure, or a value that `value` accepts. */
export const isSettled =
  (value: Accepts = isIgnored): Accepts =>
  (payload) =>
    isRecord({ ok: isFlag })(payload) &&
    (Reflect.get(payload as object, 'ok') === false ||
      value(Reflect.get(payload as object, 'value')))
