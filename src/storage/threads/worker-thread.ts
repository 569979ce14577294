/**
 * Threads that carry out requests. This is the storage's one file that imports `worker_threads`.
 * The host's side sends questions and gets promises; the thread handles questions in order. Bytes
 * are transferred, not copied, and errors cross as plain data. A thread keeps the process alive only
 * while a question waits for its answer.
 */
import { availableParallelism, constants, setPriority } from 'node:os'
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  parentPort,
  Worker,
  workerData,
} from 'node:worker_threads'
import { systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { addressSpaceLeft } from '../disk/address-space.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import { errorOfPlain, type PlainError, plainError } from './plain-error.ts'

export type { MessagePort, Worker } from 'node:worker_threads'

/** The role of each thread, and its owner as errors name it. */
const threadRoles = {
  /** Owns the files of one log. */
  log: 'the log',
  /** Fills new segments of one log with zeros. The log's thread starts it. */
  spares: 'the log',
  /** Syncs files of several logs. The log's thread starts it. */
  syncs: 'the log',
  /** Owns the files of a shard's blobs. */
  blobs: 'the blobs',
  /** Commits one projection. */
  projection: 'the projection',
  /** Examines one projection's file. */
  examination: 'the projection',
  /** Carries out one request to a shard's snapshots. */
  snapshots: 'the snapshots',
  /** Copies a shard into a backup. */
  backup: 'the backup',
  /** Locks and writes the folder of a backup. */
  target: 'the backup',
  /** Searches a log for the turns of a durable actor. */
  history: 'the history',
} as const
/** The role of a thread. */
export type ThreadRole = keyof typeof threadRoles

/** The data that a thread is started with. */
type Start = { readonly role: unknown; readonly shared?: SharedArrayBuffer | undefined }

const start = (): Start | undefined =>
  typeof workerData === 'object' && workerData !== null ? workerData : undefined

/**
 * The address space that a thread needs, in bytes, and half as much for another that starts with
 * it. V8 ends the process where it cannot reserve its part.
 */
const threadBytes = 1.25 * 2 ** 30

/**
 * Starts the file `entry` as a thread with a role, and shares memory with it. The thread does not
 * inherit Node's options, such as a loader, because `entry` is compiled code.
 * @throws KeelsonError `SHARD_DOWN` (reason `thread`) if the limits of the process leave no room
 */
export const startThread = (
  entry: string,
  role: ThreadRole,
  shared?: SharedArrayBuffer,
): Worker => {
  const left = refusing(() => addressSpaceLeft(nodeDisk()))
  if (left < threadBytes)
    throw new KeelsonError(
      'SHARD_DOWN',
      `the process has no address space for a thread of ${threadRoles[role]}: ${left} bytes are left`,
      { details: { reason: 'thread', role, left } },
    )
  return new Worker(new URL(entry), {
    workerData: { role, shared },
    name: `keelson ${role}`,
    execArgv: [],
  })
}

/** Whether this thread was started with `role`. */
export const isThread = (role: ThreadRole): boolean => !isMainThread && start()?.role === role

/** Whether this is the main thread, which ends only with the process. */
export const isProcessThread = (): boolean => isMainThread

/** How many threads can run at once. */
export const processors = (): number => availableParallelism()

/**
 * Whether two threads can run at once. If not, a thread that polls takes the time of the thread
 * that it waits for.
 */
export const hasSpareProcessor = (): boolean => processors() > 1

/**
 * Lets this thread run only when no other one wants the processor, as far as the system can: on
 * Linux each thread has a priority. Elsewhere the call would be for the whole process.
 */
export const runInBackground = (): void => {
  if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW)
}

/** The memory that this thread was started with. */
export const sharedMemory = (): SharedArrayBuffer | undefined => start()?.shared

/** A request with the number that its reply names. */
export type Question = { readonly id: number; readonly kind: string; readonly request: unknown }

/** `refused` is the error inside an answer. It crosses as plain data too. */
type Reply =
  | { readonly id: number; readonly answer: unknown; readonly refused?: PlainError }
  | { readonly id: number; readonly error: PlainError }
  /** An answer follows. */
  | { readonly id: number; readonly progress: unknown }

