/** How an entry is handed in, and what its answer says. */
import { KeelsonError } from '../../errors.ts'

// Bytes as a caller gives them. A subclass or an object with properties of its own may say anything about its length; what
// counts is what the engine knows. Pure.

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype)

const slotOf = (name: 'length' | 'byteOffset' | 'buffer'): ((bytes: Uint8Array) => unknown) => {
  const getter = Object.getOwnPropertyDescriptor(typedArray, name)?.get
  if (!getter) throw new TypeError(`TypedArray has no ${name}`)
  return (bytes) => getter.call(bytes)
}

const lengthOf = slotOf('length')
const offsetOf = slotOf('byteOffset')
const bufferOf = slotOf('buffer')

const isPlain = (bytes: Uint8Array): boolean => {
  const prototype = Object.getPrototypeOf(bytes)
  const isKnown = prototype === Buffer.prototype || prototype === Uint8Array.prototype
  return isKnown && !Object.hasOwn(bytes, 'length')
}

/**
 * `bytes`, or a view of the same memory when they have a length of their own making.
 * @throws KeelsonError `INVALID_ARGUMENT` for what is no `Uint8Array`, or was given away (detached).
 */
export const givenBytes = (bytes: Uint8Array): Uint8Array => {
  if (!(bytes instanceof Uint8Array)) throw refused(typeof bytes)
  try {
    if (isPlain(bytes) && bytes.length > 0) return bytes
    // Throws for memory that was given away, and for what only looks like a Uint8Array.
    return new Uint8Array(
      bufferOf(bytes) as ArrayBuffer,
      offsetOf(bytes) as number,
      lengthOf(bytes) as number,
    )
  } catch (cause) {
    throw refused('bytes that were given away', cause)
  }
}

const refused = (found: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `bytes cannot be ${found}`, {
    details: { path: 'bytes', found },
    cause,
  })

/** How an entry waits. */
export type AppendOptions = {
  /** When the queue is full: wait (the default), or be refused with `BUSY`. */
  readonly whenFull?: 'wait' | 'refuse'
  /** Takes the entry back while it was not submitted: `NOT_SUBMITTED`. Later: `UNKNOWN_OUTCOME`. */
  readonly signal?: AbortSignal
  /** The same, that many ms from now. */
  readonly deadlineMs?: number
}

/** Where an entry stands. `level` is there only when it was written and not synced. */
export type Appended = { readonly lsn: number; readonly level?: 'written' }

/** @throws KeelsonError `INVALID_ARGUMENT` for options that mean nothing. */
export const checkAppendOptions = (options: AppendOptions): void => {
  if (typeof options !== 'object' || options === null) throw invalid('options', options)
  for (const name of Object.keys(options)) if (!optionNames.has(name)) throw invalid(name, name)
  const { whenFull, signal, deadlineMs } = options
  if (whenFull !== undefined && whenFull !== 'wait' && whenFull !== 'refuse')
    throw invalid('whenFull', whenFull)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal', signal)
  if (deadlineMs !== undefined && !(typeof deadlineMs === 'number' && deadlineMs >= 0))
    throw invalid('deadlineMs', deadlineMs)
}

const optionNames: ReadonlySet<string> = new Set(['whenFull', 'signal', 'deadlineMs'])

const invalid = (path: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be ${String(found)}`, {
    details: { path, found },
  })
