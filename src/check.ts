/**
 * Checks of values from outside: options, arguments, commands. A check returns what it was given,
 * with defaults filled in, or throws. Checks of parts make checks of wholes, and a table of checks
 * is the only place where an option has its type, its range and its default. Pure.
 */
import {
  type ArgumentPath,
  configError,
  invalidArgument,
  type KeelsonError,
  unknownOption,
} from './errors.ts'

/** The place of a value, and the code of its refusal. An empty path is the whole. */
export type Place = {
  readonly code: 'CONFIG' | 'INVALID_ARGUMENT'
  readonly path: ArgumentPath
  /** Whose options the whole is, such as `a call`. */
  readonly whole?: string | undefined
  /** A refusal never shows a text: it may be a key, or a URL with a password. */
  readonly isSecret?: true | undefined
}

/**
 * Returns the checked value, or throws a `KeelsonError` with the code and the path of its place.
 * `In` is the type that a caller writes. The properties are for tables in the docs.
 */
export type Check<Out = unknown, In = Out> = {
  (found: unknown, at: Place): Out
  readonly expected?: string
  readonly fallback?: In
  readonly fields?: Fields
  /** The member must be there, be it as `undefined`. */
  readonly isStated?: boolean
}

/** The checks of the members of an object, by their names. */
export type Fields = { readonly [name: string]: Check }

/** The members as a caller writes them. */
export type Given<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Check<unknown, infer In> ? In : never
}

/** The members after the check. */
export type Checked<F extends Fields> = { readonly [K in keyof F]: ReturnType<F[K]> }

/** The check of an object by its members. Declarations name their types once by it, and not twice. */
export type FieldsCheck<F extends Fields> = Check<Checked<F>, Given<F>>

/** The place of an option of a configuration. */
export const config = (path: ArgumentPath = ''): Place => ({ code: 'CONFIG', path })

/** The place of an argument of a call. */
export const argument = (path: ArgumentPath = '', whole?: string): Place => {
  const code = 'INVALID_ARGUMENT'
  return whole === undefined ? { code, path } : { code, path, whole }
}

/**
 * Refuses arguments after those of `form`, which JavaScript would drop without a word.
 * @throws KeelsonError `CONFIG`, or the code of `at`
 */
export const noMore = (surplus: readonly unknown[], form: string, at = config()): void => {
  if (surplus.length > 0)
    throw refusal({ ...at, path: 'arguments' }, form, `${surplus.length} more`)
}

/** The place of a member. */
export const below = (at: Place, name: string | number): Place => {
  // Written out: each option of each call comes here.
  const { code, path, whole, isSecret } = at
  return { code, path: pathBelow(path, name), whole, isSecret }
}

const pathBelow = (path: ArgumentPath, name: string | number): ArgumentPath => {
  if (typeof path !== 'string') return [...path, name]
  if (typeof name === 'number') return `${path}[${name}]`
  return path === '' ? name : `${path}.${name}`
}

/** The refusal of a value at its place. */
export const refusal = (at: Place, expected: string, found: unknown): KeelsonError => {
  const whole = at.whole === undefined ? 'options' : `the options of ${at.whole}`
  const path = at.path === '' ? whole : at.path
  const shown = at.isSecret && typeof found === 'string' ? 'another text' : found
  return (at.code === 'CONFIG' ? configError : invalidArgument)(path, expected, shown)
}

/** A value for which `fits` holds. `expected` names it in a refusal. */
export const that = <T>(expected: string, fits: (found: unknown) => boolean): Check<T> =>
  Object.assign(
    (found: unknown, at: Place): T => {
      const refused = (): KeelsonError => refusal(at, expected, found)
      if (orRefused(() => fits(found), refused)) return found as T
      throw refused()
    },
    { expected },
  )

/** A number in a range. */
export const numberFrom = (min: number, max = Number.MAX_VALUE): Check<number> =>
  that(
    `a number ${range(min, max)}`,
    (found) => typeof found === 'number' && found >= min && found <= max,
  )

/** A whole number in a range. */
export const wholeFrom = (min: number, max = Number.MAX_SAFE_INTEGER): Check<number> =>
  that(
    `a whole number ${range(min, max)}`,
    (found) => Number.isSafeInteger(found) && Number(found) >= min && Number(found) <= max,
  )

