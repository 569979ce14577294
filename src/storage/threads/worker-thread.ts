/**
 * Threads that carry out requests: the one file that touches `worker_threads`. Who asks gets a promise; the thread gets
 * the requests in their order. Bytes are transferred, not copied; errors cross as plain data. A thread keeps the process
 * alive only while a request is under way, so an idle one does not hold it open.
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type ErrorCode, type ErrorDetails, KeelsonError } from '../../errors.ts'

/** A request on its way. `id` is what its reply names. */
export type Question = { readonly id: number; readonly kind: string; readonly request: unknown }

/** An error without its class. */
type PlainError = {
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails
}

/** An answer's own error (`refused`) crosses as plain data too. */
type Reply =
  | { readonly id: number; readonly answer: unknown; readonly refused?: PlainError }
  | { readonly id: number; readonly error: PlainError }

/** The message that wakes the other side, so that it polls the fast path. */
const wakeUp = null

type Waiting = {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: KeelsonError) => void
}

/** A way for some questions that is faster than messages. Both sides keep the order of the ids. */
export type FastPath = {
  /** Sets the function that receives answers. */
  onAnswer(settle: (id: number, answer: unknown) => void): void
  /** Takes a question, and calls `wake` if the thread does not poll. False: the question goes as a message. */
  offer(question: Question, wake: () => void): boolean
  /** Delivers the answers that have arrived. Returns whether there was one. */
  poll(): boolean
  /** The question was answered by a message, or will not be answered. */
  forget(id: number): void
}

/** The asking side of a thread. */
export type ThreadClient = {
  /** Rejects with a `KeelsonError`; `SHARD_DOWN` (reason `thread`) when the thread died, `CLOSED` once it was ended. */
  ask(kind: string, request: unknown): Promise<unknown>
  /** Ends the thread at once, waiting only for the call to the system that it is in; its files are closed then. */
  end(): Promise<void>
}

/**
 * Starts the file `entry` as a thread that knows itself by `role`, and shares memory with it when some is given. Options of
 * the main thread, such as --input-type or a loader, are not meant for compiled code.
 */
export const startThread = (entry: string, role: string, shared?: SharedArrayBuffer): Worker =>
  new Worker(new URL(entry), { workerData: { role, shared }, name: role, execArgv: [] })

/** Whether this is a thread that was started with `role`. */
export const isThread = (role: string): boolean => !isMainThread && given()?.role === role

/** Whether this thread ends only with the process. */
export const isProcessThread = (): boolean => isMainThread

/** Whether two threads can run at once: where they cannot, one that looks out takes the time of the one it looks for. */
export const hasSpareProcessor = (): boolean => availableParallelism() > 1

/** The memory that this thread shares with whoever started it. */
export const sharedMemory = (): SharedArrayBuffer | undefined => given()?.shared

type Given = {
  readonly role: unknown
  readonly shared?: SharedArrayBuffer
}

const given = (): Given | undefined =>
  typeof workerData === 'object' && workerData !== null ? workerData : undefined

/**
 * Asks `worker`. Bytes in a request are handed over: where they are a whole `ArrayBuffer` of their own, the caller's view of
 * them is empty afterwards; parts of a larger buffer are copied. `what` names the thread's owner in errors. `fastPath`
 * copies the bytes of the questions that it takes.
 */
export const threadClient = (worker: Worker, what: string, fastPath?: FastPath): ThreadClient => {
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let gone: KeelsonError | undefined

  const wake = (): void => worker.postMessage(wakeUp)

  const fail = (error: KeelsonError): void => {
    gone ??= error
    for (const id of waiting.keys()) fastPath?.forget(id)
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }

  const take = (id: number): Waiting | undefined => {
    const asker = waiting.get(id)
    waiting.delete(id)
    if (waiting.size === 0) worker.unref()
    return asker
  }

  worker.unref()
  fastPath?.onAnswer((id, answer) => take(id)?.resolve(answer))
  worker.on('message', (reply: Reply | typeof wakeUp) => {
    if (reply === wakeUp) {
      fastPath?.poll()
      return
    }
    fastPath?.forget(reply.id)
    const asker = take(reply.id)
    if ('error' in reply) asker?.reject(fromPlain(reply.error))
    else asker?.resolve(restored(reply))
    // Later answers on the fast path had to wait for this one.
    fastPath?.poll()
  })
  worker.on('error', (error) => fail(threadDied(what, error)))
  worker.on('exit', (status) =>
    fail(threadDied(what, new Error(`The thread ended with ${status}`))),
  )

  return {
    ask: (kind, request) =>
      new Promise((resolve, reject) => {
        if (gone) return reject(gone)
        // A number counts once it is on its way: the thread takes one after the other.
        const id = lastId + 1
        if (!fastPath?.offer({ id, kind, request }, wake)) {
          const question: Question = { id, kind, request: ownBytes(request) }
          try {
            worker.postMessage(question, buffersOf(question.request))
          } catch (error) {
            return reject(notTransferable(error))
          }
        }
        lastId = id
        waiting.set(id, { resolve, reject })
        if (waiting.size === 1) worker.ref()
      }),
    async end() {
      fail(new KeelsonError('CLOSED', `${what} was ended`))
      // It waits for the call in progress, then cuts the thread short; Node closes the files that it had opened.
      await worker.terminate()
    },
  }
}

