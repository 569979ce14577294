/** Errors as people read them at the prompt and on the command line: code and message in one line, then the facts. Pure. */
import { inspect } from 'node:util'
import { isKeelsonError } from '../errors.ts'

/**
 * `CODE: message` and a line for each detail; of other errors name and message. With `verbose`, stack and causes follow.
 */
export const errorText = (error: unknown, verbose = false): string => {
  const lines = [headOf(error), ...detailsOf(error).map((detail) => `  ${detail}`)]
  const causes = causesOf(error)
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

const factText = (fact: unknown): string =>
  typeof fact === 'string'
    ? fact
    : inspect(fact, { depth: 3, breakLength: 100 }).replaceAll('\n', '\n  ')

/** The errors underneath, the nearest first. A message that only says the same again is left out. */
const causesOf = (error: unknown): unknown[] => {
  const causes: unknown[] = []
  let each = error instanceof Error ? error.cause : undefined
  while (each !== undefined && causes.length < 8 && !causes.includes(each)) {
    if (!headOf(error).includes(each instanceof Error ? each.message : String(each)))
      causes.push(each)
    each = each instanceof Error ? each.cause : undefined
  }
  return causes
}
