/**
 * Logs on separate threads: the hosts, and the thread's entry. The thread owns the files, so a slow
 * sync blocks nothing on the main thread. A second thread fills spare segments with zeros, so that
 * no commit waits for that. Small commits go through the lane (`lane.ts`), and all other requests as
 * messages.
 */
import { systemClock } from '../../clock.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { createLog } from '../log/log.ts'
import type { LogHost, LogProtocol, LogRequestKind } from '../ports/log-host.ts'
import { laneMemory } from './lane.ts'
import { type AnswerByLane, LaneClient, LaneServer } from './lane-ends.ts'
import { type PackedAnswer, packed, unpacked } from './log-wire.ts'
import { SpareMaker, SpareThread } from './spare-maker.ts'
import {
  answer,
  type Channel,
  hasSpareProcessor,
  isThread,
  type MessagePort,
  openChannel,
  processors,
  sayFarewell,
  startThread,
  takeChannels,
  takeQuestions,
  threadClient,
  type Worker,
  wakeHost,
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
 * The most threads for the logs of an instance. Up to so many logs have one each. With a thread for
 * each of 64 logs, two processors took 10 s to start them, 1 GB, and wrote a third
 * (bench/NOTES.md). More than eight have more than one main thread gives them.
 */
const threadsMax = (): number => Math.min(Math.max(4, processors()), 8)

/**
 * Makes hosts over the real disk, on at most `max` threads. The bytes of a commit may be
 * transferred: a view of a whole `ArrayBuffer`, or one that the request says is given, may be empty
 * afterwards.
 */
export const threadLogHosts = (max = threadsMax()): (() => LogHost) => {
  const threads = new LogThreads(max)
  return () => threads.host()
}

/** A thread, how many logs it has, and how many of them hold it. */
type LogThread = {
  readonly worker: Worker
  /** Resolves when it has ended, and its files are closed. */
  readonly ended: Promise<void>
  logs: number
  held: number
}

class LogThreads {
  readonly #max: number
  readonly #threads = new Set<LogThread>()

  constructor(max: number) {
    this.#max = max
  }

  host(): LogHost {
    const memory = laneMemory()
    const lane = new LaneClient(memory, systemClock(), hasSpareProcessor())
    const thread = this.#enter()
    const { worker } = thread
    const channel = openChannel(worker, memory)
    const client = threadClient(worker, 'log', lane, {
      line: channel.line,
      hold: (isHeld) => hold(thread, isHeld),
      stop: () => this.#leave(thread, channel),
    })
    return {
      died: client.died,
      // The thread answers a request of a kind with an answer of that kind.
      run: async <K extends LogRequestKind>(kind: K, request: LogProtocol[K]['request']) =>
        unpacked((await client.ask(kind, request)) as PackedAnswer) as LogProtocol[K]['answer'],
      end: () => client.end(),
    }
  }

  /** A thread for one more log: a new one, or at the limit the one with the fewest logs. */
  #enter(): LogThread {
    const [least] = [...this.#threads].sort((left, right) => left.logs - right.logs)
    const thread = least && this.#threads.size >= this.#max ? least : this.#started()
    thread.logs++
    return thread
  }

  #started(): LogThread {
    const worker = startThread(import.meta.url, 'log')
    // Each client listens for its end.
    worker.setMaxListeners(0)
    worker.unref()
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const thread: LogThread = { worker, ended, logs: 0, held: 0 }
    this.#threads.add(thread)
    // A thread that has failed takes no more logs. It ends some time later.
    worker.on('error', () => this.#threads.delete(thread))
    worker.on('exit', () => this.#threads.delete(thread))
    return thread
  }

  /** The last log ends its thread at once. Another one ends after the requests before. */
  async #leave(thread: LogThread, channel: Channel): Promise<void> {
    thread.logs--
    const isLast = thread.logs === 0
    if (isLast) this.#threads.delete(thread)
    hold(thread, true)
    // A thread that ends before it has closed the channel closes the files with its end.
    await (isLast ? thread.worker.terminate() : Promise.race([channel.close(), thread.ended]))
    hold(thread, false)
  }
}

const hold = (thread: LogThread, isHeld: boolean): void => {
  thread.held += isHeld ? 1 : -1
  if (thread.held > 0) thread.worker.ref()
  else thread.worker.unref()
}

/**
 * From so many bytes of commits on there is a thread for spares. It takes as much time to start as
 * hundreds of writes, and most commands write little.
 */
const usedBytes = 256 * 1024

/**
 * The thread's side of one log, which handles requests in order. A request that needs a spare waits
 * for it.
 */
const serveLog = (port: MessagePort, memory: SharedArrayBuffer, second: SpareThread): void => {
  const clock = systemClock()
  const log = createLog(nodeDisk(), clock)
  const questions: LogQuestion[] = []
  let written = 0
  let isEnded = false
  const spares = new SpareMaker(second, {
    settled: (error) => log.settleSpare(error),
    free: () => proceed(),
  })
  const lane = new LaneServer(memory, clock, {
    wake: () => wakeHost(port),
    take: (id, request, byLane) => take({ id, kind: 'commit', request, byLane }),
  })
  const proceed = (): void => {
    for (let at = questions[0]; at && !log.waitsForSpare(at.kind, at.request); at = questions[0]) {
      questions.shift()
      const { id, kind, request, byLane } = at
      if (kind === 'commit') written += (request as LogProtocol['commit']['request']).bytes.length
      answer(port, id, () => packed(log.handle(kind, request)), byLane)
    }
    if (isEnded) return
    if (written >= usedBytes) spares.start()
    // Until the second thread runs, the log makes a spare when it needs one: no commit waits for a
    // thread to start.
    const task = spares.isFree ? log.beginSpare() : undefined
    if (task) spares.make(task)
  }
  const take = (question: LogQuestion): void => {
    if (isEnded) return
    questions.push(question)
    proceed()
  }
  const end = async (): Promise<void> => {
    isEnded = true
    questions.length = 0
    // The next opening of this log finds the spare whole, and alone.
    await spares.made
    log.abandon()
    sayFarewell(port)
  }
  takeQuestions(port, {
    take(question) {
      // Commits in the lane may come before this question, or after it.
      lane.poll()
      lane.passed(question.id)
      take(question as LogQuestion)
      lane.poll()
    },
    woken: lane.poll,
    ended: end,
  })
}

if (isThread('log')) {
  const second = new SpareThread()
  takeChannels((port, memory) => serveLog(port, memory, second))
}
