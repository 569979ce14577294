/** Options that may be read once: a call that keeps them, and reads them again later, fails. */

/** The same options, each of which throws at its second read. */
export const readOnce = <T extends object>(options: T): T =>
  Object.defineProperties(
    {},
    Object.fromEntries(
      Object.entries(options).map(([name, value]) => {
        let reads = 0
        const get = (): unknown => {
          if (reads++ > 0) throw new Error(`${name} was read again`)
          return value
        }
        return [name, { enumerable: true, get }]
      }),
    ),
  ) as T

/** A list of two members, with a hole between them. */
export const holed = <T>(a: T, b: T): T[] => Object.assign([a], { 2: b })

/** An object with these members, none of which can be read. */
export const readNever = (names: readonly string[]): object => {
  const get = (): never => {
    throw new Error('it cannot be read')
  }
  return Object.defineProperties(
    {},
    Object.fromEntries(names.map((name) => [name, { enumerable: true, get }])),
  )
}
