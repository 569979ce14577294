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
