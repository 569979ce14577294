/**
 * Values of a machine as plain data and back: what XState, refs and errors put into contexts and
 * events. All other values stay as they are; the store that takes them decides. It is apart from
 * `machine-steps.ts` because it walks values and takes no step.
 */
import { errorCodes, KeelsonError } from '../../errors.ts'
import { isError, readError } from '../../thrown.ts'
import { addressOf, isRef, type Ref } from '../words/address.ts'
import type { Actor } from './machine-door.ts'

type Path = readonly (string | number)[]
type Marked =
  | { readonly keelson$$type: 'actor'; readonly path: readonly string[] }
  | { readonly keelson$$type: 'ref'; readonly name: string }
  | { readonly keelson$$type: 'error'; readonly error: Record<string, unknown> }

/** The parts of a machine and of its process that can be found again. */
interface Findable {
  /** The place of an actor in the machine; `undefined` when it is not inside. */
  pathOf(actor: Actor): readonly string[] | undefined
  /** Whether a ref is a name that can be looked up again. */
  isNamed(ref: Ref): boolean
}

/** Finds it. */
interface Finder {
  actorAt(path: readonly string[]): Actor | undefined
  to(name: string): Ref
}

/**
 * `value` with plain data in the place of actors inside the machine, refs and errors. It is `value`
 * itself if there is none. Throws `INVALID_ARGUMENT` with `details.path` for an actor that is not
 * inside, for a ref of a process without a name, and for a value that contains itself.
 */
export const toPlain = <T>(value: T, path: Path, known: Findable): T => {
  // Most parts of a saved machine are absent, or empty lists.
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return value
  return new Walk(path, (found, walk) => {
    if (isActor(found)) return plainActor(found, walk.path, known)
    if (isRef(found)) return plainRef(found, walk.path, known)
    return isError(found) ? plainError(found, walk) : walk.within(found)
  }).visit(value)
}

/** The value of plain data. An actor that is not inside is `undefined`, as in XState. */
export const fromPlain = <T>(plain: T, finder: Finder): T =>
  new Walk([], (found, walk) => {
    // Actors that XState has revived stay as they are.
    if (isActor(found)) return found
    if (!isMarked(found)) return walk.within(found)
    if (found.keelson$$type === 'actor') return finder.actorAt(found.path)
    return found.keelson$$type === 'ref' ? finder.to(found.name) : revived(walk.visit(found.error))
  }).visit(plain)

const marks: readonly unknown[] = ['actor', 'ref', 'error'] satisfies Marked['keelson$$type'][]

const isMarked = (value: object): value is Marked =>
  'keelson$$type' in value && marks.includes(value.keelson$$type)

const isActor = (value: object): value is Actor =>
  'sessionId' in value && 'send' in value && 'ref' in value

const plainActor = (actor: Actor, path: Path, { pathOf }: Findable): Marked => {
  const place = pathOf(actor)
  if (place !== undefined) return { keelson$$type: 'actor', path: place }
  throw notSaved(path, `the actor ${actor.id} is not inside this machine`)
}

const plainRef = (ref: Ref, path: Path, { isNamed }: Findable): Marked => {
  const { name, process } = addressOf<{ readonly pid: number; readonly name?: string }>(ref)
  if (name !== undefined && isNamed(ref)) return { keelson$$type: 'ref', name }
  if (process?.name !== undefined) throw notSaved(path, refOfProcess(ref, process.name))
  throw notSaved(path, `the ref ${ref} is not a registered name, and is worth nothing later`)
}

const refOfProcess = (ref: Ref, name: string): string =>
  `the ref ${ref} is of one process and ends with it; keep the ref of its name, system.to('${name}')`

const plainError = (error: Error, walk: Walk): Marked => {
  const { name, message, stack, cause } = readError(error)
  const own = { ...error, name, message, stack, ...(cause === undefined ? {} : { cause }) }
  return { keelson$$type: 'error', error: walk.visit(own) }
}

const revived = (own: Record<string, unknown>): Error => {
  const { name, message, stack, cause, ...rest } = own
  const { code, details } = rest as Partial<KeelsonError>
  const given = 'cause' in own ? { cause } : {}
  const isOurs = name === 'KeelsonError' && code !== undefined && errorCodes.includes(code)
  const error = isOurs
    ? new KeelsonError(code, String(message), { ...given, details: details ?? {} })
    : Object.assign(new Error(String(message), given), rest)
  const hidden = (value: unknown) => ({ value, configurable: true, writable: true })
  if (name !== error.name) Object.defineProperty(error, 'name', hidden(name))
  return Object.defineProperty(error, 'stack', hidden(stack))
}

const notSaved = (path: Path, why: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `the value at ${path.join('.')} cannot be saved: ${why}`, {
    details: { path },
  })

/** Stands for `found`; `walk.within(found)` when it stands for itself. */
type Replace = (found: object, walk: Walk) => unknown

/** A container that the walk is in, and the member that it visits. */
type Open = {
  readonly container: object
  readonly outer: Open | undefined
  member: string | number | undefined
}

/** One walk through one value. */
class Walk {
  readonly #replace: Replace
  readonly #begin: Path
  /** The innermost open container. The chain is the current path, and detects cycles. */
  #open: Open | undefined = undefined

  constructor(begin: Path, replace: Replace) {
    this.#begin = begin
    this.#replace = replace
  }

  /** The place of the value that is visited. */
  get path(): Path {
    const path: (string | number)[] = []
    for (let open = this.#open; open !== undefined; open = open.outer)
      if (open.member !== undefined) path.unshift(open.member)
    return [...this.#begin, ...path]
  }

  /**
   * A copy of `value` with the replacements in it; `value` itself if there is none. Its type stays:
   * plain data are saved as the values that they stand for.
   */
  visit<T>(value: T): T {
    return this.#visit(value) as T
  }

  #visit(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    const outer = this.#open
    for (let open = outer; open !== undefined; open = open.outer)
      if (open.container === value) throw notSaved(this.path, 'it contains itself')
    this.#open = { container: value, outer, member: undefined }
    const visited = this.#replace(value, this)
    this.#open = outer
    return visited
  }

  /** A copy of `value` with the replacements within it; `value` itself if there is none. */
  within(value: object): unknown {
    if (Array.isArray(value)) return this.#list(value)
    if (value instanceof Map) {
      const [keys, values] = [[...value.keys()], [...value.values()]]
      const [newKeys, newValues] = [this.#list(keys), this.#list(values)]
      if (newKeys === keys && newValues === values) return value
      return new Map(newKeys.map((key, index) => [key, newValues[index]]))
    }
    if (value instanceof Set) {
      const members = [...value]
      const visited = this.#list(members)
      return visited === members ? value : new Set(visited)
    }
    return isPlainObject(value) ? this.#record(value) : value
  }

  #list(list: readonly unknown[]): readonly unknown[] {
    let copy: unknown[] | undefined
    for (const [index, part] of list.entries()) {
      const visited = this.#part(part, index)
      if (Object.is(visited, part)) continue
      copy ??= list.slice()
      copy[index] = visited
    }
    return copy ?? list
  }

  #record(record: Record<string, unknown>): unknown {
    let copy: Record<string, unknown> | undefined
    for (const key of Object.keys(record)) {
      const visited = this.#part(record[key], key)
      if (Object.is(visited, record[key])) continue
      copy ??= { ...record }
      copy[key] = visited
    }
    return copy ?? record
  }

  #part(part: unknown, key: string | number): unknown {
    if (this.#open) this.#open.member = key
    return this.#visit(part)
  }
}

const isPlainObject = (value: object): value is Record<string, unknown> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
