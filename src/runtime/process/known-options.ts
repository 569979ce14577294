/**
 * Checks of options objects, for callers without types: a misspelt name would have no effect,
 * unnoticed. Options are read once, so that a getter cannot answer the check and its use
 * differently.
 */
import { invalidArgument, unknownOption } from '../../errors.ts'

/** Finds the fault of an options object: an unknown key, or the whole. */
export type OptionsFault =
  | { readonly key: string }
  | { readonly key?: never; readonly expected: string; readonly found: unknown }

/** The fault of `options`: no object, a key that is not `known`, or it throws when it is read. */
const optionsFault = (options: unknown, known: ReadonlySet<string>): OptionsFault | undefined => {
  try {
    if (typeof options !== 'object' || options === null || Array.isArray(options))
      return { expected: 'an object', found: options }
    for (const key in options) if (!known.has(key)) return { key }
    return undefined
  } catch {
    return unreadable(options)
  }
}

/** A copy of the known keys of `options`, each read once; or the fault. */
export const readKeys = <T extends object>(
  options: T,
  known: ReadonlySet<string>,
):
  | { readonly copy: T; readonly fault?: never }
  | { readonly copy?: never; readonly fault: OptionsFault } => {
  const fault = optionsFault(options, known)
  if (fault !== undefined) return { fault }
  try {
    const copy: Record<string, unknown> = {}
    for (const key of known) if (key in options) copy[key] = options[key as keyof T]
    return { copy: copy as T }
  } catch {
    return { fault: unreadable(options) }
  }
}

/**
 * The options of `what`, copied. Throws `INVALID_ARGUMENT` unless they are an object that can be
 * read, with no other keys than `known`.
 */
export const readOptions = <T extends object>(
  what: string,
  options: T,
  known: ReadonlySet<string>,
): T => {
  const { copy, fault } = readKeys(options, known)
  if (fault !== undefined) throw faultOf(what, fault, known)
  return copy
}

const faultOf = (what: string, fault: OptionsFault, known: ReadonlySet<string>): Error =>
  fault.key === undefined
    ? invalidArgument(`the options of ${what}`, fault.expected, fault.found)
    : unknownOption('INVALID_ARGUMENT', fault.key, [...known])

const unreadable = (found: unknown): OptionsFault => ({
  expected: 'an object that can be read',
  found,
})
