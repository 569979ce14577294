/** A hash of what entries say, from the journal or from PostgreSQL: the order of fields is no matter. */
import { createHash } from 'node:crypto'

/** An entry as plain values. Its events and side effects have a type, a version and a value. */
export type Said = {
  readonly id: string
  readonly type: string
  readonly command: unknown
  readonly response: unknown
  readonly events: unknown
  readonly effects: unknown
}

export class Digest {
  readonly #hash = createHash('sha256')
  entries = 0

  add({ id, type, command, response, events, effects }: Said): void {
    this.#hash.update(sorted([id, type, command, response, events, effects]))
    this.entries++
  }

  toString(): string {
    return this.#hash.copy().digest('hex')
  }
}

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, part) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort())
      : part,
  )