/** A number above 0. A time in ms may be `Infinity`. */
export const aboveZero = (max = Number.POSITIVE_INFINITY): Check<number> =>
  that('a number above 0', (found) => typeof found === 'number' && found > 0 && found <= max)

const range = (min: number, max: number): string =>
  max >= Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`

/** One of these values. */
export const oneOf = <const T>(...allowed: readonly T[]): Check<T> =>
  that(allowed.length > 2 ? `one of ${allowed.join(', ')}` : allowed.join(' or '), (found) =>
    allowed.includes(found as T),
  )

/** True or false. */
export const flag: Check<boolean> = that('a boolean', (found) => typeof found === 'boolean')

/** Any text. */
export const text: Check<string> = that('a text', (found) => typeof found === 'string')

/** The same, or `Infinity`. */
export const orInfinite = (check: Check<number>): Check<number> =>
  Object.assign(
    (found: unknown, at: Place) => (found === Number.POSITIVE_INFINITY ? found : check(found, at)),
    { expected: `${check.expected}, or Infinity` },
  )

/** A signal with which a caller gives something up. */
export const abortSignal: Check<AbortSignal> = that(
  'an AbortSignal',
  (found) => found instanceof AbortSignal,
)

/** Any value, which something else checks. */
export const anything: Check = (found) => found

/** A function of the type `T`. */
export const functionOf = <T>(): Check<T> =>
  that('a function', (found) => typeof found === 'function')

/** The default of a `listener`: nobody hears. */
export const unheard = (): void => undefined

/** A function that hears of progress. Its failures are ignored, also that of a promise it returns. */
export const listener = <T>(): Check<(heard: T) => void> => {
  const ignored = (hear: (heard: T) => unknown): ((heard: T) => void) =>
    hear === unheard
      ? unheard
      : (heard) => void new Promise((done) => done(hear(heard))).catch(() => undefined)
  return or(mapped(functionOf<(heard: T) => void>(), ignored), unheard)
}

/** The path of a folder. */
export const folder: Check<string> = that(
  'the path of a folder',
  (found) => typeof found === 'string' && found !== '' && !found.includes('\0'),
)

/** A value that may be left out. */
export const optional = <Out, In>(check: Check<Out, In>): Check<Out | undefined, In> =>
  Object.assign(
    (found: unknown, at: Place) => (found === undefined ? undefined : check(found, at)),
    check,
  )

/** A value with a default. */
export const or = <Out, In>(check: Check<Out, In>, fallback: In): Check<Out, In> =>
  Object.assign((found: unknown, at: Place) => check(found === undefined ? fallback : found, at), {
    ...check,
    fallback,
  })

/** The value as `become` makes it of the checked one. */
export const mapped = <Out, In, Next>(
  check: Check<Out, In>,
  become: (checked: Out) => Next,
): Check<Next, In> =>
  Object.assign((found: unknown, at: Place) => become(check(found, at)), { ...check })

/** A list, whose members are checked. */
export const listOf = <Out, In>(
  member: Check<Out, In>,
  expected: string,
): Check<readonly Out[], readonly In[]> =>
  Object.assign(
    (found: unknown, at: Place) => {
      const refused = (): KeelsonError => refusal(at, expected, found)
      // A copy: `map` would pass over the holes of a list.
      const list = orRefused(() => Array.isArray(found) && Array.from<unknown>(found), refused)
      if (!list) throw refused()
      return list.map((each, index) => member(each, below(at, index)))
    },
    { expected },
  )

/** Answers as `look` does. The throw of a getter becomes the refusal. */
const orRefused = <T>(look: () => T, refused: () => KeelsonError): T => {
  try {
    return look()
  } catch {
    throw refused()
  }
}

/** Some members of an object whose names have been checked, with their defaults. */
export const membersOf = <F extends Fields>(
  fields: F,
): ((given: object, at: Place) => Checked<F>) => {
  const members = Object.entries(fields)
  return (given, at) => {
    const copy: Record<string, unknown> = {}
    for (const [name, member] of members) {
      const isAbsent = isShared(given, name)
      if (member.isStated && (isAbsent || !(name in given)))
        throw refusal(below(at, name), 'a value, or undefined', 'nothing')
      const checked = member(isAbsent ? undefined : Reflect.get(given, name), below(at, name))
      if (checked !== undefined || member.isStated || name in copy) copy[name] = checked
    }
    return copy as Checked<F>
  }
}

/**
 * An object with these members only; each is read once. A member that is left out and has no
 * default is left out of the result.
 */
export const object = <F extends Fields>(fields: F): FieldsCheck<F> => {
  const known = Object.keys(fields)
  const members = membersOf(fields)
  const check = (found: unknown, at: Place): Checked<F> =>
    members(readOptions(found as object, known, at), at)
  return Object.assign(check, { expected: 'an object', fields })
}

/** A plain object of any names, all of which are checked alike. */
export const recordOf =
  <Out, In>(
    member: Check<Out, In>,
  ): Check<Readonly<Record<string, Out>>, Readonly<Record<string, In>>> =>
  (found, at) => {
    const members = orRefused(
      () => {
        const isObject = typeof found === 'object' && found !== null && !Array.isArray(found)
        if (isObject && isPlain(found)) return Object.entries(found)
        return isObject ? 'a plain object' : 'an object'
      },
      () => refusal(at, 'an object that can be read', found),
    )
    if (typeof members === 'string') throw refusal(at, members, found)
    return Object.fromEntries(members.map(([name, each]) => [name, member(each, below(at, name))]))
  }

/** The same, of which each member has a default or may be left out: so may the whole. */
export const group = <F extends Fields>(fields: F): FieldsCheck<F> => or(object(fields), {})

/** A value whose texts no refusal shows. */
export const secret = <Out, In>(check: Check<Out, In>): Check<Out, In> =>
  Object.assign((found: unknown, at: Place) => check(found, { ...at, isSecret: true }), {
    ...check,
  })

/**
 * Requires an object that can be read, with no other names than `known`. A wrong name is refused at
 * `nameAt`.
 * @throws KeelsonError with the code of the place
 */
export const checkNames = (
  options: unknown,
  known: readonly string[],
  at: Place,
  nameAt = at,
): void => read(options, known, at, nameAt)

/**
 * A copy of the options at a place, with no other names than `known`. Each is read once, so that a
 * getter cannot answer the check and its use differently. A wrong name is refused at `nameAt`.
 * @throws KeelsonError with the code of the place
 */
export const readOptions = <T extends object>(
  options: T,
  known: readonly string[],
  at: Place,
  nameAt = at,
): T => {
  const copy: Record<string, unknown> = {}
  read(options, known, at, nameAt, copy)
  return copy as T
}

/** Whether it is of no class, in any realm: a Map, a Date or a promise has no options in it. */
const isPlain = (options: object): boolean => {
  if (Object.getPrototypeOf(options) === Object.prototype) return true
  let at = options
  while (!Object.hasOwn(at, 'constructor')) {
    const next: object | null = Object.getPrototypeOf(at)
    if (next === null) return true
    at = next
  }
  return Object.getPrototypeOf(at) === null
}

/**
 * Whether it has this name of `Object.prototype` alone, to which code may add any. A copy gets an own
 * `undefined` for it.
 */
const isShared = (options: object, name: string): boolean =>
  name in Object.prototype &&
  !Object.hasOwn(options, name) &&
  Reflect.get(options, name) === Reflect.get(Object.prototype, name)

/** Reads each member, which may be a getter that throws. Calls come here: nothing is slow on the way of good options. */
const read = (
  options: unknown,
  known: readonly string[],
  at: Place,
  nameAt: Place,
  copy?: Record<string, unknown>,
): void => {
  let misspelt: string | undefined
  let expected: string | undefined
  try {
    if (typeof options !== 'object' || options === null || Array.isArray(options))
      expected = 'an object'
    else if (!isPlain(options)) expected = 'a plain object'
    else {
      for (const name in options)
        if (!known.includes(name) && !isShared(options, name)) misspelt ??= name
      for (const name of known) {
        const isAbsent = isShared(options, name)
        const value = isAbsent ? undefined : (options as Record<string, unknown>)[name]
        if (copy && (value !== undefined || name in options || name in copy)) copy[name] = value
      }
    }
  } catch {
    expected = 'an object that can be read'
  }
  if (expected !== undefined) throw refusal(at, expected, options)
  if (misspelt !== undefined) throw unknownOption(at.code, below(nameAt, misspelt).path, known)
}
