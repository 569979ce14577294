/** A text that the prompt prints as it is, the result of commands whose output is for reading. */
import { inspect } from 'node:util'

/**
 * A text for reading. `util.inspect`, and so every way of printing values, shows the text itself.
 */
export class View {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }

  [inspect.custom](): string {
    return this.text
  }
}

// Lines that follow later: the result of a command whose output continues.

/**
 * A text for reading, and lines that follow it as they happen. The printer of the text chooses
 * where the lines go.
 */
export class Feed extends View {
  #print: ((line: string) => unknown) | undefined = undefined
  /** Lines that arrived before a destination was set. */
  readonly #early: string[] = []

  /**
   * Sets the destination of the lines, and writes the earlier ones first. It answers false when
   * nobody reads there from now on.
   */
  show(print: (line: string) => unknown): void {
    this.#print = print
    for (const line of this.#early.splice(0)) print(line)
  }

  /** Adds a line. False: nobody reads it. */
  add(line: string): boolean {
    if (this.#print !== undefined) return this.#print(line) !== false
    this.#early.push(line)
    return true
  }
}
