/** Colour, where somebody can see it. Views take a `Paint`, so that they stay pure and their tests read plain text. */
import { styleText } from 'node:util'

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
