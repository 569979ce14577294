/**
 * The session that runs the lines of a prompt and completes them. `LocalSession` does it in this
 * process; the prompt that is attached to a service asks the session that runs there. Sessions
 * share nothing: each has its own words and its own declarations.
 */
import { errorText } from '../text/error-view.ts'
import { printableAnswer } from '../text/paint.ts'
import { valueText } from '../text/shown-text.ts'
import { Feed, View } from '../text/view.ts'
import { type Evaluation, LineScope, type Run } from './evaluation.ts'
import type { PromptWords } from './prompt-words.ts'
import { ShownValues, shownValues } from './shown-values.ts'

/** The answer to a line, after its value has settled. */
export type Answer = {
  /** Nothing ran: a further line may complete it. */
  readonly isUnfinished: boolean
  /** The printed text, if there is one. */
  readonly text: string | undefined
  /** The text is that of an error. */
  readonly hasFailed?: true
  /** Lines that are printed after the text, as they happen. */
  readonly feed?: Feed
}

/** The possible words at the end of a line, and that end as it is typed. */
export type Completion = readonly [words: string[], typed: string]

/** A session of lines. */
export interface Session {
  /** Runs a piece of source, each part by `run` where that is possible. */
  run(source: string, run?: Run): Promise<Answer>
  /** Completes the end of a line. */
  complete(line: string): Promise<Completion>
}

/** The parts of a session in this process. */
export type SessionOptions = {
  readonly words: PromptWords
  readonly colours: boolean
  /** Show stacks of errors. */
  readonly verbose: boolean
  /** More words to complete, read at each completion. */
  readonly completions: () => readonly string[]
}

/** A session in this process. Its calls never reject. */
export class LocalSession implements Session {
  readonly #options: SessionOptions
  readonly #scope: LineScope

  constructor(options: SessionOptions) {
    this.#options = options
    this.#scope = new LineScope(options.words)
  }

  async run(source: string, run?: Run): Promise<Answer> {
    const outcome = await this.#scope.evaluate(source, run)
    await this.#options.words[shownValues]?.ready()
    try {
      return this.#answer(outcome)
    } catch (error) {
      // A value may define how it is printed, and fail at it.
      return this.#answer({ kind: 'error', error })
    }
  }

  async complete(line: string): Promise<Completion> {
    const { words, completions } = this.#options
    const [, argument] = aboutProcess.exec(line) ?? []
    if (argument !== undefined) {
      const names = completions().map((name) => asTyped(name, words, argument))
      return [names.filter((name) => name.startsWith(argument)).sort(), argument]
    }
    const part = /[\w$.]*(?:\(\d*)?$/.exec(line)?.[0] ?? ''
    const [, object, member] = /(?<![\w$.)\]])((?:[A-Za-z_$][\w$]*\.)+)([\w$]*)$/.exec(line) ?? []
    if (object !== undefined && member !== undefined) {
      const found = this.#scope.valueAt(object.slice(0, -1).split('.'))
      return [membersOf(found).filter((name) => name.startsWith(member)), member]
    }
    const known = [...new Set([...Object.keys(words), ...completions()])].sort()
    return [part === '' ? [] : known.filter((name) => name.startsWith(part)), part]
  }

  #answer(outcome: Evaluation): Answer {
    const { colours, verbose } = this.#options
    const isUnfinished = outcome.kind === 'unfinished'
    if (outcome.kind === 'error')
      return { isUnfinished, text: errorText(outcome.error, verbose), hasFailed: true }
    if (outcome.kind !== 'value') return { isUnfinished, text: undefined }
    const { value } = outcome
    const shownAs = this.#options.words[shownValues] ?? new ShownValues()
    const text =
      value instanceof View
        ? value.text
        : valueText((depth) => shownAs.printed(value, depth), colours)
    return {
      isUnfinished,
      text: printableAnswer(text),
      ...(value instanceof Feed && { feed: value }),
    }
  }
}

/** A call of a command about a process, up to the end of its first argument. */
const aboutProcess =
  /(?<![.\w])(?:info|state|trace|mailbox|machine|tree|whereis|kill|suspend|resume|call|cast|send|event)\(\s*(['"]?[^'"(),\s]*(?:\([^'"()]*\)?)?)$/

/** The name of a process as it may be typed: a word of the prompt, or a text. */
const asTyped = (name: string, words: PromptWords, begun: string): string => {
  const quote = /^['"]/.exec(begun)?.[0]
  const word = /^([A-Za-z_$][\w$]*)(?:\([\d, ]*\))?$/.exec(name)?.[1]
  if (quote === undefined && word !== undefined && Object.hasOwn(words, word)) return name
  return `${quote ?? "'"}${name}${quote ?? "'"}`
}

/** The names of members, including inherited ones. */
const membersOf = (value: unknown): string[] => {
  const names = new Set<string>()
  let holder: unknown = value === undefined || value === null ? null : Object(value)
  while (holder && holder !== Object.prototype) {
    for (const name of Object.getOwnPropertyNames(holder))
      if (name !== 'constructor' && /^[A-Za-z_$][\w$]*$/.test(name)) names.add(name)
    holder = Object.getPrototypeOf(holder)
  }
  return [...names].sort()
}
