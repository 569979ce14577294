/** How long the messages and the handlers of processes last, from look to look. Pure. */
import type { ProcessSummary } from '../../runtime/index.ts'

/** A handler is pending when its promise takes so long. In ms. */
const pendingMs = 1_000

/** Whether a process runs a handler for more than a second. `now`: in ms since 1970. */
export const isPending = ({ handling }: Pick<ProcessSummary, 'handling'>, now: number): boolean =>
  handling !== undefined && now - handling.since > pendingMs

/** How many messages a process had got at the time of a look. */
type Mark = { readonly got: number; readonly at: number }

/**
 * How long the first message of each mailbox has waited, at least. No message has a time stamp for
 * this: one that waited at an earlier look, and has not been handled since, has waited for as long.
 */
export class MessageAges {
  /** Of the processes with messages, by pid, the earliest mark that has not been handled. */
  #marks: ReadonlyMap<number, Mark> = new Map()
  #next = new Map<number, Mark>()

  /** The age of the first message that waits, in ms; `undefined` without one. Notes it. */
  of(process: Pick<ProcessSummary, 'pid' | 'mailbox' | 'handled'>, at: number): number | undefined {
    const { pid, mailbox, handled } = process
    if (mailbox === 0) return undefined
    const earlier = this.#marks.get(pid)
    const mark = earlier && earlier.got > handled ? earlier : { got: handled + mailbox, at }
    this.#next.set(pid, mark)
    return at - mark.at
  }

  /** A look at all processes is over. */
  over(): void {
    this.#marks = this.#next
    this.#next = new Map()
  }
}
