/**
 * Values of a machine as plain data and back: what XState, refs and errors put into contexts and
 * events. All other values stay as they are; the store that takes them decides. It is apart from
 * `machine-steps.ts` because it walks values and takes no step.
 */
import type { AnyActorRef } from 'xstate'
import { errorCodes, KeelsonError } from '../../errors.ts'
import { addressOf, isRef, type Ref } from '../words/address.ts'

type Path = readonly (string | number)[]
type Marked =
  | { readonly keelson$$type: 'ref'; readonly name: string }
  | { readonly keelson$$type: 'error'; readonly error: Record<string, unknown> }

/** Whether a ref is a name that can be looked up again. */
type IsNamed = (ref: Ref) => boolean

/**
 * `value` with plain data in the place of actors inside the machine, refs and errors. It is `value`
 * itself if there is none. Throws `INVALID_ARGUMENT` with `details.path` for a ref of a process
 * without a name, and for a value that contains itself.
 */
export const toPlain = <T>(value: T, path: Path, isNamed: IsNamed): T => {
  // Most parts of a saved machine are absent, or empty lists.
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return value
  return new Walk(path, (found, walk) => {
    if (isActor(found)) return { xstate$$type: 1, id: found.id }
    if (isRef(found)) return plainRef(found, walk.path, isNamed)
    return found instanceof Error ? plainError(found, walk) : undefined
  }).visit(value)
}

/** The value of plain data. Refs look their names up through `to`. */
export const fromPlain = <T>(plain: T, to: (name: string) => Ref): T =>
  new Walk([], (found, walk) => {
    // Actors that XState has revived stay as they are.
    if (isActor(found)) return found
    if (!isMarked(found)) return undefined
    return found.keelson$$type === 'ref' ? to(found.name) : revived(walk.visit(found.error))
  }).visit(plain)

const isMarked = (value: object): value is Marked =>
  'keelson$$type' in value && (value.keelson$$type === 'ref' || value.keelson$$type === 'error')

const isActor = (value: object): value is AnyActorRef =>
  'sessionId' in value && 'send' in value && 'ref' in value

const plainRef = (ref: Ref, path: Path, isNamed: IsNamed): Marked => {
  const { name, process } = addressOf<{ readonly pid: number; readonly name?: string }>(ref)
  if (name !== undefined && isNamed(ref)) return { keelson$$type: 'ref', name }
  if (process?.name !== undefined) throw notSaved(path, refOfProcess(ref, process.name))
  throw notSaved(path, `the ref ${ref} is not a registered name, and is worth nothing later`)
}

const refOfProcess = (ref: Ref, name: string): string =>
  `the ref ${ref} is of one process and ends with it; keep the ref of its name, system.to('${name}')`

const plainError = (error: Error, walk: Walk): Marked => {
  const { name, message, stack, cause } = error
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

type Replace = (found: object, walk: Walk) => unknown

/** A container that the walk is in, and the member that it visits. */
type Open = {
  readonly container: object
  readonly outer: Open | undefined
  member: string | number | undefined
}

/** One walk through one value. It descends into values that `replace` leaves alone. */
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
    const visited = this.#replace(value, this) ?? this.#container(value)
    this.#open = outer
    return visited
  }

  #container(value: object): unknown {
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
