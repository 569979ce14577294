/** The options of a call, and their check. They are apart from `messaging.ts`, which sends. */
import { argument, readOptions } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'

/** The options of a call. */
export interface CallOptions {
  /**
   * Milliseconds; 5,000 by default, `Infinity` for no limit. With 0 the call rejects with `TIMEOUT`
   * at once, and its message may still be handled.
   */
  readonly timeoutMs?: number | undefined
  /** Rejects the call with the signal's reason. The message may still be handled. */
  readonly signal?: AbortSignal | undefined
  /**
   * The caller's name for this request, 1 to 256 bytes, for durable actors: the first outcome under
   * an id is remembered, and a repeat is answered with it without being handled again. Any other
   * process refuses it with `INVALID_ARGUMENT`.
   */
  readonly id?: string | undefined
  /**
   * True: while no process has the name, also one through a registry, the call waits for it within
   * `timeoutMs`; then it rejects with `NO_PROCESS`. Nothing is sent before. A ref of a process
   * waits for nothing: it never gets another one. False by default, as in OTP.
   */
  readonly waitForName?: boolean | undefined
}

/** An option of `call` alone. */
export interface PositionOption<P extends boolean> {
  /**
   * `true`: the call resolves with a `Positioned` answer. Only durable actors have a position; any
   * other process refuses the call with `INVALID_ARGUMENT`.
   */
  readonly position?: P
}

/** Set by the runtime for a call that it makes for another member, or for a call that has waited. */
export interface CallOrigin {
  /** The whole time of the caller, for the errors, if `timeoutMs` is what is left of it. */
  readonly wholeMs?: number
  /** As `PendingCall.giveBack`. */
  readonly giveBack?: ((shard: number) => void) | undefined
}

const callKeys = ['timeoutMs', 'signal', 'id', 'waitForName', 'position']

/** The options of a call, read once. Throws `INVALID_ARGUMENT`. */
export const readCallOptions = <O extends CallOptions & PositionOption<boolean>>(
  given: O,
  name: string,
): O => {
  const options = readOptions(given, callKeys, argument('', name))
  const { id, waitForName, signal, position } = options
  if (!isId(id)) throw noId(name)
  if (waitForName !== undefined && typeof waitForName !== 'boolean')
    throw invalidArgument(`waitForName of ${name}`, 'true or false', waitForName)
  if (position !== undefined && typeof position !== 'boolean')
    throw invalidArgument(`position of ${name}`, 'true or false', position)
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') throw noSignal(name)
  return options
}

const idBytesMax = 256

/** Whether it is a good id: it becomes the key of a row. */
export const isId = (id: unknown): boolean =>
  id === undefined ||
  (typeof id === 'string' &&
    id !== '' &&
    !id.includes('\0') &&
    id.isWellFormed() &&
    Buffer.byteLength(id) <= idBytesMax)

const noId = (name: string): KeelsonError =>
  new KeelsonError(
    'INVALID_ARGUMENT',
    `id of ${name}: expected well-formed text of 1 to ${idBytesMax} bytes without NUL`,
  )

const noSignal = (name: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `signal of ${name}: expected an AbortSignal`)
