/**
 * Freezes states. A durable state is changed by returning another one: a change in place would be
 * lost. Outside of production such a change throws where it happens. Bytes cannot be frozen.
 */

/**
 * Freezes a state and everything in it. Without recursion: a state that is too deep to be stored is
 * refused later, by its path.
 */
export const frozen = <T>(state: T): T => {
  if (typeof state !== 'object') return state
  const left: unknown[] = [state]
  const walked = new Set<object>()
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null || walked.has(value)) continue
    const methods = changing(value)
    // A value that cannot be stored is not frozen: a Ref leads to processes, and the turn is
    // refused.
    if (methods === undefined) continue
    walked.add(value)
    if (value instanceof Map || value instanceof Set)
      for (const [key, member] of value.entries()) left.push(key, member)
    for (const member of Object.values(value)) left.push(member)
    if (Object.isFrozen(value)) continue
    for (const method of methods) refuse(value, method)
    Object.freeze(value)
  }
  return state
}

/** The methods that change a value inside; `undefined` for what is not a part of a state. */
const changing = (value: object): readonly string[] | undefined => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value) || prototype === Object.prototype || prototype === null) return []
  if (value instanceof Map) return ['set', 'delete', 'clear']
  if (value instanceof Set) return ['add', 'delete', 'clear']
  return value instanceof Date ? dateSetters : undefined
}

const dateSetters: readonly string[] = Object.getOwnPropertyNames(Date.prototype).filter((name) =>
  name.startsWith('set'),
)

/** `Object.freeze` does not reach what is inside of a Map, a Set or a Date. */
const refuse = (value: object, method: string): void => {
  Object.defineProperty(value, method, {
    value: () => {
      throw new TypeError(`cannot ${method}: a durable state is changed by returning another one`)
    },
  })
}
