/**
 * Logs on separate threads: the hosts, and the thread's entry. The thread owns the files, so a slow
 * sync blocks nothing on the main thread. A second thread fills spare segments with zeros, so that
 * no commit waits for that. Small commits go through the lane (`lane.ts`), and all other requests as
 * messages.
 */
import { systemClock } from '../../clock.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { createLog, type Log } from '../log/log.ts'
import type { WrittenCommit } from '../log/log-writer.ts'
import type {
  Commit,
  CommitRequest,
  LogHost,
  LogProtocol,
  LogRequestKind,
} from '../ports/log-host.ts'
import { laneMemory, signalMemory } from './lane.ts'
import { type AnswerByLane, LaneClient, LaneHost, LaneServer, LaneThread } from './lane-ends.ts'
import { type PackedAnswer, packed, unpacked } from './log-wire.ts'
import { SpareMaker, SpareThread } from './spare-maker.ts'
import { SyncCrew } from './sync-crew.ts'
import {
  answer,
  type Channel,
  hasSpareProcessor,
  isThread,
  type MessagePort,
  openChannel,
  processors,
  sayFarewell,
  sharedMemory,
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
 * The most threads for the logs of an instance. Up to so many logs have one each. More take memory,
 * and the processors of the main thread: with four on two processors, 64 logs took twice the
 * memory, and 16 wrote half (bench/NOTES.md). More than eight have more than one main thread gives
 * them.
 */
const threadsMax = (): number => Math.min(Math.max(1, processors() >> 1), 8)

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
  readonly lanes: LaneHost
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
    const thread = this.#enter()
    const { worker } = thread
    const lane = new LaneClient(memory, thread.lanes)
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
      isFree: (whenFree) => lane.isFree(whenFree),
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
    const signals = signalMemory()
    const worker = startThread(import.meta.url, 'log', signals)
    // Each client listens for its end.
    worker.setMaxListeners(0)
    worker.unref()
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    const lanes = new LaneHost(signals, systemClock(), hasSpareProcessor())
    const thread: LogThread = { worker, lanes, ended, logs: 0, held: 0 }
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

/** The parts that the logs of a thread share. */
type LogsThread = {
  readonly lanes: LaneThread
  readonly second: SpareThread
  readonly crew: SyncCrew
  /** The log that took the last commit, and when, in ms. */
  last: { readonly log: Log | undefined; readonly at: number }
}

/** Logs that commit within so many ms are synced side by side. */
const togetherMs = 50

/**
 * The thread's side of one log, which handles requests in order. A request that needs a spare waits
 * for it, and a request after a commit for its sync.
 */
const serveLog = (port: MessagePort, memory: SharedArrayBuffer, thread: LogsThread): void => {
  const clock = systemClock()
  const log = createLog(nodeDisk(), clock)
  const questions: LogQuestion[] = []
  let written = 0
  let isEnded = false
  /** The sync of a commit, until it is answered. */
  let syncing: Promise<void> | undefined
  const spares = new SpareMaker(thread.second, {
    settled: (error) => log.settleSpare(error),
    free: () => proceed(),
  })
  const lane = new LaneServer(memory, thread.lanes, {
    wake: () => wakeHost(port),
    take: (id, request, byLane) => take({ id, kind: 'commit', request, byLane }),
  })
  /**
   * While one log alone commits, this thread syncs, which is the shortest way. The files of several
   * logs are synced side by side, while this thread writes the commits of others.
   */
  const commit = ({ id, request, byLane }: LogQuestion & { readonly request: CommitRequest }) => {
    written += request.bytes.length
    const end = (commit: () => Commit): void => answer(port, id, () => packed(commit()), byLane)
    const { crew, last } = thread
    const now = clock.monotonic()
    thread.last = { log, at: now }
    const isAlone = crew.syncs === 0 && (last.log === log || now - last.at > togetherMs)
    let begun: WrittenCommit
    try {
      begun = log.write(request)
    } catch (error) {
      return end(() => raise(error))
    }
    const { unsynced } = begun
    const sync = isAlone || !unsynced ? undefined : crew.sync(unsynced)
    if (!sync) return end(() => begun.end(() => unsynced?.sync()))
    syncing = sync
      .then(
        () => end(() => begun.end(() => undefined)),
        (error) => end(() => begun.end(() => raise(error))),
      )
      .then(() => {
        syncing = undefined
        proceed()
      })
  }
  const isReady = ({ kind, request }: LogQuestion): boolean =>
    !syncing && !log.waitsForSpare(kind, request)
  const proceed = (): void => {
    for (let at = questions[0]; at && isReady(at); at = questions[0]) {
      questions.shift()
      const { id, kind, request } = at
      if (isCommit(at)) commit(at)
      else answer(port, id, () => packed(log.handle(kind, request)))
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
    lane.end()
    questions.length = 0
    // The next opening of this log finds the spare whole, and alone.
    await Promise.all([spares.made, syncing])
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
    woken: () => thread.lanes.woken(),
    ended: end,
  })
}

/** The host sends a commit's request with a commit. */
const isCommit = (
  question: LogQuestion,
): question is LogQuestion & { readonly request: CommitRequest } => question.kind === 'commit'

const raise = (error: unknown): never => {
  throw error
}

const signals = sharedMemory()
if (isThread('log') && signals) {
  const lanes = new LaneThread(signals, systemClock())
  const last = { log: undefined, at: 0 }
  const thread: LogsThread = { lanes, second: new SpareThread(), crew: new SyncCrew(), last }
  takeChannels((port, memory) => serveLog(port, memory, thread))
}
