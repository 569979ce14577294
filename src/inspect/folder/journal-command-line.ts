/** Parses `keelson journal`: words in, a checked command out. Pure. */
import {
  flag,
  type GroupedCommand,
  needed,
  parseGroup,
  text,
  usageOf,
  type WordOption,
  whole,
  wordsWith,
} from '../command/command-words.ts'

/**
 * `keelson journal head`. `dir` is the folder of a log or of a shard, or a data folder; `out` the
 * file to write, standard output by default; `since` the file of an earlier head.
 */
export type JournalHeadCommand = ReturnType<typeof headCommand>

/** `keelson journal prove`. `at`: as of so many groups; by default, all. */
export type JournalProveCommand = ReturnType<typeof proveCommand>

/** `keelson journal verify`. All are names of files. */
export type JournalVerifyCommand = ReturnType<typeof verifyCommand>

/** The commands of `keelson journal`. */
export type JournalCommand = JournalHeadCommand | JournalProveCommand | JournalVerifyCommand

const place = { shard: whole(0, 0), out: text }

const headCommand = (words: readonly string[]) => {
  const options = { ...place, since: text }
  const { word: dir, ...values } = wordsWith('journal head', 'one folder', words, options)
  return { kind: 'journal head', dir, ...values } as const
}

const proveCommand = (words: readonly string[]) => {
  const options = { ...place, lsn: neededNumber, index: whole(0, 0), at: whole(0, undefined) }
  const { word: dir, ...values } = wordsWith('journal prove', 'one folder', words, options)
  return { kind: 'journal prove', dir, ...values } as const
}

const neededNumber: WordOption<number> = {
  type: 'string',
  read: (value, option) => whole(0, 0).read(needed.read(value, option), option),
}

const verifyCommand = (words: readonly string[]) => {
  const options = { entry: text, head: text, key: text, reveal: flag, json: flag }
  const { word: proof, ...values } = wordsWith('journal verify', 'one proof', words, options)
  return { kind: 'journal verify', proof, ...values } as const
}

const commands: Readonly<Record<string, GroupedCommand<JournalCommand>>> = {
  head: {
    parse: headCommand,
    usage: `  keelson journal head DIR [--since HEAD] [--shard N] [--out FILE]
      The end of the chain of commitments of a log: what an operator publishes. Nothing is changed.
      --since HEAD    instead the proof that the chain continues that of an earlier head`,
  },
  prove: {
    parse: proveCommand,
    usage: `  keelson journal prove DIR --lsn N [--index I] [--at GROUPS] [--shard N] [--out FILE]
      The proof that a write is in the log. It holds the write itself. Works on a copy of the log.
      --lsn N         the LSN that the write was answered with
      --index I       its place in the frame of this LSN; 0
      --at GROUPS     against the head with so many groups; by default the present one
      --shard N       of a data folder; 0`,
  },
  verify: {
    parse: verifyCommand,
    usage: `  keelson journal verify PROOF [--entry FILE] [--head HEAD] [--key PEM] [--reveal] [--json]
      Checks a proof without any log, and prints what it proves. Of values it prints type and length.
      Exit status: 0 the proof holds, 4 it does not, or is of a newer version.
      --entry FILE    the write must be these bytes, or be an entry with this body
      --head HEAD     the proof must be against this head
      --key PEM       the group must be signed with this key
      --reveal        prints the values of the write, which may be secrets`,
  },
}

/** The part of `keelson help` about proofs. */
export const journalUsage = usageOf(commands)

/** Parses the words after `keelson journal`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseJournalCommand = (words: readonly string[]) =>
  parseGroup('journal', commands, words)
