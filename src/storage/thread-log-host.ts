/**
 * A log on a thread of its own: host and, in the worker, the entry. The thread owns the file, so a slow sync holds up
 * nobody else. A second thread, begun when the first spare is wanted, fills spares with zeros, so that no commit waits for
 * that; it ends with the first. Payloads are transferred, not copied; errors cross as plain data. The worker keeps the process alive only
 * while a request is under way, so an idle log does not hold it open.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { systemClock } from '../clock.ts'
import { type ErrorCode, type ErrorDetails, KeelsonError } from '../errors.ts'
import { createLog } from './log.ts'
import type { LogHost, LogProtocol, LogRequestKind } from './log-host.ts'
import { nodeDisk } from './node-disk.ts'
import { prepareSpare, type SpareTask } from './segment-file.ts'

/** By this a worker knows what it was started to be. */
const roles = { log: 'keelson log', spares: 'keelson spares' } as const

type AnyRequest = LogProtocol[LogRequestKind]['request']
type AnyAnswer = LogProtocol[LogRequestKind]['answer']
type Question = { readonly id: number; readonly kind: LogRequestKind; readonly request: AnyRequest }
type PlainError = {
  readonly code: ErrorCode
  readonly message: string
  readonly details: ErrorDetails
}
/** An answer's own error crosses as plain data too. */
type Reply =
  | { readonly id: number; readonly answer: AnyAnswer; readonly refused?: PlainError }
  | { readonly id: number; readonly error: PlainError }
type Waiting = {
  readonly resolve: (answer: AnyAnswer) => void
  readonly reject: (error: KeelsonError) => void
}

/**
 * Makes a host on a new thread, over the real disk. The bytes of a commit are handed over: when they are a whole
 * `ArrayBuffer` of their own, the caller's view of them is empty afterwards; parts of a larger buffer are copied.
 */
export const threadLogHost = (): LogHost => {
  const worker = startThread(roles.log)
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let gone: KeelsonError | undefined

  const fail = (error: KeelsonError): void => {
    gone ??= error
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }

  worker.unref()
  worker.on('message', (reply: Reply) => {
    const asker = waiting.get(reply.id)
    waiting.delete(reply.id)
    if (waiting.size === 0) worker.unref()
    if ('error' in reply) asker?.reject(fromPlain(reply.error))
    else asker?.resolve(restored(reply))
  })
  worker.on('error', (error) => fail(threadDied(error)))
  worker.on('exit', (status) => fail(threadDied(new Error(`The thread ended with ${status}`))))

  const run = <K extends LogRequestKind>(
    kind: K,
    request: LogProtocol[K]['request'],
  ): Promise<LogProtocol[K]['answer']> =>
    new Promise((resolve, reject) => {
      if (gone) return reject(gone)
      lastId += 1
      const question: Question = { id: lastId, kind, request: ownBytes(request) }
      try {
        worker.postMessage(question, buffersOf(question.request))
      } catch (error) {
        return reject(notTransferable(error))
      }
      // The thread answers a request of a kind with an answer of that kind; the map cannot say so.
      waiting.set(lastId, { resolve: resolve as Waiting['resolve'], reject })
      worker.ref()
    })

  return {
    run,
    async end() {
      fail(new KeelsonError('CLOSED', 'The log was ended'))
      // It waits for the call in progress, then cuts the thread short; Node closes the files that it had opened.
      await worker.terminate()
    },
  }
}

const threadDied = (cause: unknown): KeelsonError =>
  new KeelsonError('SHARD_DOWN', 'The thread of the log died', {
    details: { reason: 'thread' },
    cause,
  })

const notTransferable = (cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', 'The bytes of a request were given away before', { cause })

/**
 * Small buffers are often parts of Node's pool, which must not be given away. An empty one may be what is left of a
 * buffer that was given away before; that cannot be sent at all, and its commit is refused by the log.
 */
const ownBytes = (request: AnyRequest): AnyRequest => {
  if (!request || !('bytes' in request)) return request
  const { bytes } = request
  const isWhole = bytes.byteLength > 0 && bytes.byteLength === bytes.buffer.byteLength
  return isWhole
    ? request
    : { ...request, bytes: bytes.byteLength > 0 ? new Uint8Array(bytes) : new Uint8Array(0) }
}

const buffersOf = (message: AnyRequest | AnyAnswer): ArrayBuffer[] => {
  const bytes = message && 'bytes' in message ? message.bytes : undefined
  return bytes instanceof Uint8Array && bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []
}

const toPlain = (error: unknown): PlainError => {
  if (error instanceof KeelsonError) return error.toJSON()
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: 'SHARD_DOWN', message, details: { reason: 'thread' } }
}

