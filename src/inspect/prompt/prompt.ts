/**
 * The prompt: reads lines, has a session run each after the one before is done, and prints its
 * answer. On a terminal it has editing, history and completion. From a pipe the same lines give the
 * same output. A failing line prints its error, and the next one runs.
 */
import {
  clearScreenDown,
  createInterface,
  cursorTo,
  type Interface,
  moveCursor,
} from 'node:readline'
import { type Environment, type Input, isTerminal, printLine } from '../command/environment.ts'
import { errorText } from '../text/error-view.ts'
import { type Run, runBreakable } from './evaluation.ts'
import { historyMax, readHistory, writeHistory } from './history-file.ts'
import { HistorySearch } from './history-search.ts'
import type { Answer, Session } from './session.ts'

/** The parts of a prompt. */
export type PromptOptions = {
  readonly environment: Pick<Environment, 'input' | 'output'>
  readonly session: Session
  /** The file of earlier lines, for a terminal. */
  readonly history?: string | undefined
}

const promptText = 'keelson> '
const continuedText = '     ... '

/** One session of lines. */
export class Prompt {
  readonly #options: PromptOptions
  readonly #lines: Interface
  /** Made with the interface: lines that arrive before `run` wait. */
  readonly #queue: AsyncIterable<string>
  /** Runs a line, if not in the usual way. */
  readonly #run: Run | undefined
  /** On a terminal. */
  #search: HistorySearch | undefined
  /** Incomplete lines. */
  #pending = ''
  /** Abandons the running line; set while one runs. */
  #leave: (() => void) | undefined
  #interruptedIdle = false
  #isClosed = false
  /** No more lines run. */
  #isOver = false

  constructor(options: PromptOptions) {
    this.#options = options
    const { input, output } = options.environment
    const terminal = isTerminal(options.environment)
    const earlier = terminal && options.history ? readHistory(options.history) : []
    this.#lines = createInterface({
      input,
      ...(terminal ? { output, completer: completerOf(options.session) } : {}),
      terminal,
      prompt: promptText,
      // The list becomes readline's own.
      ...(earlier.length > 0 ? { history: [...earlier] } : {}),
      historySize: historyMax,
      removeHistoryDuplicates: true,
    })
    this.#run = terminal ? cooked(input) : undefined
    const lines = this.#lines[Symbol.asyncIterator]()
    this.#queue = { [Symbol.asyncIterator]: () => lines }
    this.#lines.on('close', () => {
      this.#isClosed = true
    })
    if (!terminal) return
    this.#search = new HistorySearch(this.#lines, options.environment, earlier, () =>
      this.#setPrompt(),
    )
    const { history } = options
    if (history) this.#lines.on('history', (lines) => writeHistory(history, lines))
    this.#lines.on('SIGINT', () => this.#interrupt())
    // readline pauses itself when the job continues after Ctrl-Z.
    this.#lines.on('SIGCONT', () => this.#lines.resume())
  }

  /** Runs lines until their end, or `close`. Rejects if the session does. */
  async run(): Promise<void> {
    try {
      this.#ask()
      for await (const line of this.#queue) {
        if (isEnd(line)) break
        if (this.#pending === '' && isClear(line)) this.#clearScreen()
        else await this.#take(line)
        this.#ask()
      }
      if (this.#pending !== '') printLine(this.#options.environment.output, errorText(endedEarly()))
    } finally {
      this.#isOver = true
      this.#lines.close()
    }
  }

  /** Takes no more lines. */
  close(): void {
    this.#lines.close()
  }

  async #take(line: string): Promise<void> {
    this.#interruptedIdle = false
    const source = this.#pending === '' ? line : `${this.#pending}\n${line}`
    const { session, environment } = this.#options
    const answer = await this.#untilLeft(session.run(source, this.#run))
    this.#pending = answer?.isUnfinished ? source : ''
    if (answer?.text !== undefined) printLine(environment.output, answer.text)
    answer?.feed?.show((line) => {
      if (!this.#isOver) this.print(line)
      return !this.#isOver
    })
  }

  /** The answer, unless Ctrl-C abandons the line first. */
  async #untilLeft(answer: Promise<Answer>): Promise<Answer | undefined> {
    const left = new Promise<undefined>((resolve) => {
      this.#leave = () => resolve(undefined)
    })
    try {
      return await Promise.race([answer, left])
    } finally {
      this.#leave = undefined
    }
  }

  /**
   * Prints asynchronous output: lines of a feed or of the log. On a terminal it replaces the text
   * that is being typed, which appears again below it.
   */
  print(line: string): void {
    const { output } = this.#options.environment
    const asks = this.#lines.terminal && !this.#isClosed && this.#leave === undefined
    if (!asks) {
      printLine(output, line)
      return
    }
    // The typed text may have several rows. readline moves up by as many before it draws them.
    const { rows } = this.#lines.getCursorPos()
    moveCursor(output, 0, -rows)
    output.write('\r')
    clearScreenDown(output)
    printLine(output, `${line}${'\n'.repeat(rows)}`)
    this.#lines.prompt(true)
    this.#search?.redraw()
  }

  #ask(): void {
    // Lines may be left when the input has ended: they run without a prompt.
    if (this.#isClosed || !this.#lines.terminal) return
    this.#setPrompt()
    this.#lines.prompt()
  }

  #setPrompt(): void {
    this.#lines.setPrompt(this.#pending === '' ? promptText : continuedText)
  }

  /**
   * Ctrl-C abandons the running line, clears the typed text, and on an empty line ends at the
   * second press.
   */
  #interrupt(): void {
    const isEmpty = this.#lines.line === '' && this.#pending === ''
    if (this.#leave) {
      printLine(this.#options.environment.output, '\n(left alone; it continues by itself)')
      this.#leave()
    } else if (isEmpty && this.#interruptedIdle) this.#lines.close()
    else this.#clear(isEmpty)
  }

  #clearScreen(): void {
    const { output } = this.#options.environment
    if (!this.#lines.terminal) return
    cursorTo(output, 0, 0)
    clearScreenDown(output)
  }

  #clear(isEmpty: boolean): void {
    this.#interruptedIdle = isEmpty
    this.#pending = ''
    const hint = isEmpty ? '\n(Ctrl-C again, Ctrl-D or .exit ends)' : ''
    printLine(this.#options.environment.output, hint)
    // readline clears its line so: to its end, then back to its beginning.
    this.#lines.write(null, { ctrl: true, name: 'e' })
    this.#lines.write(null, { ctrl: true, name: 'u' })
    this.#ask()
  }
}

/** Completion for readline. It may be slow: readline waits with the keys that follow. */
const completerOf =
  (session: Session) =>
  (line: string, done: (error: null, completion: [string[], string]) => void): void => {
    session.complete(line).then(
      ([words, typed]) => done(null, [words, typed]),
      () => done(null, [[], line]),
    )
  }

/** The words that end a session. */
const isEnd = (line: string): boolean => /^(\.exit|(exit|quit)(\(\))?;?)$/.test(line.trim())

/** The word that clears the screen. */
const isClear = (line: string): boolean => /^clear(\(\))?;?$/.test(line.trim())

/** Runs with the terminal out of raw mode, in which Ctrl-C would be an unread key. */
const cooked =
  (input: Input): Run =>
  (code) => {
    const wasRaw = input.isRaw === true
    if (wasRaw) input.setRawMode?.(false)
    try {
      return runBreakable(code)
    } finally {
      if (wasRaw) input.setRawMode?.(true)
    }
  }

const endedEarly = (): SyntaxError => new SyntaxError('the input ended within an expression')
