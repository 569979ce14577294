/**
 * The metrics that are counted from rows: parked steps, runs of workflows, jobs of queues. Mostly
 * there are counters of the rows. A part that cannot be read now is left out of the scrape. They
 * are apart from the metrics of `instance-metrics.ts`, which an instance knows without a row.
 */
import { countsOf as actorCounts, parkedField } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import type { QueueLook } from '../../flow/index.ts'
import { workerKind } from '../../storage/index.ts'
import { type AppContext, innerParts } from '../../supervisors/index.ts'
import { countsOf } from '../answers/flow-parts.ts'
import { actorNamed } from '../recorder/flow-names.ts'
import { metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

/** A queue that answers later is left out. */
const timeoutMs = 1_000

/** Of every kind of durable actors that runs. Where a workflow runs, the flows are loaded. */
export const takeRows = async (app: AppContext, into: Measurements): Promise<void> => {
  const { entities, system } = app[innerParts]
  for (const kind of [...entities.kinds, workerKind]) {
    const { sort, name } = actorNamed(`${kind}/`)
    try {
      for (const count of (await actorCounts(entities, kind, parkedField)).values())
        into.of(metrics.actorsParked).add(count, kind)
      if (sort === 'workflow')
        for (const [status, count] of Object.entries(await countsOf(app, sort, name)))
          into.of(metrics.flowRuns).add(count, name, status)
      if (sort === 'queue') {
        const look = await soon(system.clock, countsOf(app, sort, name))
        if (look) takeJobs(look, name, system.clock.now(), into)
      }
    } catch (error) {
      if (!isKeelsonError(error)) throw error
    }
  }
}

/** Resolves as `answer` does, or after `timeoutMs` with `undefined`. */
const soon = <T>(clock: Clock, answer: Promise<T>): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => resolve(undefined))
    answer.finally(cancel).then(resolve, reject)
  })

const takeJobs = (look: QueueLook, queue: string, now: number, into: Measurements): void => {
  const { ready, delayed, running, dead, oldest } = look
  for (const [status, count] of Object.entries({ ready, delayed, running, dead }))
    into.of(metrics.queueJobs).add(count, queue, status)
  const waitMs = oldest === undefined ? 0 : Math.max(0, now - oldest)
  into.of(metrics.queueOldest).add(waitMs / 1_000, queue)
}
