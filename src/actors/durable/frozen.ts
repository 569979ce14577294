/**
 * Freezes states. A durable state is changed by returning another one: a change in place would be
 * lost. Outside of production such a change throws where it happens. Bytes cannot be frozen.
 */

/** Freezes a value with everything in it. A part that is frozen already is not walked again. */
export const frozen = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (ArrayBuffer.isView(value)) return value
  if (value instanceof Map || value instanceof Set) {
    for (const [key, member] of value.entries()) {
      frozen(key)
      frozen(member)
    }
    for (const change of ['set', 'add', 'delete', 'clear']) refuse(value, change)
  } else if (value instanceof Date) refuse(value, 'setTime')
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}

/** `Object.freeze` does not reach what is inside of a Map, a Set or a Date. */
const refuse = (value: object, method: string): void => {
  Object.defineProperty(value, method, {
    value: () => {
      throw new TypeError(`cannot ${method}: a durable state is changed by returning another one`)
    },
  })
}
