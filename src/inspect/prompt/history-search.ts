/**
 * Ctrl-R: searches the earlier lines for a text, as a shell does. `node:readline` edits that text;
 * what is found is drawn after it here. Ctrl-R again finds an older line, Enter runs it, Ctrl-G
 * gives back what was typed before, and any other key that does not edit the text takes the line.
 * It is apart from `prompt.ts` because `node:readline` has no such search.
 */
import { clearLine, type Interface } from 'node:readline'
import type { Environment } from '../command/environment.ts'

type Key = { readonly name?: string; readonly ctrl?: boolean; readonly meta?: boolean }

const searching = '(reverse-i-search)`'
const failing = '(failed reverse-i-search)`'

/** The search of one prompt. */
export class HistorySearch {
  readonly #lines: Interface
  readonly #output: Environment['output']
  /** Sets the prompt of the line that is typed. */
  readonly #setPrompt: () => void
  /** The latest first. */
  #history: readonly string[]
  /** The line before the search; `undefined` while nothing is sought. */
  #typed: string | undefined
  #sought = ''
  /** The place of the line that was found last. */
  #at = -1

  constructor(
    lines: Interface,
    { input, output }: Pick<Environment, 'input' | 'output'>,
    history: readonly string[],
    setPrompt: () => void,
  ) {
    this.#lines = lines
    this.#output = output
    this.#history = history
    this.#setPrompt = setPrompt
    lines.on('history', (found) => {
      this.#history = found
    })
    // A key is seen before readline has it, and after.
    input.prependListener('keypress', (_: unknown, key: Key) => this.#take(key))
    input.on('keypress', () => this.redraw())
  }

  /** Draws the line that is found after the text that is sought. */
  redraw(): void {
    if (this.#typed === undefined) return
    const { line } = this.#lines
    if (line !== this.#sought) this.#find(line, 0)
    const { cols } = this.#lines.getCursorPos()
    const room = (this.#output.columns ?? 80) - cols - 1
    const text = `': ${this.#history[this.#at] ?? ''}`
    const shown = text.length <= room ? text : `${text.slice(0, Math.max(0, room - 1))}…`
    clearLine(this.#output, 1)
    // The cursor is saved, and goes back.
    this.#output.write(`\x1b7${shown}\x1b8`)
  }

  #take({ name, ctrl, meta }: Key): void {
    if (ctrl && name === 'r') {
      if (this.#typed === undefined) this.#begin()
      else if (this.#at >= 0) this.#find(this.#sought, this.#at + 1)
    } else if (this.#typed !== undefined) {
      const edits = name === 'backspace' || (!ctrl && !meta && !leaving.includes(name ?? ''))
      if (!edits) this.#end(ctrl && (name === 'g' || name === 'c'))
    }
  }

  #begin(): void {
    this.#typed = this.#lines.line
    this.#sought = ''
    this.#at = -1
    this.#lines.setPrompt(searching)
    this.#replace('')
  }

  /** Finds the latest line with the text that is not before `from`. */
  #find(sought: string, from: number): void {
    this.#sought = sought
    const found = this.#history.findIndex((line, at) => at >= from && line.includes(sought))
    const isFound = sought !== '' && found >= 0
    if (isFound) this.#at = found
    else if (from === 0) this.#at = -1
    this.#lines.setPrompt(isFound || sought === '' ? searching : failing)
    this.#lines.prompt(true)
  }

  #end(isGivenUp: boolean | undefined): void {
    const line = isGivenUp ? this.#typed : this.#history[this.#at]
    this.#setPrompt()
    this.#replace(line ?? this.#typed ?? '')
    this.#typed = undefined
  }

  #replace(line: string): void {
    // To the end of the line, then all before it goes.
    this.#lines.write(null, { ctrl: true, name: 'e' })
    this.#lines.write(null, { ctrl: true, name: 'u' })
    this.#lines.write(line)
    this.#lines.prompt(true)
  }
}

/** Keys that take the line, and go on with it. */
const leaving = [
  'return',
  'enter',
  'escape',
  'tab',
  'up',
  'down',
  'left',
  'right',
  'home',
  'end',
  'delete',
  'pageup',
  'pagedown',
]
