/** Values as text of a bounded size, whatever they hold. Pure. */
import { inspect } from 'node:util'
import { printable } from './paint.ts'
import { countText } from './quantities.ts'

/** A text, cut after so many characters. */
export const shortText = (text: string, max = 1_000): string =>
  text.length <= max ? text : `${text.slice(0, max)}…`

/** A value in one line of at most `width` characters. */
export const lineText = (value: unknown, width: number): string => {
  const text = inspect(value, {
    depth: 3,
    breakLength: Number.POSITIVE_INFINITY,
    compact: true,
    maxStringLength: width,
  })
  return shortText(printable(text), width)
}

/** A value with more lines is printed with less depth: the state of an actor holds its relations. */
const deepLinesMax = 100
const linesMax = 300

/** A value as the prompt prints it. `shown` is the value as a printer of this depth may show it. */
export const valueText = (shown: (depth: number) => unknown, colors: boolean): string => {
  const linesAt = (depth: number): string[] =>
    inspect(shown(depth), { maxArrayLength: 100, maxStringLength: 10_000, depth, colors }).split(
      '\n',
    )
  const flat = linesAt(2)
  const deep = flat.length <= deepLinesMax ? linesAt(4) : flat
  const lines = deep.length <= deepLinesMax ? deep : flat
  const left = lines.length - linesMax
  if (left <= 0) return lines.join('\n')
  return `${lines.slice(0, linesMax).join('\n')}\n… ${countText(left)} more lines`
}
