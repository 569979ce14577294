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

/**
 * `keelson wal dump`. `dir` is the folder of a log or of a shard, or a data folder, as written. LSNs
 * from `from` to `to`, inclusive.
 */
export type WalDumpCommand = ReturnType<typeof dumpCommand>

/** `keelson wal salvage`. */
export type WalSalvageCommand = ReturnType<typeof salvageCommand>

/** The commands of `keelson wal`. */
export type WalCommand = WalDumpCommand | WalSalvageCommand

const dumpCommand = (words: readonly string[]) => {
  const options = {
    ...reported,
    from: whole(1, undefined),
    to: whole(1, Number.MAX_SAFE_INTEGER),
    reveal: flag,
  }
  const { word: dir, from, ...values } = wordsWith('wal dump', 'one folder', words, options)
  if (from !== undefined && values.to < from)
    throw wrongWords(`--to ${values.to} lies before --from ${from}`)
  if (values.reveal && !values.json) throw wrongWords('--reveal is of --json: lines have no values')
  return { kind: 'wal dump', dir, ...values, ...(from !== undefined && { from }) } as const
}

const salvageCommand = (words: readonly string[]) => {
  const options = { ...reported, to: needed }
  const { word: dir, ...values } = wordsWith('wal salvage', 'one folder', words, options)
  return { kind: 'wal salvage', dir, ...values } as const
}

const commands: Readonly<Record<string, GroupedCommand<WalCommand>>> = {
  dump: {
    parse: dumpCommand,
    usage: `  keelson wal dump DIR [--from LSN] [--to LSN] [--json [--reveal]]
      Prints a line for every frame, with its writes and their keys, and damaged places where they are, and
      continues behind them.
      --from, --to    only frames with these LSNs, both included
      --json          one object a line, with all that a frame has; of values type and length
      --reveal        with the values, which may be secrets`,
  },
  salvage: {
    parse: salvageCommand,
    usage: `  keelson wal salvage DIR --to DIR2 [--json] [--progress]
      Makes DIR2, which must be missing or empty, of every frame of DIR that can be read, under their LSNs,
      and lists the LSNs that are lost. DIR is only read. Of a data folder comes a data folder that starts.
      Exit status: 0 nothing is lost, 4 something is.
      --to DIR2       where to; neither in DIR nor around it
      --json          one object on standard output
      --progress      shows how far it is, on standard error, even where that is no terminal`,
  },
}

/** The part of `keelson help` about logs. */
export const walUsage = usageOf(commands)

/** Parses the words after `keelson wal`. @throws KeelsonError `INVALID_ARGUMENT` */
export const parseWalCommand = (words: readonly string[]) => parseGroup('wal', commands, words)
