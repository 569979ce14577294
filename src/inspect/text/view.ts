/** A text that is printed as it is: what commands of the prompt answer when the answer is for eyes. */
import { inspect } from 'node:util'

/** A text for eyes. `util.inspect`, and with it every way of printing values, shows the text itself. */
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

// Lines that come later: what a command of the prompt answers when there is more to see after its answer.

/** A text for eyes, and lines that follow it as things happen. Whoever shows the text says where the lines go. */
export class Feed extends View {
  #print: ((line: string) => void) | undefined = undefined
  /** Lines that came before anybody said where they go. */
  readonly #early: string[] = []

  /** Shows the lines from now on, those that came already first. */
  show(print: (line: string) => void): void {
    this.#print = print
    for (const line of this.#early.splice(0)) print(line)
  }

  /** A further line. */
  add(line: string): void {
    if (this.#print === undefined) this.#early.push(line)
    else this.#print(line)
  }
}
