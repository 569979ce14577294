/** What a store that is killed must hold: every acknowledged write, and of each writer at most the one under way. */

/** One change of a key: command, key, number, length, field. */
export type Change = readonly [string, string, number, number?, string?]

/** A value: the text of a key, or the fields of a compound key. */
export type Held = string | ReadonlyMap<string, string>

/** The text that a child writes. */
export const textOf = (number: number, length = 0): string => `${number} `.padEnd(length, 'x')

/** The writer of a key, which no other one writes. */
const writerOf = (key: string): number => Number(/^[a-z](\d+)/.exec(key)?.[1] ?? Number.NaN)

const changed = (held: Map<string, Held>, change: Change): void => {
  const [command, key, number, length, field = ''] = change
  const before = held.get(key)
  if (command === 'put') held.set(key, textOf(number, length))
  if (command === 'delete') held.delete(key)
  if (command === 'append') held.set(key, `${before ?? ''}${textOf(number, length)}`)
  if (command === 'putField')
    held.set(
      key,
      new Map([...(before instanceof Map ? before : [])]).set(field, textOf(number, length)),
    )
}

const isSame = (one: Held | undefined, other: Held | undefined): boolean => {
  if (!(one instanceof Map && other instanceof Map)) return one === other
  return one.size === other.size && [...one].every(([field, text]) => other.get(field) === text)
}

const short = (held: Held | undefined): string =>
  typeof held === 'string' ? `${held.slice(0, 24)} (${held.length})` : `${held && [...held.keys()]}`

/** The keys of one store, kept by the process that is not killed. */
export class WrittenKeys {
  readonly held = new Map<string, Held>()
  readonly #underWay = new Map<number, readonly Change[]>()

  /** A writer calls a write. */
  calls(writer: number, changes: readonly Change[]): void {
    this.#underWay.set(writer, changes)
  }

  /** The write of a writer was answered. */
  answered(writer: number): void {
    for (const change of this.#underWay.get(writer) ?? []) changed(this.held, change)
    this.#underWay.delete(writer)
  }

  /**
   * Holds what a store has against it. A write that was under way is there as a whole or not at all,
   * and what is found counts from now on. @throws Error naming what is lost or wrong
   */
  settle(found: ReadonlyMap<string, Held>): void {
    const wrong = this.#differences(found)
    const writers = new Set(wrong.map(writerOf))
    for (const writer of this.#underWay.keys()) if (writers.has(writer)) this.answered(writer)
    this.#underWay.clear()
    const [key, ...others] = this.#differences(found)
    if (key === undefined) return
    const [expected, there] = [short(this.held.get(key)), short(found.get(key))]
    throw new Error(`${1 + others.length} keys are wrong: ${key} is ${there}, not ${expected}`)
  }

  #differences(found: ReadonlyMap<string, Held>): string[] {
    const keys = new Set([...this.held.keys(), ...found.keys()])
    return [...keys].filter((key) => !isSame(this.held.get(key), found.get(key)))
  }
}
