/** Colour, where somebody can see it. Views take a `Paint`, so that they stay pure and their tests read plain text. */
import { styleText } from 'node:util'

// Text of unknown origin, a file's name for one, as a terminal may be given it: nothing in it moves, colors or hides. Pure.

/** Control characters of both sets, line and paragraph separators, and marks that turn the direction of what follows. */
const unsafe = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** `text`, of several lines maybe, printable but for its line ends and tabs; its further lines stand `indent` to the right. */
export const printableLines = (text: string, indent = ''): string =>
  text.split('\n').map(printableLine).join(`\n${indent}`)

const printableLine = (line: string): string => line.split('\t').map(printable).join('\t')

/** `text` with each such character written as `\u{1b}`. */
export const printable = (text: string): string =>
  text.replace(unsafe, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`)

/** What a piece of text says, so that it may be shown so. */
export type Tone = 'strong' | 'faint' | 'good' | 'bad' | 'odd'

/** Shows a text in its tone. It changes nothing that is printed but its look. */
export type Paint = (tone: Tone, text: string) => string

/** Leaves text as it is. */
export const plainPaint: Paint = (_tone, text) => text

const styles = { strong: 'bold', faint: 'dim', good: 'green', bad: 'red', odd: 'yellow' } as const

/** Colours by ANSI sequences. */
export const colourPaint: Paint = (tone, text) =>
  styleText(styles[tone], text, { validateStream: false })

/** Colours on a terminal only, and not where `NO_COLOR` asks for none (https://no-color.org) or the terminal is dumb. */
export const paintFor = (
  stream: { readonly isTTY?: boolean },
  variables: Readonly<Record<string, string | undefined>>,
): Paint =>
  stream.isTTY && !variables.NO_COLOR && variables.TERM !== 'dumb' ? colourPaint : plainPaint