const fromPlain = ({ code, message, details }: PlainError): KeelsonError =>
  new KeelsonError(code, message, { details })

const restored = (reply: Extract<Reply, { answer: AnyAnswer }>): AnyAnswer => {
  const { answer, refused } = reply
  return refused && answer ? { ...answer, refused: fromPlain(refused) } : answer
}

/** Options of the main thread, such as --input-type or a loader, are not meant for compiled code. */
const startThread = (role: (typeof roles)[keyof typeof roles]): Worker =>
  new Worker(new URL(import.meta.url), { workerData: role, name: role, execArgv: [] })

/**
 * The thread's side: one log, one request after another, in the order in which they come. Those that need a spare wait
 * for the one that is being made.
 */
const serveLog = (): void => {
  const log = createLog(nodeDisk(), systemClock())
  const questions: Question[] = []
  const spares = spareMaker({
    settled: (error) => log.settleSpare(error),
    free: () => proceed(),
  })
  const proceed = (): void => {
    for (let at = questions[0]; at && !log.waitsForSpare(at.kind, at.request); at = questions[0]) {
      questions.shift()
      const { id, kind, request } = at
      const reply = answerTo(() => log.handle(kind, request), id)
      parentPort?.postMessage(reply, 'answer' in reply ? buffersOf(reply.answer) : [])
      if (kind === 'commit') spares.begin()
    }
    // Until the second thread runs, a spare is made where it is needed: nobody waits for a thread to begin.
    const task = spares.isFree ? log.beginSpare() : undefined
    if (task) spares.make(task)
  }
  parentPort?.on('messageerror', (error) => {
    // A question that cannot be read has no number to answer: the thread dies, and all who wait learn it.
    throw error
  })
  parentPort?.on('message', (question: Question) => {
    questions.push(question)
    proceed()
  })
}

/** Whoever makes spares for the log's thread. `settled` hears how each ended; `free` that there is time for another. */
const spareMaker = ({
  settled,
  free,
}: {
  settled: (error?: unknown) => void
  free: () => void
}) => {
  let thread: Worker | undefined
  let wasBegun = false
  let isFree = false
  const gone = (error: unknown): void => {
    thread = undefined
    isFree = false
    settled(error)
    free()
  }
  return {
    get isFree(): boolean {
      return isFree
    },
    /** Sees to it that there was a thread. Without one, or when it died, spares are made where they are needed. */
    begin(): void {
      if (wasBegun) return
      wasBegun = true
      try {
        thread = startThread(roles.spares)
      } catch {
        // The system has no thread to give; the log does without.
        return
      }
      thread.on('error', gone)
      thread.on('message', (reply: SpareReply) => {
        if (reply.kind !== 'begun') settled(reply.kind === 'failed' ? reply.reason : undefined)
        isFree = true
        free()
      })
    },
    make(task: SpareTask): void {
      isFree = false
      thread?.postMessage(task)
    },
  }
}

/** What the second thread says: it has begun, a spare is there, or it failed. */
type SpareReply =
  | { readonly kind: 'begun' | 'made' }
  | { readonly kind: 'failed'; readonly reason: string }

/** The second thread's side: one spare after another. */
const serveSpares = (): void => {
  const disk = nodeDisk()
  const say = (reply: SpareReply) => parentPort?.postMessage(reply)
  parentPort?.on('message', (task: SpareTask) => {
    try {
      prepareSpare(disk, task)
      say({ kind: 'made' })
    } catch (error) {
      // A spare that failed is gone, and the log's thread tries again some day: that it failed is all that matters.
      say({ kind: 'failed', reason: String(error) })
    }
  })
  say({ kind: 'begun' })
}

const answerTo = (action: () => AnyAnswer, id: number): Reply => {
  try {
    const answer = action()
    if (!answer || !('refused' in answer) || !answer.refused) return { id, answer }
    const { refused, ...rest } = answer
    return { id, answer: rest, refused: toPlain(refused) }
  } catch (error) {
    return { id, error: toPlain(error) }
  }
}

if (!isMainThread && workerData === roles.log) serveLog()
if (!isMainThread && workerData === roles.spares) serveSpares()
