/** Text of unknown origin, a file's name for one, as a terminal may be given it: nothing in it moves, colors or hides. Pure. */

/** Control characters of both sets, line and paragraph separators, and marks that turn the direction of what follows. */
const unsafe = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** `text`, of several lines maybe, printable but for its line ends and tabs; its further lines stand `indent` to the right. */
export const printableLines = (text: string, indent = ''): string =>
  text.split('\n').map(printableLine).join(`\n${indent}`)

const printableLine = (line: string): string => line.split('\t').map(printable).join('\t')

/** `text` with each such character written as `\u{1b}`. */
export const printable = (text: string): string =>
  text.replace(unsafe, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`)
