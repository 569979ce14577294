/** Colour on terminals. Views take a `Paint`, so they are pure and their tests read plain text. */
import { styleText } from 'node:util'

// Text of unknown origin, such as a file name, made safe for a terminal: no part of it moves the
// cursor, colours or hides. Pure.

/** Control characters of both sets, line and paragraph separators, and marks of text direction. */
const unsafe = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * `text` with all but its line ends and tabs made printable. Further lines are indented by
 * `indent`.
 */
export const printableLines = (text: string, indent = ''): string =>
  text.split('\n').map(printableLine).join(`\n${indent}`)

const printableLine = (line: string): string => line.split('\t').map(printable).join('\t')

/** `printableLines` for a text with colours, which stay: those of `Paint` and of `util.inspect`. */
export const printableAnswer = (text: string): string => {
  const [first = '', ...others] = text.split('\x1b[')
  const rest = others.map(
    (part) => (colour.test(part) ? '\x1b[' : '\\u{1b}[') + printableLines(part),
  )
  return printableLines(first) + rest.join('')
}

const colour = /^(?:[124]|2[24]|3[1-69]|90)m/

/**
 * `text` in one line, with the colours of `Paint`, each of which ends in it. All other control
 * characters are made printable: a cell of a table may be the message of a user's error.
 */
export const printableCell = (text: string): string =>
  text.replace(colouredOrUnsafe, (each, begin?: string, inner = '', end = '') =>
    begin === undefined ? printable(each) : `${begin}${printable(inner)}${end}`,
  )

// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of colour begin with one.
const coloured = /(\x1b\[(?:[12]|3[1-6]|90)m)([^\x1b]*)(\x1b\[(?:22|39)m)/
const colouredOrUnsafe = new RegExp(`${coloured.source}|${unsafe.source}`, 'gu')

/** JSON with each such character written as JSON has it, `\u001b`. */
export const printableJson = (json: string): string =>
  json.replace(unsafe, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** `text` with each such character written as `\u{1b}`. */
export const printable = (text: string): string =>
  text.replace(unsafe, (each) => `\\u{${each.codePointAt(0)?.toString(16)}}`)

/** The meaning of a piece of text, which decides its colour. */
export type Tone = 'strong' | 'faint' | 'good' | 'bad' | 'odd'

/** Colours a text by its tone. The text itself stays. */
export type Paint = (tone: Tone, text: string) => string

/** Leaves text as it is. */
export const plainPaint: Paint = (_tone, text) => text

const styles = { strong: 'bold', faint: 'dim', good: 'green', bad: 'red', odd: 'yellow' } as const

/** Colours by ANSI sequences. */
export const colourPaint: Paint = (tone, text) =>
  styleText(styles[tone], text, { validateStream: false })

/**
 * Colours only on a terminal, and not if `NO_COLOR` is set (https://no-color.org) or the terminal
 * is dumb.
 */
export const paintFor = (
  stream: { readonly isTTY?: boolean },
  variables: Readonly<Record<string, string | undefined>>,
): Paint =>
  stream.isTTY && !variables.NO_COLOR && variables.TERM !== 'dumb' ? colourPaint : plainPaint