/** The message that wakes the other side, so that it polls the fast path. */
const wakeUp = null

type Waiting = {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: KeelsonError) => void
  readonly onProgress: ((progress: unknown) => void) | undefined
}

/** A way for some questions that is faster than messages. Both sides keep the order of the ids. */
export type FastPath = {
  /** Sets the function that receives answers. */
  onAnswer(settle: (id: number, answer: unknown) => void): void
  /**
   * Takes a question, and calls `wake` if the thread does not poll. False: the question goes as a
   * message.
   */
  offer(question: Question, wake: () => void): boolean
  /** Delivers the answers that have arrived. Returns whether there was one. */
  poll(): boolean
  /** The thread has woken this side: answers may have arrived. */
  woken(): void
  /** The question, taken or not, was answered by a message, or will not be answered. */
  forget(id: number): void
}

/** The messages of a whole thread, or of one of its channels. */
type Line = Pick<MessagePort, 'postMessage'> & {
  on(event: 'message', listener: (message: Reply | typeof wakeUp) => void): unknown
}

/** How a client reaches its thread, and lets go of it. */
type Reach = {
  readonly line: Line
  /** The process does not end while the thread is held: a question waits for its answer. */
  readonly hold: (isHeld: boolean) => void
  /** Is called once. Resolves when the thread does nothing more for the client. */
  readonly stop: () => Promise<unknown>
}

/** The only client of a thread. */
const alone = (worker: Worker): Reach => {
  worker.unref()
  const hold = (isHeld: boolean): void => (isHeld ? worker.ref() : worker.unref())
  return { line: worker, hold, stop: () => worker.terminate() }
}

/** One of several ways to one thread, each with its own order of questions. */
export type Channel = {
  readonly line: Line
  /** Resolves once the thread has done what was asked before, and closed its end. */
  close(): Promise<void>
}

/** The last message of a channel in each direction. */
const farewell = 'end'

/** The end of a channel that its thread gets. */
type ChannelEnd = { readonly port: MessagePort; readonly memory: SharedArrayBuffer }

/**
 * Opens a channel to `worker`, which takes it with `takeChannels`, and shares memory with it. It
 * does not keep the process: the ports of a thread that dies close before its end is known.
 */
export const openChannel = (worker: Worker, memory: SharedArrayBuffer): Channel => {
  const { port1: own, port2: port } = new MessageChannel()
  let said = (): void => undefined
  const isSaid = new Promise<void>((resolve) => {
    said = resolve
  })
  worker.postMessage({ port, memory } satisfies ChannelEnd, [port])
  return {
    line: {
      postMessage: (message, transfer) => own.postMessage(message, transfer as ArrayBuffer[]),
      on(_, listener) {
        own.on('message', (message) => (message === farewell ? said() : listener(message)))
        // A port that gets a listener keeps the process.
        own.unref()
      },
    },
    async close() {
      own.postMessage(farewell)
      await isSaid
      own.close()
    },
  }
}

/** The host's side of a thread. */
export type ThreadClient = {
  /**
   * Rejects with a `KeelsonError`: `SHARD_DOWN` (reason `thread`) if the thread died, `CLOSED`
   * after `end`. `onProgress` gets what the thread reports before its answer.
   */
  ask(kind: string, request: unknown, onProgress?: (progress: unknown) => void): Promise<unknown>
  /** Resolves when the thread has died; never once it was ended. */
  readonly died: Promise<KeelsonError>
  /** False once the thread has died or was ended. */
  isAlive(): boolean
  /**
   * Ends the thread at once. It waits only for the system call in progress; then the thread's files
   * are closed. A client of a channel lets go of it instead.
   */
  end(): Promise<void>
}

/**
 * The host's side of `worker`, or of a channel to it. The bytes of a request are transferred: a
 * view of a whole `ArrayBuffer` is empty afterwards, and a part of a larger buffer is copied. A fast
 * path copies the bytes of the questions that it takes.
 */
