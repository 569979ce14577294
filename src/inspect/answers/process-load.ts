/**
 * The load of processes since an earlier look, as in OTP's `etop` and recon's windows. Handled
 * messages stand for reductions, which JavaScript does not count. A growing queue shows a process
 * that is too slow. Pure.
 */
import type { ProcessSummary } from '../../runtime/index.ts'

/** The number of messages that a process has handled, and of messages that wait. */
type LoadCounts = { readonly handled: number; readonly queue: number }

/**
 * One sample, in the order of pids. Its lists grow in small steps: a map of 100,000 would hold up
 * the event loop each time that it grows.
 */
export class Look {
  /** Its time, in ms of a monotonic clock. */
  readonly at: number
  readonly #pids: number[] = []
  readonly #handled: number[] = []
  readonly #queues: number[] = []

  constructor(at: number) {
    this.at = at
  }

  /** Adds a page of processes, whose pids are higher than those before. */
  add(page: readonly ProcessSummary[]): this {
    for (const { pid, handled, mailbox } of page) {
      this.#pids.push(pid)
      this.#handled.push(handled)
      this.#queues.push(mailbox)
    }
    return this
  }

  /** The counts of a process then; none if it did not live. */
  countsOf(pid: number): LoadCounts {
    let [from, to] = [0, this.#pids.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#pids[middle] ?? 0) < pid) from = middle + 1
      else to = middle
    }
    if (this.#pids[from] !== pid) return none
    return { handled: this.#handled[from] ?? 0, queue: this.#queues[from] ?? 0 }
  }
}

const none: LoadCounts = { handled: 0, queue: 0 }

/**
 * The order of processes: messages handled since the last sample, messages waiting, or their
 * growth.
 */
export type LoadOrder = 'handled' | 'queue' | 'grown'

/** The activity of one process since the last sample, or since its start. */
export type Load = {
  readonly process: ProcessSummary
  readonly handled: number
  readonly queue: number
  readonly grown: number
}

/**
 * The `rows` busiest processes by `order` since `before`, busiest first. Idle processes are left
 * out. `others` are the busiest ones of other pages.
 */
export const busiest = (
  processes: readonly ProcessSummary[],
  before: Look | undefined,
  order: LoadOrder,
  rows: number,
  others: readonly Load[] = [],
): Load[] =>
  processes
    .map((process) => loadOf(process, before?.countsOf(process.pid) ?? none))
    .filter((load) => load.handled > 0 || load.queue > 0)
    .concat(others)
    .sort(
      (left, right) =>
        right[order] - left[order] ||
        right.handled - left.handled ||
        left.process.pid - right.process.pid,
    )
    .slice(0, rows)

const loadOf = (process: ProcessSummary, before: LoadCounts): Load => ({
  process,
  handled: process.handled - before.handled,
  queue: process.mailbox,
  grown: process.mailbox - before.queue,
})
