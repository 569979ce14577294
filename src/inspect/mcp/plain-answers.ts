/**
 * Answers of an instance as a model reads them: bounded trees of values as plain JSON, times as texts,
 * and no text with a secret that says its name. The instance has hidden fields already. But these
 * answers leave the machine, and a text of an error may have `password=hunter2` in it. Pure.
 */
import { hiddenText, isSecretName } from '../../redaction.ts'

/** An answer as plain JSON. */
export const plainAnswer = (answer: unknown, name = ''): unknown => {
  if (typeof answer === 'string') return openText(answer)
  if (typeof answer === 'number') return isTime(name) ? timeText(answer) : answer
  if (typeof answer !== 'object' || answer === null) return answer
  if (Array.isArray(answer)) return answer.map((each) => plainAnswer(each, name))
  if (isTree(answer)) return plainTree(answer)
  return Object.fromEntries(
    Object.entries(answer).map(([key, value]) => [key, plainAnswer(value, key)]),
  )
}

/** Names of fields with a time in ms since 1970. */
const times = /^(?:at|since|until|asOf|writtenMs|\w+At|\w+Since)$/

const isTime = (name: string): boolean => times.test(name)

const timeText = (ms: number): string | number =>
  Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : ms

type Tree = {
  readonly type: string
  readonly size: number
  readonly members: readonly (readonly [string, unknown])[]
}

/** Whether it is a value of a user: `Shown` of the page. */
const isTree = (answer: object): answer is Tree =>
  'members' in answer && 'type' in answer && 'size' in answer && Array.isArray(answer.members)

const plainTree = (shown: unknown): unknown => {
  if (typeof shown === 'string') return openText(shown)
  if (typeof shown !== 'object' || shown === null) return shown
  if (!isTree(shown)) return openText(String(Object(shown).text))
  const { type, size, members } = shown
  const rest = size - members.length
  const more = rest > 0 ? `… ${rest} more` : undefined
  if (type === 'array' || type === 'set') {
    const items = members.map(([, item]) => plainTree(item))
    return more === undefined ? items : [...items, more]
  }
  const fields = members.map(([key, item]) => [openText(key), plainTree(item)])
  return Object.fromEntries(more === undefined ? fields : [...fields, ['…', more]])
}

/** `password: hunter2`, `"apiKey":"x"`, `token=x`: a name and the sign after it. */
const named = /(?<![\w-])([A-Za-z][\w-]*)["']?\s*[:=]\s*["']?/g

/** The value after a name, with the scheme of an `authorization: Bearer x`. */
const valueAfter = (): RegExp =>
  /(?!(?:(?:bearer|basic)\s+)?\[hidden )((?:bearer|basic)\s+)?([^\s"'`,;&(){}[\]]+)/iy

const bearer = /\b(bearer|basic)(\s+)(?!\[hidden )([\w.~+/=-]{6,})/gi

/** `postgres://app:hunter2@db/shop`. */
const inAddress = /((?<![\w+.-])[a-z][\w+.-]*:\/\/[^\s:/@]*:)([^\s@/]+)(?=@)/gi

/** A text without secrets that say their names. */
export const openText = (text: string): string =>
  withoutNamed(
    text.replace(inAddress, (_, before: string, secret: string) => before + hiddenText(secret)),
  ).replace(
    bearer,
    (_, scheme: string, space: string, value: string) => scheme + space + hiddenText(value),
  )

const withoutNamed = (text: string): string => {
  let shown = ''
  let from = 0
  for (const { 0: head, 1: name, index } of text.matchAll(named)) {
    if (index < from || !isSecretName(name)) continue
    const value = valueAfter()
    value.lastIndex = index + head.length
    const found = value.exec(text)
    if (!found) continue
    const [all, scheme = '', secret] = found
    shown += text.slice(from, found.index) + scheme + hiddenText(secret)
    from = found.index + all.length
  }
  return shown + text.slice(from)
}