export const threadClient = (
  worker: Worker,
  role: ThreadRole,
  fastPath?: FastPath,
  { line, hold, stop }: Reach = alone(worker),
): ThreadClient => {
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let gone: KeelsonError | undefined
  let stopped: Promise<unknown> | undefined
  let die: (error: KeelsonError) => void = () => undefined
  const died = new Promise<KeelsonError>((resolve) => {
    die = resolve
  })

  const wake = (): void => line.postMessage(wakeUp)

  const fail = (error: KeelsonError): void => {
    gone ??= error
    for (const id of waiting.keys()) fastPath?.forget(id)
    for (const { reject } of waiting.values()) reject(gone)
    if (waiting.size > 0) hold(false)
    waiting.clear()
  }

  const take = (id: number): Waiting | undefined => {
    const asker = waiting.get(id)
    if (waiting.delete(id) && waiting.size === 0) hold(false)
    return asker
  }

  fastPath?.onAnswer((id, answer) => take(id)?.resolve(answer))
  line.on('message', (reply) => {
    if (reply === wakeUp) {
      fastPath?.woken()
      return
    }
    if ('progress' in reply) {
      waiting.get(reply.id)?.onProgress?.(reply.progress)
      return
    }
    // Earlier answers on the fast path arrived before this one, later ones had to wait for it.
    fastPath?.poll()
    fastPath?.forget(reply.id)
    const asker = take(reply.id)
    if ('error' in reply) asker?.reject(errorOfPlain(reply.error))
    else asker?.resolve(restored(reply))
    fastPath?.poll()
  })
  const onError = (cause: unknown): void => {
    const error = threadDied(role, cause)
    if (!gone) die(error)
    fail(error)
  }
  const onExit = (status: number): void =>
    onError(new Error(`the thread ended with status ${status}`))
  worker.on('error', onError)
  worker.on('exit', onExit)

  return {
    ask: (kind, request, onProgress) =>
      new Promise((resolve, reject) => {
        if (gone) return reject(gone)
        // The number counts once the question is sent: the thread expects each number in turn.
        const id = lastId + 1
        if (!fastPath?.offer({ id, kind, request }, wake)) {
          const question: Question = { id, kind, request: ownBytes(request) }
          try {
            line.postMessage(question, buffersOf(question.request))
          } catch (error) {
            fastPath?.forget(id)
            return reject(notTransferable(error))
          }
        }
        lastId = id
        waiting.set(id, { resolve, reject, onProgress })
        if (waiting.size === 1) hold(true)
      }),
    died,
    isAlive: () => gone === undefined,
    async end() {
      fail(new KeelsonError('CLOSED', `${threadRoles[role]} was ended`))
      // `terminate` waits for the call in progress, then stops the thread. Node closes the files
      // that it had opened.
      stopped ??= stop()
      await stopped
      worker.off('error', onError)
      worker.off('exit', onExit)
    },
  }
}

/** How a thread handles the messages of a line. */
type QuestionTaker = {
  readonly take: (question: Question) => void
  /** The host wakes it. */
  readonly woken: () => unknown
  /** The channel is to be closed. */
  readonly ended: () => unknown
}

/** The thread's side: takes the questions of a line. */
export const takeQuestions = (port: MessagePort, taker: Partial<QuestionTaker>): void => {
  port.on('messageerror', (error) => {
    // A question that cannot be read has no number to answer. The thread dies, which fails every
    // waiting question.
    throw error
  })
  port.on('message', (question: Question | typeof wakeUp | typeof farewell) => {
    if (question === wakeUp) taker.woken?.()
    else if (question === farewell) taker.ended?.()
    else taker.take?.(question)
  })
}

/** The thread's side: takes each channel that its host opens. */
export const takeChannels = (
  take: (port: MessagePort, memory: SharedArrayBuffer) => void,
): void => {
  parentPort?.on('message', ({ port, memory }: ChannelEnd) => take(port, memory))
}

/** The thread's side: a channel is closed, and nothing of it is open. */
export const sayFarewell = (port: MessagePort): void => port.postMessage(farewell)

/** The thread's side: wakes the host. */
export const wakeHost = (port: MessagePort): void => port.postMessage(wakeUp)

/** The thread's side: wakes the thread that started this one. */
export const wakeStarter = (): void => parentPort?.postMessage(wakeUp)

