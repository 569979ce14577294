/**
 * A log on a thread of its own: host and, in the worker, the entry. The thread owns the file, so a slow sync holds up
 * nobody else. A second thread, begun when the first spare is wanted, fills spares with zeros, so that no commit waits for
 * that; it ends with the first. Small commits go through a lane of shared memory, all else as messages, payloads transferred
 * and errors as plain data. The worker keeps the process alive only while a request is under way, so an idle log does not
 * hold it open.
 */
import { systemClock } from '../../clock.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { createLog } from '../log/log.ts'
import type { LogHost, LogProtocol, LogRequestKind } from '../ports/log-host.ts'
import { prepareSpare, type SpareTask } from '../segments/segment-file.ts'
import { laneMemory } from './lane.ts'
import { type AnswerByLane, LaneClient, LaneServer } from './lane-ends.ts'
import { type PackedAnswer, packed, unpacked } from './log-wire.ts'
import {
  answer,
  hasSpareProcessor,
  isThread,
  sharedMemory,
  startThread,
  takeQuestions,
  tellParent,
  threadClient,
  wakeParent,
} from './worker-thread.ts'

/** By this a worker knows what it was started to be. */
const roles = { log: 'keelson log', spares: 'keelson spares' } as const

/** A question as this thread's host asks it. */
type LogQuestion = {
  readonly id: number
  readonly kind: LogRequestKind
  readonly request: LogProtocol[LogRequestKind]['request']
  /** Absent for one that came as a message. */
  readonly byLane?: AnswerByLane
}

/**
 * Makes a host on a new thread, over the real disk. The bytes of a commit may be handed over: when they are a whole
 * `ArrayBuffer` of their own, or said to be given, the caller's view of them may be empty afterwards.
 */
export const threadLogHost = (): LogHost => {
  const memory = laneMemory()
  const lane = new LaneClient(memory, systemClock(), hasSpareProcessor())
  const thread = threadClient(startThread(import.meta.url, roles.log, memory), 'the log', lane)
  return {
    // The thread answers a request of a kind with an answer of that kind.
    run: async <K extends LogRequestKind>(kind: K, request: LogProtocol[K]['request']) =>
      unpacked((await thread.ask(kind, request)) as PackedAnswer) as LogProtocol[K]['answer'],
    end: () => thread.end(),
  }
}

/**
 * The thread's side: one log, one request after another, in the order in which they come. Those that need a spare wait
 * for the one that is being made.
 */
const serveLog = (memory: SharedArrayBuffer): void => {
  const clock = systemClock()
  const log = createLog(nodeDisk(), clock)
  const questions: LogQuestion[] = []
  const spares = spareMaker({
    settled: (error) => log.settleSpare(error),
    free: () => proceed(),
  })
  const lane = new LaneServer(memory, clock, {
    wake: wakeParent,
    take: (id, request, byLane) => take({ id, kind: 'commit', request, byLane }),
  })
  const proceed = (): void => {
    for (let at = questions[0]; at && !log.waitsForSpare(at.kind, at.request); at = questions[0]) {
      questions.shift()
      const { id, kind, request, byLane } = at
      answer(id, () => packed(log.handle(kind, request)), byLane)
      if (kind === 'commit') spares.begin()
    }
    // Until the second thread runs, a spare is made where it is needed: nobody waits for a thread to begin.
    const task = spares.isFree ? log.beginSpare() : undefined
    if (task) spares.make(task)
  }
  const take = (question: LogQuestion): void => {
    questions.push(question)
    proceed()
  }
  takeQuestions((question) => {
    // Commits in the lane may come before this question, or after it.
    lane.poll()
    lane.passed(question.id)
    take(question as LogQuestion)
    lane.poll()
  }, lane.poll)
}

/** Whoever makes spares for the log's thread. `settled` hears how each ended; `free` that there is time for another. */
const spareMaker = ({
  settled,
  free,
}: {
  settled: (error?: unknown) => void
  free: () => void
}) => {
  let thread: ReturnType<typeof startThread> | undefined
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
        thread = startThread(import.meta.url, roles.spares)
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
  const say = (reply: SpareReply) => tellParent(reply)
  takeQuestions((question) => {
    try {
      // The log's thread sends this one nothing but tasks.
      prepareSpare(disk, question as unknown as SpareTask)
      say({ kind: 'made' })
    } catch (error) {
      // A spare that failed is gone, and the log's thread tries again some day: that it failed is all that matters.
      say({ kind: 'failed', reason: String(error) })
    }
  })
  say({ kind: 'begun' })
}

const memory = sharedMemory()
if (isThread(roles.log) && memory) serveLog(memory)
if (isThread(roles.spares)) serveSpares()
