/**
 * An answer about flows or about the past of an actor, as a text or as one line of JSON. The shape of an
 * answer is the product's own: lists, cursors and counts are always whole, and only the page size
 * bounds them. Values of users in it are redacted one at a time. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { isKeyedByNames, redactedPart } from '../../redaction.ts'
import { isError, readError } from '../../thrown.ts'
import { printableJson } from '../text/paint.ts'
import { View } from '../text/view.ts'

/** The most characters of an answer in JSON: the prompt cuts a longer one. */
const jsonMax = 2 * 1024 * 1024

/** `found` as `text` or JSON. `reveals`: nothing is hidden. @throws KeelsonError `TOO_LARGE` */
export const view = <T>(
  json: boolean | undefined,
  found: T,
  text: (shown: T) => string,
  reveals = false,
): View => {
  const shown = reveals ? found : shownAnswer(found)
  if (json !== true) return new View(text(shown))
  const line = printableJson(JSON.stringify(shown, plain))
  if (line.length <= jsonMax) return new View(line)
  throw new KeelsonError('TOO_LARGE', `the answer has ${line.length} characters: ask for fewer`)
}

/** The fields of answers that hold a value of a user. */
const valueNames: ReadonlySet<string> = new Set([
  'input',
  'output',
  'progress',
  'attributes',
  'value',
  'job',
  'result',
  'error',
  'log',
  'state',
  'before',
  'after',
])

/** The most members of all values of one answer, and of one value. At about 2 µs each. */
const answerMembers = 50_000
const valueMembers = 1_000

/** An answer whose values of users are redacted. `cut` names the fields that show a part of theirs. */
export const shownAnswer = <T>(answer: T): T => {
  const members = Math.floor(answerMembers / Math.max(1, valuesIn(answer)))
  return shownPart(answer, Math.min(valueMembers, members)) as T
}

/** Whether the answer has further parts in this object: a row, a page or a record of them. */
const isPart = (item: unknown): item is object =>
  typeof item === 'object' && item !== null && !isError(item)

const valuesIn = (part: unknown): number => {
  if (!isPart(part)) return 0
  let count = 0
  for (const [name, item] of Object.entries(part))
    count += isValue(part, name) ? Number(isPart(item)) : valuesIn(item)
  return count
}

const isValue = (part: object, name: string): boolean =>
  !Array.isArray(part) && valueNames.has(name) && !isKeyedByNames(part)

const shownPart = (part: unknown, members: number): unknown => {
  if (!isPart(part)) return part
  if (Array.isArray(part)) return part.map((item) => shownPart(item, members))
  const cut: string[] = []
  const shown = Object.entries(part).map(([name, item]) => {
    if (!isValue(part, name)) return [name, shownPart(item, members)]
    const { shown: value, isCut } = redactedPart(item, members)
    if (isCut) cut.push(name)
    return [name, value]
  })
  return Object.fromEntries(cut.length > 0 ? [...shown, ['cut', cut]] : shown)
}

/** Values that JSON has no form for. */
const plain = (_: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  if (!isError(value)) return value
  const { name, message, code } = readError(value)
  return { name, message, code }
}
