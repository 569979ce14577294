/** The record of a failure as text: the error, the stack of the user's code, and the causes. Pure. */
import type { KeptError } from '../../errors.ts'
import { recordLines } from '../../failure-record.ts'
import { printable } from '../text/paint.ts'

/** A record under its title; nothing if it has no more than its row shows, as one of an earlier build. */
export const recordText = (title: string, error: KeptError | undefined): readonly string[] =>
  error?.stack === undefined && error?.causes === undefined
    ? []
    : [[`${title}:`, ...recordLines(error).map((line) => `  ${printable(line)}`)].join('\n')]
