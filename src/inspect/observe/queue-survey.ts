/** A look at the handlers of all processes, in pages, and how long their messages wait. */
import type { Overview } from '../../observe/index.ts'
import type { ProcessSummary } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { processPages } from '../prompt/process-pages.ts'
import { handledText } from '../prompt/running-steps.ts'
import { shortText } from '../text/shown-text.ts'

/** A handler is pending when its promise takes so long. In ms. */
const pendingMs = 1_000
const pendingMax = 10
const nameMax = 300

/** The handlers that have run for more than a second, the longest first. */
export const pendingHandlers = async (app: App): Promise<Overview['pending']> => {
  let pending: ProcessSummary[] = []
  for await (const page of processPages(app.system)) {
    const now = app.system.clock.now()
    const late = page.filter(({ handling }) => handling && now - handling.since > pendingMs)
    if (late.length > 0) pending = [...pending, ...late].sort(bySince).slice(0, pendingMax)
  }
  return pending.map((process) => ({
    pid: process.pid,
    name: nameOf(process),
    message: shortText(handledText(app, process), nameMax),
    since: process.handling?.since ?? 0,
  }))
}

const bySince = (left: ProcessSummary, right: ProcessSummary): number =>
  (left.handling?.since ?? 0) - (right.handling?.since ?? 0)

const nameOf = ({ name, label, pid }: Pick<ProcessSummary, 'name' | 'label' | 'pid'>): string =>
  shortText(name ?? label ?? `<${pid}>`, nameMax)

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
