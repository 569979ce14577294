/**
 * A log on a separate thread: the host, and the thread's entry. The thread owns the files, so a
 * slow sync blocks nothing else. A second thread fills spare segments with zeros, so that no commit
 * waits for that. Small commits go through the lane (`lane.ts`), and all other requests as
 * messages.
 */
import { systemClock } from '../../clock.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { createLog } from '../log/log.ts'
import type { LogHost, LogProtocol, LogRequestKind } from '../ports/log-host.ts'
import { laneMemory } from './lane.ts'
import { type AnswerByLane, LaneClient, LaneServer } from './lane-ends.ts'
import { type PackedAnswer, packed, unpacked } from './log-wire.ts'
import { SpareMaker } from './spare-maker.ts'
import {
  answer,
  hasSpareProcessor,
  isThread,
  sharedMemory,
  startThread,
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
 * From so many bytes of commits on there is a thread for spares. It takes as much time to start as
 * hundreds of writes, and most commands write little.
 */
const usedBytes = 256 * 1024

/**
 * The thread's side: one log, which handles requests in order. A request that needs a spare waits
 * for it.
 */
const serveLog = (memory: SharedArrayBuffer): void => {
  const clock = systemClock()
  const log = createLog(nodeDisk(), clock)
  const questions: LogQuestion[] = []
  let written = 0
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
      if (kind === 'commit') written += (request as LogProtocol['commit']['request']).bytes.length
      answer(id, () => packed(log.handle(kind, request)), byLane)
    }
    if (written >= usedBytes) spares.start()
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

const memory = sharedMemory()
if (isThread('log') && memory) serveLog(memory)
