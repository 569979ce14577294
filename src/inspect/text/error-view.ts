/**
 * Errors as text for the prompt and the command line: code and message in one line, then the
 * details. File names and foreign texts occur in both, so control characters are escaped, and no
 * foreign line can pass for one of ours. Pure.
 */
import { inspect } from 'node:util'
import { isKeelsonError, reasonText } from '../../errors.ts'
import { redacted } from '../../redaction.ts'
import { isError, readError } from '../../thrown.ts'
import { printableLines } from './paint.ts'

/**
 * `CODE: message` and a line for each detail; for other errors, name and message. `verbose` adds
 * stack and causes. It never throws, though an error may define how it is printed.
 */
export const errorText = (error: unknown, verbose = false): string => {
  try {
    return wholeText(redacted(error), verbose)
  } catch {
    // Its own printer throws.
    return isError(error) ? headOf(error) : 'thrown: a value that cannot be printed'
  }
}

const wholeText = (error: unknown, verbose: boolean): string => {
  const lines = [headOf(error), ...detailsOf(error).map((detail) => `  ${detail}`)]
  const causes = causesOf(error, verbose)
  if (!verbose)
    return [...lines, ...causes.map((cause) => `  because of ${headOf(cause)}`)].join('\n')
  const whole = [error, ...causes].map((each) => printableLines(inspect(each, { depth: 4 })))
  return [...lines, ...whole].join('\n')
}

/** Further lines of a message are indented more than details. */
const headOf = (error: unknown): string => printableLines(rawHeadOf(error), '    ')

const rawHeadOf = (error: unknown): string => {
  if (isError(error)) return reasonText(error)
  return `thrown: ${inspect(error, { depth: 2, breakLength: Number.POSITIVE_INFINITY })}`
}

const detailsOf = (error: unknown): string[] =>
  isKeelsonError(error)
    ? Object.entries(error.details)
        .filter(([, fact]) => fact !== undefined)
        .map(([name, fact]) => `${name}: ${factText(fact)}`)
    : []

const factText = (fact: unknown): string => {
  const plain = withoutStacks(fact, 4)
  return typeof plain === 'string'
    ? printableLines(plain, '    ')
    : printableLines(inspect(plain, { depth: 4, breakLength: 100 }), '  ')
}

/**
 * The detail with errors shortened to their first line: exit reasons hold errors, and stacks need
 * `verbose`.
 */
const withoutStacks = (fact: unknown, depth: number): unknown => {
  if (isError(fact)) return rawHeadOf(fact)
  if (depth === 0 || typeof fact !== 'object' || fact === null) return fact
  if (Array.isArray(fact)) return fact.map((each) => withoutStacks(each, depth - 1))
  if (Object.getPrototypeOf(fact) !== Object.prototype) return fact
  return Object.fromEntries(
    Object.entries(fact).map(([name, each]) => [name, withoutStacks(each, depth - 1)]),
  )
}

const causesMax = 8

/**
 * The causes, nearest first. A repeated message is left out. Under a KeelsonError only
 * KeelsonErrors are shown: its details have the system's error already.
 */
const causesOf = (error: unknown, verbose: boolean): unknown[] => {
  const causes: unknown[] = []
  let each = causeOf(error)
  // An error may cause itself, and add nothing.
  for (let depth = 0; each !== undefined && depth < causesMax && !causes.includes(each); depth++) {
    if (verbose || (addsTo(each, error) && (isKeelsonError(each) || !isKeelsonError(error))))
      causes.push(each)
    each = causeOf(each)
  }
  return causes
}

const addsTo = (cause: unknown, error: unknown): boolean =>
  !rawHeadOf(error).includes(isError(cause) ? readError(cause).message : reasonText(cause))

const causeOf = (error: unknown): unknown => (isError(error) ? readError(error).cause : undefined)