/** The interval, in ms, at which a host hears how far its question has come: each costs it a turn. */
const reportMs = 50

/** Reports to the host how far the question `id` has come. */
const reporter = (port: MessagePort, id: number): ((progress: unknown) => void) => {
  const clock = systemClock()
  let reported = Number.NEGATIVE_INFINITY
  return (progress) => {
    if (clock.monotonic() - reported < reportMs) return
    reported = clock.monotonic()
    port.postMessage({ id, progress } satisfies Reply)
  }
}

/**
 * The thread's side: answers each question with what `handle` returns or resolves with, or with its
 * error. `report` sends the host the progress.
 */
export const serve = (
  handle: (kind: string, request: unknown, report: (progress: unknown) => void) => unknown,
): void => {
  const port = parentPort
  if (!port) return
  const take = ({ id, kind, request }: Question): void => {
    const fail = (error: unknown): void =>
      answer(port, id, () => {
        throw error
      })
    try {
      const given = handle(kind, request, reporter(port, id))
      if (given instanceof Promise) given.then((value) => answer(port, id, () => value), fail)
      else answer(port, id, () => given)
    } catch (error) {
      fail(error)
    }
  }
  takeQuestions(port, { take })
}

/**
 * The thread's side: runs `action` and sends its answer or error. `fastPath` returns true for an
 * answer that it took.
 */
export const answer = (
  port: MessagePort,
  id: number,
  action: () => unknown,
  fastPath?: (answer: unknown) => boolean,
): void => {
  const reply = replyTo(action, id)
  if ('answer' in reply && !reply.refused && fastPath?.(reply.answer)) return
  port.postMessage(reply, 'answer' in reply ? buffersOf(reply.answer) : [])
}

const replyTo = (action: () => unknown, id: number): Reply => {
  try {
    const answer = action()
    const refused = refusedIn(answer)
    if (refused === undefined) return { id, answer }
    const { refused: _, ...rest } = answer as { refused: unknown }
    return { id, answer: rest, refused: plainError(refused) }
  } catch (error) {
    return { id, error: plainError(error) }
  }
}

const refusedIn = (answer: unknown): unknown =>
  typeof answer === 'object' && answer !== null && 'refused' in answer ? answer.refused : undefined

const restored = (reply: Extract<Reply, { answer: unknown }>): unknown =>
  reply.refused
    ? { ...(reply.answer as object), refused: errorOfPlain(reply.refused) }
    : reply.answer

const threadDied = (role: ThreadRole, cause: unknown): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `the thread of ${threadRoles[role]} died`, {
    details: { reason: 'thread' },
    cause,
  })

const notTransferable = (cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'the bytes of a request were transferred before', { cause })

/** The bytes of a message: its `bytes`, or each of its `payloads`. */
const bytesIn = (message: unknown): readonly unknown[] => {
  if (typeof message !== 'object' || message === null) return []
  const { bytes, payloads } = message as { bytes?: unknown; payloads?: unknown }
  return Array.isArray(payloads) ? payloads : [bytes]
}

/**
 * The request with bytes that may be transferred. A small buffer is often a part of Node's pool,
 * which must stay. So parts are copied, unless the request says that the whole buffer `isGiven`. An
 * empty view may be left of a buffer that was transferred before, which cannot be sent again, so a
 * new one replaces it.
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

/** The request as a thread gets it. The memory that it may take is gone for the caller. */
export const transferred = (request: unknown): unknown => {
  const owned = ownBytes(request)
  return structuredClone(owned, { transfer: buffersOf(owned) })
}

/** The answer or error of `action` in a thread, as its host gets it. */
export const crossed = (action: () => unknown): unknown => {
  const reply = replyTo(action, 0)
  const sent = structuredClone(reply, {
    transfer: 'answer' in reply ? buffersOf(reply.answer) : [],
  })
  if ('error' in sent) throw errorOfPlain(sent.error)
  return 'answer' in sent ? restored(sent) : undefined
}

const buffersOf = (message: unknown): ArrayBuffer[] => {
  const buffers = new Set<ArrayBuffer>()
  for (const bytes of bytesIn(message))
    if (bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer)
      buffers.add(bytes.buffer)
  return [...buffers]
}
