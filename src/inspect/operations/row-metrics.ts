/**
 * The metrics that are counted from rows: parked steps, runs of workflows, jobs of queues. Mostly
 * there are counters of the rows. A part that cannot be read now is left out of the scrape.
 */
import { countsOf, type EntityHandle, parkedField } from '../../actors/index.ts'
import { isKeelsonError } from '../../errors.ts'
import type { QueueLook, Workflow } from '../../flow/index.ts'
import { call, type Ref } from '../../runtime/index.ts'
import { workerKind } from '../../storage/index.ts'
import { type AppContext, innerParts } from '../../supervisors/index.ts'
import { actorNamed } from '../recorder/flow-names.ts'
import { metrics } from './metric-table.ts'
import type { Measurements } from './series.ts'

/** A queue that answers later is left out. */
const timeoutMs = 1_000

/** Of every kind of durable actors that runs. */
export const takeRows = async (app: AppContext, into: Measurements): Promise<void> => {
  const { entities, system } = app[innerParts]
  for (const kind of [...entities.kinds, workerKind]) {
    const { sort, name } = actorNamed(`${kind}/`)
    try {
      for (const count of (await countsOf(entities, kind, parkedField)).values())
        into.of(metrics.actorsParked).add(count, kind)
      if (sort === 'workflow') await takeRuns(app, name, into)
      if (sort === 'queue') await takeJobs(app.entity(kind), name, system.clock.now(), into)
    } catch (error) {
      if (!isKeelsonError(error)) throw error
    }
  }
}

/** Where a workflow runs, the flows are loaded. */
const takeRuns = async (app: AppContext, name: string, into: Measurements): Promise<void> => {
  const { flow } = await import('../../flow/index.ts')
  const counted = await flow(app).counts({ sort: 'workflow', name } as Workflow)
  for (const [status, count] of Object.entries(counted))
    into.of(metrics.flowRuns).add(count, name, status)
}

type Looked = { calls: { look: () => QueueLook } }

const takeJobs = async (
  entity: EntityHandle,
  queue: string,
  now: number,
  into: Measurements,
): Promise<void> => {
  const look = await call(entity.ref('queue') as Ref<Looked>, 'look', undefined, { timeoutMs })
  const { ready, delayed, running, dead, oldest } = look
  for (const [status, count] of Object.entries({ ready, delayed, running, dead }))
    into.of(metrics.queueJobs).add(count, queue, status)
  const waitMs = oldest === undefined ? 0 : Math.max(0, now - oldest)
  into.of(metrics.queueOldest).add(waitMs / 1_000, queue)
}
