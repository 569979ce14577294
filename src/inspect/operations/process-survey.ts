/** A look at all processes of a System, in pages with turns of the event loop between them. */
import type { ProcessSummary, System } from '../../runtime/index.ts'
import { processPages } from '../answers/process-pages.ts'
import { isPending, MessageAges } from '../answers/process-times.ts'
import { kindOf } from '../recorder/recorder.ts'
import { metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

/** The looks at the processes of one System. */
export class ProcessSurvey {
  readonly #system: System
  readonly #ages = new MessageAges()

  constructor(system: System) {
    this.#system = system
  }

  /** Looks at every process. */
  async take(into: Measurements): Promise<void> {
    for await (const page of processPages(this.#system))
      for (const process of page) this.#take(process, into)
    this.#ages.over()
  }

  #take(process: ProcessSummary, into: Measurements): void {
    const { mailbox } = process
    const { clock } = this.#system
    const kind = kindOf(process)
    into.of(metrics.processes).add(1, kind)
    into.of(metrics.mailbox).add(mailbox, kind)
    into.of(metrics.mailboxMax).add(mailbox, kind)
    const ageMs = this.#ages.of(process, clock.monotonic())
    if (ageMs !== undefined) into.of(metrics.mailboxOldest).add(ageMs / 1_000, kind)
    into.of(metrics.handlerPending).add(isPending(process, clock.now()) ? 1 : 0, kind)
  }
}
