/**
 * The examination of projections on separate threads: the host, and the threads' entry. A start of a
 * thread costs as much CPU time as the examination of several MB, so the shards that are opened
 * together share a few of them.
 */
import { nodeDisk } from '../disk/node-disk.ts'
import { examineProjection } from '../lmdb/lmdb-examination.ts'
import type { ProjectionExaminer } from '../lmdb/lmdb-projection-store.ts'
import type { ExaminationDepth, ProjectionExamination } from '../ports/projection-store.ts'
import {
  isThread,
  processors,
  runInBackground,
  serve,
  startThread,
  type ThreadClient,
  threadClient,
} from './worker-thread.ts'

type Request = {
  readonly dir: string
  readonly depth: ExaminationDepth
  /** Nobody waits for the answer. */
  readonly isLater: boolean
}

/** So many threads examine projections that wait to be opened, at most. */
const threadsMax = 4

/**
 * Examines on threads. One that has a signal is of a projection in use: these go one after another,
 * and take no time of what is opened. If no thread can be had, a caller that waits for the answer
 * examines here.
 */
export const threadExaminer = (): ProjectionExaminer => {
  const awaited = new Examinations(Math.min(threadsMax, processors()))
  const later = new Examinations(1)
  return async (dir, depth, signal) => {
    if (signal) return later.examine({ dir, depth, isLater: true }, signal)
    try {
      return await awaited.examine({ dir, depth, isLater: false })
    } catch {
      return examineProjection(nodeDisk(), dir, depth)
    }
  }
}

/** An examination that waits for a thread. */
type Job = {
  readonly request: Request
  readonly signal: AbortSignal | undefined
  readonly settle: (found: Promise<ProjectionExamination>) => void
}

/** Examinations on at most `max` threads, which end when none waits. */
class Examinations {
  readonly #max: number
  readonly #waiting: Job[] = []
  #threads = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Rejects as `ThreadClient.ask`, and at once when `signal` is aborted. */
  async examine(request: Request, signal?: AbortSignal): Promise<ProjectionExamination> {
    signal?.throwIfAborted()
    return new Promise((settle) => {
      const job = { request, signal, settle }
      this.#waiting.push(job)
      signal?.addEventListener('abort', () => this.#leave(job), { once: true })
      if (this.#threads < this.#max) void this.#serve()
    })
  }

  #leave(job: Job): void {
    const at = this.#waiting.indexOf(job)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    job.settle(Promise.reject(job.signal?.reason))
  }

  /** Examines what waits, on one thread, or on another one when that has ended. */
  async #serve(): Promise<void> {
    this.#threads++
    let thread: ThreadClient | undefined
    for (let job = this.#waiting.shift(); job; job = this.#waiting.shift()) {
      const found = examined(job, () => {
        thread ??= threadClient(startThread(import.meta.url, 'examination'), 'examination')
        return thread
      })
      job.settle(found)
      // The next one gets another thread: this one may have died, or was ended.
      await found.catch(async () => {
        const ended = thread
        thread = undefined
        await ended?.end()
      })
    }
    this.#threads--
    await thread?.end()
  }
}

/** Examines on a thread. Aborting the signal ends the thread. */
const examined = async (
  { request, signal }: Job,
  threadNow: () => ThreadClient,
): Promise<ProjectionExamination> => {
  signal?.throwIfAborted()
  const thread = threadNow()
  const end = (): void => void thread.end()
  signal?.addEventListener('abort', end, { once: true })
  try {
    return (await thread.ask('examination', request)) as ProjectionExamination
  } finally {
    signal?.removeEventListener('abort', end)
  }
}

if (isThread('examination'))
  serve((_, request) => {
    const { dir, depth, isLater } = request as Request
    if (isLater) runInBackground()
    return examineProjection(nodeDisk(), dir, depth)
  })
