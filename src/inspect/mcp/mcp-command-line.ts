/** The words of `keelson mcp`. Pure. */
import { parsedWords, text, wrongWords } from '../command/command-words.ts'

/** `keelson mcp`. */
export type McpCommand = ReturnType<typeof parseMcp>

/** The help of `keelson mcp`. */
export const mcpUsage = `  keelson mcp [--dir DIR] [--member NAME]
      Reading tools of an instance that runs, for a client of the Model Context Protocol, which starts this
      command and speaks to it over standard input and output. Nothing acts.
      --dir DIR       the data folder, by default keelson-data; no configuration file is read`

/**
 * Parses the words after `mcp`. A configuration file is code, and may print: its lines would be among
 * those of the protocol. @throws KeelsonError `INVALID_ARGUMENT`
 */
export const parseMcp = (words: readonly string[]) => {
  const { values, positionals } = parsedWords(words, { dir: text, member: text })
  if (positionals.length > 0) throw wrongWords(`mcp takes no word '${positionals[0]}'`)
  return { kind: 'mcp', ...values, dir: values.dir ?? 'keelson-data' } as const
}
