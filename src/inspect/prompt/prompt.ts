/**
 * The prompt: reads lines, runs each after the one before is done, and prints its value. On a
 * terminal it has editing, history and completion. From a pipe the same lines give the same output.
 * A failing line prints its error, and the next one runs.
 */
import { clearScreenDown, createInterface, type Interface, moveCursor } from 'node:readline'
import { inspect } from 'node:util'
import { type Environment, type Input, printLine } from '../command/environment.ts'
import { errorText } from '../text/error-view.ts'
import { Feed, View } from '../text/view.ts'
import { type Evaluation, evaluate, type Run, runBreakable } from './evaluation.ts'
import { historyMax, readHistory, writeHistory } from './history-file.ts'
import type { PromptWords } from './prompt-words.ts'

/** The parts of a prompt. */
export type PromptOptions = {
  readonly environment: Pick<Environment, 'input' | 'output'>
  readonly words: PromptWords
  readonly colours: boolean
  /** Show stacks of errors. */
  readonly verbose: boolean
  /** More words to complete, read at each Tab. */
  readonly completions: () => readonly string[]
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
    const terminal = input.isTTY === true && output.isTTY === true
    this.#lines = createInterface({
      input,
      ...(terminal ? { output, completer: (line: string) => this.#complete(line) } : {}),
      terminal,
      prompt: promptText,
      ...(terminal && options.history ? { history: readHistory(options.history) } : {}),
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
    const { history } = options
    if (history) this.#lines.on('history', (lines) => writeHistory(history, lines))
    this.#lines.on('SIGINT', () => this.#interrupt())
    // readline pauses itself when the job continues after Ctrl-Z.
    this.#lines.on('SIGCONT', () => this.#lines.resume())
  }

  /** Runs lines until their end, or `close`. */
  async run(): Promise<void> {
    const withdraw = define(this.#options.words)
    try {
      this.#ask()
      for await (const line of this.#queue) {
        if (isEnd(line)) break
        await this.#take(line)
        this.#ask()
      }
      if (this.#pending !== '') this.#print({ kind: 'error', error: endedEarly() })
    } finally {
      this.#isOver = true
      withdraw()
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
    const outcome = await this.#untilLeft(evaluate(source, this.#run))
    this.#pending = outcome?.kind === 'unfinished' ? source : ''
    if (outcome) this.#print(outcome)
  }

  /** The outcome, unless Ctrl-C abandons the line first. */
  async #untilLeft(outcome: Promise<Evaluation>): Promise<Evaluation | undefined> {
    const left = new Promise<undefined>((resolve) => {
      this.#leave = () => resolve(undefined)
    })
    try {
      return await Promise.race([outcome, left])
    } finally {
      this.#leave = undefined
    }
  }

  #print(outcome: Evaluation): void {
    const text = this.#text(outcome)
    if (text !== undefined) printLine(this.#options.environment.output, text)
    if (outcome.kind === 'value' && outcome.value instanceof Feed)
      outcome.value.show((line) => this.#isOver || this.tell(line))
  }

  /**
   * Prints asynchronous output: lines of a feed or of the log. On a terminal it replaces the text
   * that is being typed, which appears again below it.
   */
  tell(line: string): void {
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
  }

  #text(outcome: Evaluation): string | undefined {
    const { colours, verbose } = this.#options
    if (outcome.kind === 'error') return errorText(outcome.error, verbose)
    if (outcome.kind !== 'value') return undefined
    try {
      return shown(outcome.value, colours)
    } catch (error) {
      // A value may define how it prints, and fail at it.
      return errorText(error, verbose)
    }
  }

  #ask(): void {
    // Lines may be left when the input has ended: they run without a prompt.
    if (this.#isClosed || !this.#lines.terminal) return
    this.#lines.setPrompt(this.#pending === '' ? promptText : continuedText)
    this.#lines.prompt()
  }

  /**
   * Ctrl-C abandons the running line, clears the typed text, and on an empty line ends at the
   * second press.
   */
  #interrupt(): void {
    const isEmpty = this.#lines.line === '' && this.#pending === ''
    if (this.#leave) {
      printLine(this.#options.environment.output, '\n(left alone; it goes on by itself)')
      this.#leave()
    } else if (isEmpty && this.#interruptedIdle) this.#lines.close()
    else this.#clear(isEmpty)
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

  #complete(line: string): [string[], string] {
    const { words, completions } = this.#options
    const [, argument] = aboutProcess.exec(line) ?? []
    if (argument !== undefined) {
      const names = completions().map((name) => asTyped(name, words, argument))
      return [names.filter((name) => name.startsWith(argument)).sort(), argument]
    }
    const part = /[\w$.]*(?:\(\d*)?$/.exec(line)?.[0] ?? ''
    const [, object, member] = /^(store|control)\.(\w*)$/.exec(part) ?? []
    if (object !== undefined && member !== undefined)
      return [methodsOf(words[object]).filter((name) => name.startsWith(member)), member]
    const known = [...new Set([...Object.keys(words), ...completions()])].sort()
    return [part === '' ? [] : known.filter((name) => name.startsWith(part)), part]
  }
}

/** The words that end a session. */
const isEnd = (line: string): boolean => /^(\.exit|(exit|quit)(\(\))?;?)$/.test(line.trim())

/** A call of a command about a process, up to the end of its first argument. */
const aboutProcess =
  /\b(?:info|state|trace|kill|suspend|resume|call|cast|send)\(\s*(['"]?[^'"(),\s]*(?:\([^'"()]*\)?)?)$/

/** The name of a process as it may be typed: a word of the prompt, or a text. */
const asTyped = (name: string, words: PromptWords, begun: string): string => {
  const quote = /^['"]/.exec(begun)?.[0]
  const word = /^([A-Za-z_$][\w$]*)(?:\([\d, ]*\))?$/.exec(name)?.[1]
  if (quote === undefined && word !== undefined && Object.hasOwn(words, word)) return name
  return `${quote ?? "'"}${name}${quote ?? "'"}`
}

/** Runs with the terminal out of raw mode, in which Ctrl-C would be an unread key. */
const cooked =
  (input: Input): Run =>
  (script) => {
    const wasRaw = input.isRaw === true
    if (wasRaw) input.setRawMode?.(false)
    try {
      return runBreakable(script)
    } finally {
      if (wasRaw) input.setRawMode?.(true)
    }
  }

const endedEarly = (): SyntaxError => new SyntaxError('the input ended within an expression')

const printing = { maxArrayLength: 100, maxStringLength: 10_000 } as const

/** A value with more lines is printed with less depth: the state of an actor holds its relations. */
const linesMax = 100

const shown = (value: unknown, colors: boolean): string => {
  const whole = inspect(value, { ...printing, depth: 4, colors })
  return value instanceof View || whole.split('\n').length <= linesMax
    ? whole
    : inspect(value, { ...printing, depth: 2, colors })
}

/** The methods of a handle, including inherited ones. */
const methodsOf = (handle: unknown): string[] => {
  const names = new Set<string>()
  let prototype: unknown = typeof handle === 'object' && handle && Object.getPrototypeOf(handle)
  while (prototype && prototype !== Object.prototype) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
      if (name !== 'constructor' && typeof value === 'function') names.add(name)
    prototype = Object.getPrototypeOf(prototype)
  }
  return [...names].sort()
}

/**
 * Makes the words global, because the prompt's lines run in the process's own realm. Returns a
 * function that removes them.
 */
const define = (words: PromptWords): (() => void) => {
  const before = new Map(
    Object.keys(words).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]),
  )
  for (const [name, value] of Object.entries(words))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  return () => {
    for (const [name, descriptor] of before)
      if (descriptor) Object.defineProperty(globalThis, name, descriptor)
      else Reflect.deleteProperty(globalThis, name)
  }
}
