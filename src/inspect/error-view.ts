/** Errors as people read them at the prompt and on the command line: code and message in one line, then the facts. Pure. */
import { inspect } from 'node:util'
import { isKeelsonError } from '../errors.ts'

/**
 * `CODE: message` and a line for each detail; of other errors name and message. With `verbose`, stack and causes follow.
 */
export const errorText = (error: unknown, verbose = false): string => {
  const lines = [headOf(error), ...detailsOf(error).map((detail) => `  ${detail}`)]
  const causes = causesOf(error, verbose)
  if (!verbose)
    return [...lines, ...causes.map((cause) => `  because of ${headOf(cause)}`)].join('\n')
  return [...lines, ...[error, ...causes].map((each) => inspect(each, { depth: 4 }))].join('\n')
}

const headOf = (error: unknown): string => {
  if (isKeelsonError(error)) return `${error.code}: ${error.message}`
  if (error instanceof Error) return `${error.name}: ${error.message}`
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
    ? plain
    : inspect(plain, { depth: 4, breakLength: 100 }).replaceAll('\n', '\n  ')
}

/** The fact with errors in it as their first line: exit reasons hold errors, and stacks are for `verbose`. */
const withoutStacks = (fact: unknown, depth: number): unknown => {
  if (fact instanceof Error) return headOf(fact)
  if (depth === 0 || typeof fact !== 'object' || fact === null) return fact
  if (Array.isArray(fact)) return fact.map((each) => withoutStacks(each, depth - 1))
  if (Object.getPrototypeOf(fact) !== Object.prototype) return fact
  return Object.fromEntries(
    Object.entries(fact).map(([name, each]) => [name, withoutStacks(each, depth - 1)]),
  )
}

/**
 * The errors underneath, the nearest first. A message that only says the same again is left out. Under an error of ours only
 * others of ours are shown: what the system said is in the details already.
 */
const causesOf = (error: unknown, verbose: boolean): unknown[] => {
  const causes: unknown[] = []
  let each = error instanceof Error ? error.cause : undefined
  while (each !== undefined && causes.length < 8 && !causes.includes(each)) {
    if (verbose || (tells(each, error) && (isKeelsonError(each) || !isKeelsonError(error))))
      causes.push(each)
    each = each instanceof Error ? each.cause : undefined
  }
  return causes
}

const tells = (cause: unknown, error: unknown): boolean =>
  !headOf(error).includes(cause instanceof Error ? cause.message : String(cause))
