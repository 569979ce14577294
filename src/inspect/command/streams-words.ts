/**
 * Parses `keelson streams`: words in, calls of a line at the prompt out. It is apart from the words that
 * commands share. Pure.
 */
import { noOptions } from '../../own-names.ts'
import {
  flag,
  type GroupedCommand,
  parsedWords,
  parseGroup,
  text,
  usageOf,
  type WordOptions,
  whole,
  wrongWords,
} from './command-words.ts'

/** `keelson streams`: the words and data of a line at the prompt. */
export type StreamsCommand = {
  readonly kind: 'streams'
  /** Calls, each of the answer of the one before: a name, and its arguments. */
  readonly calls: readonly (readonly [word: string, args: readonly unknown[]])[]
  readonly config: string | undefined
  readonly dir: string | undefined
  readonly verbose: boolean
}

type CallsOf = (
  given: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => StreamsCommand['calls']

/** A word with positional words, all of which are needed. */
const command = (
  usage: string,
  names: readonly string[],
  callsOf: CallsOf,
  options: WordOptions = noOptions,
): GroupedCommand<StreamsCommand> => {
  const parse = (words: readonly string[]): StreamsCommand => {
    const { values, positionals } = parsedWords(words, { ...options, config: text, dir: text })
    const { config, dir, verbose, ...others } = values as typeof values & Record<string, unknown>
    if (positionals.length !== names.length || positionals.includes(''))
      throw wrongWords(`this needs ${names.join(' ') || 'no word'}`)
    return { kind: 'streams', calls: callsOf(positionals, others), config, dir, verbose }
  }
  return { usage, parse }
}

const act =
  (word: string): CallsOf =>
  ([name, ...args]) => [
    ['app.streams.open', [name]],
    [word, args],
  ]

const commands: Readonly<Record<string, GroupedCommand<StreamsCommand>>> = {
  list: command(
    `  keelson streams list [--of ACTOR] [--prefix P] [--after NAME] [--limit N] [--json]
      The streams by themselves of an instance that runs, in the order of their names; or those of
      an actor or a run, such as chat/lobby.`,
    [],
    (_, { of, ...options }) => [['streams', of === undefined ? [options] : [of, options]]],
    { of: text, prefix: text, after: text, limit: whole(1, undefined), json: flag },
  ),
  show: command(
    `  keelson streams show NAME [--from OFFSET] [--json]
      A stream with its last messages, or those after an offset.`,
    ['NAME'],
    ([name], options) => [['stream', [name, options]]],
    { from: text, json: flag },
  ),
  tail: command(
    `  keelson streams tail NAME [--last N] [--json]
      The last messages. The word tail(name) of keelson attach follows a stream.`,
    ['NAME'],
    ([name], options) => [['stream', [name, options]]],
    { last: whole(1, undefined), json: flag },
  ),
  trim: command(
    `  keelson streams trim NAME OFFSET
      Removes the messages up to the one of an offset.`,
    ['NAME', 'OFFSET'],
    act('trim'),
  ),
  close: command(
    `  keelson streams close NAME
      Closes a stream: nothing is appended any more.`,
    ['NAME'],
    act('close'),
  ),
  delete: command(
    `  keelson streams delete NAME
      Deletes a stream with all messages.`,
    ['NAME'],
    act('delete'),
  ),
}

/** The part of `keelson help` about streams. */
export const streamsUsage = usageOf(commands)

/**
 * Parses the words after `keelson streams`.
 * @throws KeelsonError `INVALID_ARGUMENT` that names the fault
 */
export const parseStreamsCommand = (words: readonly string[]) =>
  parseGroup('streams', commands, words)
