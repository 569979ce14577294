/**
 * Checks of messages to storage actors. A message that fails its check is refused, and the actor
 * continues. Pure.
 */
import type { Accepts } from '../../runtime/index.ts'

/** Accepts any payload: it is not read. */
export const isIgnored: Accepts = () => true

/** A string. */
export const isText: Accepts = (payload) => typeof payload === 'string'

/** `true` or `false`. */
export const isFlag: Accepts = (payload) => typeof payload === 'boolean'

/** A whole number of at least 0: an LSN, the number of a shard. */
export const isCount: Accepts = (payload) => Number.isSafeInteger(payload) && Number(payload) >= 0

/** A time in ms, above 0; `Infinity` included. */
export const isTime: Accepts = (payload) => typeof payload === 'number' && payload > 0

/** A list. Its members are not checked: lists between storage actors may be long. */
export const isList: Accepts = (payload) => Array.isArray(payload)

/** A list of members that `item` accepts. A hole is `undefined`, which `every` would pass over. */
export const isListOf =
  (item: Accepts): Accepts =>
  (payload) =>
    Array.isArray(payload) && payload.findIndex((each) => !item(each)) < 0

/** One of these values. */
export const isOneOf =
  (...words: readonly unknown[]): Accepts =>
  (payload) =>
    words.includes(payload)

/** A payload that `check` accepts, or `undefined`. */
export const isOptional =
  (check: Accepts): Accepts =>
  (payload) =>
    payload === undefined || check(payload)

/** An instance of a class. Code outside storage cannot make instances of the classes used here. */
export const isInstance =
  (of: abstract new (...parameters: never[]) => unknown): Accepts =>
  (payload) =>
    payload instanceof of

/** An object with these fields. */
export const isRecord = (fields: Readonly<Record<string, Accepts>>): Accepts => {
  const checks = Object.entries(fields)
  return (payload) =>
    typeof payload === 'object' &&
    payload !== null &&
    checks.every(([name, check]) => check(Reflect.get(payload, name)))
}

/** A result that `context.pipe` sends: a failure, or a value that `value` accepts. */
export const isSettled =
  (value: Accepts = isIgnored): Accepts =>
  (payload) =>
    isRecord({ ok: isFlag })(payload) &&
    (Reflect.get(payload as object, 'ok') === false
      ? Reflect.has(payload as object, 'error')
      : value(Reflect.get(payload as object, 'value')))