/** The thread's side: calls `take` with each question, and `woken` when the host wakes it. */
export const takeQuestions = (take: (question: Question) => void, woken?: () => unknown): void => {
  parentPort?.on('messageerror', (error) => {
    // A question that cannot be read has no number to answer: the thread dies, and all who wait learn it.
    throw error
  })
  parentPort?.on('message', (question: Question | typeof wakeUp) =>
    question === wakeUp ? woken?.() : take(question),
  )
}

/** The thread's side: wakes the host. */
export const wakeParent = (): void => parentPort?.postMessage(wakeUp)

/** The thread's side: runs `action` and sends its answer or error. `fastPath` returns true for an answer that it took. */
export const answer = (
  id: number,
  action: () => unknown,
  fastPath?: (answer: unknown) => boolean,
): void => {
  const reply = replyTo(action, id)
  if ('answer' in reply && !reply.refused && fastPath?.(reply.answer)) return
  parentPort?.postMessage(reply, 'answer' in reply ? buffersOf(reply.answer) : [])
}

/** The thread's side: sends something that answers no question. */
export const tellParent = (message: unknown): void => parentPort?.postMessage(message)

const replyTo = (action: () => unknown, id: number): Reply => {
  try {
    const answer = action()
    const refused = refusedIn(answer)
    if (refused === undefined) return { id, answer }
    const { refused: _, ...rest } = answer as { refused: unknown }
    return { id, answer: rest, refused: toPlain(refused) }
  } catch (error) {
    return { id, error: toPlain(error) }
  }
}

const refusedIn = (answer: unknown): unknown =>
  typeof answer === 'object' && answer !== null && 'refused' in answer ? answer.refused : undefined

const restored = (reply: Extract<Reply, { answer: unknown }>): unknown =>
  reply.refused ? { ...(reply.answer as object), refused: fromPlain(reply.refused) } : reply.answer

const threadDied = (what: string, cause: unknown): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `The thread of ${what} died`, {
    details: { reason: 'thread' },
    cause,
  })

const notTransferable = (cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'The bytes of a request were given away before', { cause })

/** What of a message is bytes to hand over: `bytes`, and each of `payloads`. */
const bytesIn = (message: unknown): readonly unknown[] => {
  if (typeof message !== 'object' || message === null) return []
  const { bytes, payloads } = message as { bytes?: unknown; payloads?: unknown }
  return Array.isArray(payloads) ? payloads : [bytes]
}

/**
 * Small buffers are often parts of Node's pool, which must not be given away; where the request says that the whole buffer
 * `isGiven`, it is none of those. An empty one may be what is left of a
 * buffer that was given away before; that cannot be sent at all, and what is empty is refused where it matters.
 */
const ownBytes = (request: unknown): unknown => {
  if (typeof request !== 'object' || request === null) return request
  if ('bytes' in request && request.bytes instanceof Uint8Array)
    return 'isGiven' in request && request.isGiven === true && request.bytes.length > 0
      ? request
      : { ...request, bytes: own(request.bytes) }
  if ('payloads' in request && Array.isArray(request.payloads))
    return { ...request, payloads: request.payloads.map(own) }
  return request
}

const own = (bytes: Uint8Array): Uint8Array => {
  const isWhole = bytes.byteLength > 0 && bytes.byteLength === bytes.buffer.byteLength
  if (isWhole) return bytes
  return bytes.byteLength > 0 ? new Uint8Array(bytes) : new Uint8Array(0)
}

const buffersOf = (message: unknown): ArrayBuffer[] => {
  const buffers = new Set<ArrayBuffer>()
  for (const bytes of bytesIn(message))
    if (bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer)
      buffers.add(bytes.buffer)
  return [...buffers]
}

const toPlain = (error: unknown): PlainError => {
  if (error instanceof KeelsonError) return error.toJSON()
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: 'SHARD_DOWN', message, details: { reason: 'thread' } }
}

const fromPlain = ({ code, message, details }: PlainError): KeelsonError =>
  new KeelsonError(code, message, { details })
