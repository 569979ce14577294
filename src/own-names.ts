/**
 * Look-ups by a name that comes from outside: of a message, a row, a request, a command. A plain
 * object answers for the members of `Object.prototype`, too: `answers['toString']` is a function
 * that nobody declared. So every such look-up goes through `ownOf` or reads a `Table`. Pure.
 */

declare const bare: unique symbol

/** A record without a prototype, in which a look-up finds own members alone. `tableOf` makes it. */
export type Table<T> = Readonly<Record<string, T>> & { readonly [bare]: true }

/** A table of the enumerable own members of the records; a later one replaces an earlier one. */
export const tableOf = <T>(
  ...records: readonly (Readonly<Record<string, T>> | undefined)[]
): Table<T> => Object.assign(Object.create(null), ...records)

/** The own member `name` of a record; `undefined` without one, and for a name that is no text. */
export const ownOf = <R extends object, N extends PropertyKey>(
  record: R | undefined,
  name: N,
): (N extends keyof R ? R[N] : R[keyof R]) | undefined =>
  record !== undefined && isName(name) && Object.hasOwn(record, name)
    ? Reflect.get(record, name)
    : undefined

/**
 * No options: the default of each parameter for options. In `{}` the members of `Object.prototype`
 * would be options, such as a `limit` that a library adds there. V8 reads it as fast as `{}`: only its
 * prototype has none, because an object without one is a hash table, at four times the cost.
 */
export const noOptions: Readonly<Record<never, never>> = Object.freeze(
  Object.create(Object.freeze(Object.create(null))),
)

/** `name in record`, of own members alone. It separates the members of a union, as `in` does. */
export const hasOwn = <R extends object, N extends PropertyKey>(
  record: R,
  name: N,
): record is R extends unknown ? (N extends keyof R ? R : never) : never =>
  Object.hasOwn(record, name)

/** An object would be made a text by its own `toString`, which may name another member each time. */
const isName = (name: unknown): name is PropertyKey =>
  typeof name === 'string' || typeof name === 'number' || typeof name === 'symbol'
