/**
 * A look at all processes of a System, in pages with turns of the event loop between them. No
 * message has a time stamp for this: a message that was waiting at an earlier look, and has not been
 * handled since, has waited for as long.
 */
import type { ProcessSummary, System } from '../../runtime/index.ts'
import { processPages } from '../prompt/process-pages.ts'
import { kindOf } from '../recorder/recorder.ts'
import { metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

/** A handler is pending when its promise takes so long. */
const pendingMs = 1_000

/** How many messages a process had got at the time of a look. */
type Mark = { readonly got: number; readonly at: number }

/** The looks at the processes of one System. */
export class ProcessSurvey {
  readonly #system: System
  /** Of the processes with messages, by pid, the earliest mark that has not been handled. */
  #marks: ReadonlyMap<number, Mark> = new Map()

  constructor(system: System) {
    this.#system = system
  }

  /** Looks at every process. */
  async take(into: Measurements): Promise<void> {
    const marks = new Map<number, Mark>()
    for await (const page of processPages(this.#system))
      for (const process of page) this.#take(process, marks, into)
    this.#marks = marks
  }

  #take(process: ProcessSummary, marks: Map<number, Mark>, into: Measurements): void {
    const { pid, mailbox, handled, handling } = process
    const { clock } = this.#system
    const kind = kindOf(process)
    into.of(metrics.processes).add(1, kind)
    into.of(metrics.mailbox).add(mailbox, kind)
    into.of(metrics.mailboxMax).add(mailbox, kind)
    if (mailbox > 0) {
      const earlier = this.#marks.get(pid)
      const isLeft = earlier !== undefined && earlier.got > handled
      const mark = isLeft ? earlier : { got: handled + mailbox, at: clock.monotonic() }
      marks.set(pid, mark)
      into.of(metrics.mailboxOldest).add((clock.monotonic() - mark.at) / 1_000, kind)
    }
    const isPending = handling !== undefined && clock.now() - handling.since > pendingMs
    into.of(metrics.handlerPending).add(isPending ? 1 : 0, kind)
  }
}
