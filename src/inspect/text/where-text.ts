/** The conditions of a list as a person writes them: `customer=c-7, tier=2, status=failed`. Pure. */
import { invalidArgument } from '../../errors.ts'
import type { Where } from '../../flow/index.ts'

/** A name and a value; a text with a comma or a space, or with the form of a number, is in quotes. */
const condition = /\s*([\w.-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+)\s*(?:,|$|(?<=\s))/y

/**
 * The conditions of a list of runs in a text. `2`, `true` and `false` are no texts, and `"2"` is one.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const whereIn = (text: string): Where => conditionsIn(text, plainValue) as Where

/** As `whereIn`, of a list of entities, whose fields may be `null`, too. */
export const entityWhereIn = (text: string): Readonly<Record<string, unknown>> =>
  conditionsIn(text, (value) => (value === 'null' ? null : plainValue(value)))

const conditionsIn = (
  text: string,
  valueIn: (text: string) => unknown,
): Readonly<Record<string, unknown>> => {
  const found: (readonly [string, unknown])[] = []
  condition.lastIndex = 0
  for (let end = 0; end < text.trimEnd().length; end = condition.lastIndex) {
    const [, name = '', value = ''] = condition.exec(text) ?? []
    if (name === '')
      throw invalidArgument('where', 'conditions such as customer=c-7, status=failed', text)
    if (found.some(([known]) => known === name))
      throw invalidArgument('where', `one condition of ${name}`, text)
    found.push([name, valueIn(value)])
  }
  return Object.fromEntries(found)
}

const plainValue = (text: string): unknown => {
  if (!/^(?:".*"|true|false|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/is.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
