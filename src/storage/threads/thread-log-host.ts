/**
 * A log on a thread of its own: the host, and the thread's entry. The thread owns the files, so a
 * slow sync blocks nothing else. A second thread fills spare segments with zeros, so that no commit
 * waits for that. Small commits go through the lane (`lane.ts`), and all other requests as
 * messages.
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
  type ThreadClient,
  takeQuestions,
  threadClient,
  wakeParent,
} from './worker-thread.ts'

/** A question of this host. */
type LogQuestion = {
  readonly id: number
  readonly kind: LogRequestKind
  readonly request: LogProtocol[LogRequestKind]['request']
  /** Absent if the question came as a message. */
  readonly byLane?: AnswerByLane
}

/**
 * Makes a host on a new thread, over the real disk. The bytes of a commit may be transferred: a
 * view of a whole `ArrayBuffer`, or one that the request says is given, may be empty afterwards.
 */
export const threadLogHost = (): LogHost => {
  const memory = laneMemory()
  const lane = new LaneClient(memory, systemClock(), hasSpareProcessor())
  const thread = threadClient(startThread(import.meta.url, 'log', memory), 'log', lane)
  return {
    // The thread answers a request of a kind with an answer of that kind.
    run: async <K extends LogRequestKind>(kind: K, request: LogProtocol[K]['request']) =>
      unpacked((await thread.ask(kind, request)) as PackedAnswer) as LogProtocol[K]['answer'],
    end: () => thread.end(),
  }
}

/**
 * The thread's side: one log, which handles requests in order. A request that needs a spare waits
 * for it.
 */
const serveLog = (memory: SharedArrayBuffer): void => {
  const clock = systemClock()
  const log = createLog(nodeDisk(), clock)
  const questions: LogQuestion[] = []
  const spares = new SpareMaker({
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
      if (kind === 'commit') spares.start()
    }
    // Until the second thread runs, the log makes a spare when it needs one: no commit waits for a
    // thread to start.
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

/** The calls of the maker of spares. */
type SpareMakerParts = {
  /** A spare was made, or failed with an error and is gone. */
  readonly settled: (error?: unknown) => void
  /** The maker can take a task, or its thread died. */
  readonly free: () => void
}

/**
 * Makes spares on a second thread. Without that thread, or after its death, the log makes its
 * spares itself.
 */
class SpareMaker {
  readonly #parts: SpareMakerParts
  #thread: ThreadClient | undefined
  #wasStarted = false
  #isFree = false

  constructor(parts: SpareMakerParts) {
    this.#parts = parts
  }

  get isFree(): boolean {
    return this.#isFree
  }

  /** Starts the thread once. */
  start(): void {
    if (this.#wasStarted) return
    this.#wasStarted = true
    try {
      this.#thread = threadClient(startThread(import.meta.url, 'spares'), 'spares')
    } catch {
      // The system has no thread to give.
      return
    }
    this.#ask('start', null, () => undefined)
  }

  make(task: SpareTask): void {
    this.#isFree = false
    this.#ask('make', task, ({ failure }) => this.#parts.settled(failure))
  }

  #ask(kind: SpareRequestKind, request: SpareTask | null, then: (made: MadeSpare) => void): void {
    void this.#thread?.ask(kind, request).then(
      (made) => {
        then(made as MadeSpare)
        this.#isFree = true
        this.#parts.free()
      },
      (error) => {
        this.#thread = undefined
        this.#isFree = false
        this.#parts.settled(error)
        this.#parts.free()
      },
    )
  }
}

/** The requests of the second thread: an answer to `start` says that the thread runs. */
type SpareRequestKind = 'start' | 'make'
/** `failure`: why the spare was not made. The log asks for another one later. */
type MadeSpare = { readonly failure?: string }

/** The second thread's side: one spare after another. */
const serveSpares = (): void => {
  const disk = nodeDisk()
  takeQuestions(({ id, kind, request }) =>
    // The log's thread sends a task with `make`.
    answer(id, () => (kind === 'make' ? madeSpare(disk, request as SpareTask) : {})),
  )
}

const madeSpare = (disk: ReturnType<typeof nodeDisk>, task: SpareTask): MadeSpare => {
  try {
    prepareSpare(disk, task)
    return {}
  } catch (error) {
    return { failure: String(error) }
  }
}

const memory = sharedMemory()
if (isThread('log') && memory) serveLog(memory)
if (isThread('spares')) serveSpares()
