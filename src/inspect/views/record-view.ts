/** The record of a failure as text: the error, the stack of the user's code, and the causes. Pure. */
import type { KeptError } from '../../errors.ts'
import { keptText, recordLines } from '../../failure-record.ts'
import { printable } from '../text/paint.ts'

/** A record under its title; nothing if its row of a table, of at most `rowMax` characters, shows all of it. */
export const recordText = (
  title: string,
  error: KeptError | undefined,
  rowMax = Number.POSITIVE_INFINITY,
): readonly string[] => {
  if (error === undefined) return []
  const isInRow = error.stack === undefined && error.causes === undefined
  if (isInRow && keptText(error).length <= rowMax) return []
  return [[`${title}:`, ...recordLines(error).map((line) => `  ${printable(line)}`)].join('\n')]
}
