/**
 * The one reader of errors. Any code may have made what is thrown: its getters throw, it is a revoked
 * proxy or of another realm, it causes itself, its message has 100 MB. An error that is shown, kept or
 * sent on has passed here, so it ends nothing but the work that it is of. Pure.
 */
import { types } from 'node:util'

/** The texts of an error, cut and well-formed, and what it has inside. */
export type ReadError = {
  readonly name: string
  readonly message: string
  /** Whether the message is longer, or cannot be read. */
  readonly isCut: boolean
  /** The message in it is cut, too. */
  readonly stack: string | undefined
  readonly code: string | number | undefined
  /** Where a connection of Node was to lead. */
  readonly address: string | undefined
  readonly port: number | undefined
  /** The details of a `KeelsonError`. */
  readonly details: object | undefined
  readonly cause: unknown
  /** The first errors of an `AggregateError`. */
  readonly errors: readonly unknown[]
}

/** Whether it is an Error, be it of another realm. Never throws, whatever is asked about. */
export const isError = (thrown: unknown): thrown is Error =>
  types.isNativeError(thrown) || isInstance(thrown)

const isInstance = (thrown: unknown): boolean => {
  try {
    return thrown instanceof Error
  } catch {
    // A revoked proxy.
    return false
  }
}

const textMax = 16_000
const nameMax = 200
const errorsMax = 8

/** The parts of `error` that can be read. A text has at most `max` characters. Never throws. */
export const readError = (error: Error, max = textMax): ReadError => {
  const [message, errors] = [member(error, 'message'), listOf(member(error, 'errors'))]
  const code = member(error, 'code')
  // Node refuses a connection with an AggregateError that has no message.
  const said = textOf(message, '') || messagesOf(errors)
  return {
    name: shortened(textOf(member(error, 'name'), 'Error'), nameMax),
    message: shortened(said, max),
    isCut: said.length > max || message === unreadable,
    // V8 makes the text when it is read, which costs ten times what the rest does.
    get stack() {
      const stack = member(error, 'stack')
      return typeof stack === 'string' ? shortStack(stack, said, max) : undefined
    },
    code: typeof code === 'string' ? shortened(code, nameMax) : numberOf(code),
    address: textIn(member(error, 'address')),
    port: numberOf(member(error, 'port')),
    details: objectOf(member(error, 'details')),
    cause: known(member(error, 'cause')),
    errors,
  }
}

const unreadable = Symbol('unreadable')

const member = (error: object, name: string): unknown => {
  try {
    return Reflect.get(error, name)
  } catch {
    return unreadable
  }
}

const known = (found: unknown): unknown => (found === unreadable ? undefined : found)

const textOf = (found: unknown, otherwise: string): string => {
  if (typeof found === 'string') return found
  if (found === undefined) return otherwise
  try {
    if (found !== unreadable) return String(found)
  } catch {
    // An object without text.
  }
  return '[unreadable]'
}

const textIn = (found: unknown): string | undefined =>
  typeof found === 'string' ? shortened(found, nameMax) : undefined

const numberOf = (found: unknown): number | undefined =>
  typeof found === 'number' ? found : undefined

const objectOf = (found: unknown): object | undefined =>
  typeof found === 'object' && found !== null ? found : undefined

const listOf = (found: unknown): readonly unknown[] => {
  try {
    return Array.isArray(found) ? Array.from(found.slice(0, errorsMax)) : []
  } catch {
    return []
  }
}

/** The errors of an error may have it inside. */
const messagesOf = (errors: readonly unknown[]): string =>
  errors
    .map((each) => (isError(each) ? textOf(member(each, 'message'), '').slice(0, nameMax) : ''))
    .filter((each) => each !== '')
    .join('; ')

/** A stack begins with the message. Cut alike, it keeps its frames. */
const shortStack = (stack: string, message: string, max: number): string => {
  const isLong = message.length > max && stack.includes(message)
  return shortened(isLong ? stack.replace(message, () => shortened(message, max)) : stack, 2 * max)
}

/** Half of a character can be neither stored nor sent. */
const shortened = (text: string, max: number): string => text.slice(0, max).toWellFormed()
