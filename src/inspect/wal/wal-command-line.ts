/** Parses `keelson wal`: words in, a checked command out. Pure. */
import {
  flag,
  type GroupedCommand,
  needed,
  parseGroup,
  reported,
  usageOf,
  whole,
  wordsWith,
  wrongWords,
} from '../command/command-words.ts'

/** `keelson wal verify`. `dir` is the folder of a log or of a shard, or a data folder, as written. */
export type WalVerifyCommand = ReturnType<typeof verifyCommand>

/**
 * `keelson wal dump`. LSNs from `from` to `to`, inclusive. `width` is the number of characters
 * shown of a value, if values are revealed.
 */
export type WalDumpCommand = ReturnType<typeof dumpCommand>

/** `keelson wal salvage`. */
export type WalSalvageCommand = ReturnType<typeof salvageCommand>

/** The commands of `keelson wal`. */
export type WalCommand = WalVerifyCommand | WalDumpCommand | WalSalvageCommand

const verifyCommand = (words: readonly string[]) => {
  const { word: dir, ...values } = wordsWith('wal verify', 'one folder', words, reported)
  return { kind: 'wal verify', dir, ...values } as const
}

const dumpCommand = (words: readonly string[]) => {
  const options = {
    ...reported,
    from: whole(1, undefined),
    to: whole(1, Number.MAX_SAFE_INTEGER),
    width: whole(1, 60),
    reveal: flag,
  }
  const { word: dir, from, ...values } = wordsWith('wal dump', 'one folder', words, options)
  if (from !== undefined && values.to < from)
    throw wrongWords(`--to ${values.to} lies before --from ${from}`)
  return { kind: 'wal dump', dir, ...values, ...(from !== undefined && { from }) } as const
}

const salvageCommand = (words: readonly string[]) => {
  const options = { ...reported, to: needed }
  const { word: dir, ...values } = wordsWith('wal salvage', 'one folder', words, options)
  return { kind: 'wal salvage', dir, ...values } as const
}

const commands: Readonly<Record<string, GroupedCommand<WalCommand>>> = {
  verify: {
    parse: verifyCommand,
    usage: `  keelson wal verify DIR [--json] [--progress]
      Reads a whole log, or every log of a data folder, and changes nothing. Names each damaged place by
      file, offset and LSN, and the LSNs that are proven to be lost. Works while an instance runs.
      Exit status: 0 clean, 3 a torn tail that opening would cut (nothing acknowledged is in it), 4 damage.
      --json          one object on standard output
      --progress      shows how far it is, on standard error, also where that is no terminal`,
  },
  dump: {
    parse: dumpCommand,
    usage: `  keelson wal dump DIR [--from LSN] [--to LSN] [--reveal] [--width N] [--json]
      Prints every frame with what it carries, and damaged places where they are, and goes on behind them.
      Of values it prints type and length.
      --from, --to    only frames with these LSNs, both included
      --reveal        prints the values, which may be secrets
      --width N       how many characters of a revealed value are shown; 60 by default
      --json          one object a line, revealed values whole`,
  },
  salvage: {
    parse: salvageCommand,
    usage: `  keelson wal salvage DIR --to DIR2 [--json] [--progress]
      Makes DIR2, which must be missing or empty, of every frame of DIR that can be read, under their LSNs,
      and lists the LSNs that are lost. DIR is only read. Of a data folder comes a data folder that starts.
      Exit status: 0 nothing is lost, 4 something is.
      --to DIR2       where to; neither in DIR nor around it
      --json          one object on standard output
      --progress      shows how far it is, on standard error, also where that is no terminal`,
  },
}

/** The part of `keelson help` about logs. */
export const walUsage = usageOf(commands)

/** Parses the words after `keelson wal`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseWalCommand = (words: readonly string[]) => parseGroup('wal', commands, words)
