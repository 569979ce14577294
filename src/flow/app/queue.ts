/** `queue`: jobs that run beside each other under limits, each until it is done or dead. */
import { configError, isKeelsonError } from '../../errors.ts'
import { queueSpecs } from '../queue/queue-entity.ts'
import type { JobTry } from '../queue/queue-job.ts'
import { type Queue, type QueueOptions, queueTerms } from '../queue/queue-terms.ts'
import type { Try, Workflow } from '../runs/body.ts'
import { checkPartName } from '../runs/parts.ts'
import { flow } from './handle.ts'

/**
 * A queue. Its handler gets each job, until one try has ended without an error or the tries have
 * ended: so a handler runs at least once, and its `key` is the same at each try. A workflow as its
 * handler starts one run for each job, under the key of the job, and the job ends with the run.
 * @throws KeelsonError `CONFIG`
 */
export const queue = <J>(
  name: string,
  handler: ((job: J, attempt: Try) => unknown) | Workflow<J, unknown>,
  options: QueueOptions = {},
): Queue<J> => {
  checkPartName('queue', name)
  const isRun = typeof handler === 'object' && handler?.sort === 'workflow'
  if (!isRun && typeof handler !== 'function')
    throw configError(`queue.${name}.handler`, 'a function or a workflow', handler)
  const terms = isRun
    ? queueTerms(name, runner(handler), { ...options, retry: asRun }, false)
    : queueTerms(name, handler as never, options, true)
  return { sort: 'queue', name, children: () => queueSpecs(terms) }
}

/** A run that has ended says how its job ends: a workflow has its own tries. */
const asRun = {
  max: Number.POSITIVE_INFINITY,
  unless: (error: unknown): boolean =>
    isKeelsonError(error, 'FAILED') || isKeelsonError(error, 'CANCELLED'),
}

/** Starts the run of a job, and waits for its end. The run of a job that was dead goes on. */
const runner =
  <J>(workflow: Workflow<J, unknown>) =>
  async (job: unknown, { app, key: id, claim }: JobTry): Promise<void> => {
    const runs = flow(app)
    const { repeated, result } = await runs.start(workflow, job as J, { id })
    if (repeated && claim.record.failure) await runs.retry(workflow, id).catch(unlessConflict)
    await result({ timeoutMs: Number.POSITIVE_INFINITY })
  }

/** The run goes on already, or has completed. */
const unlessConflict = (error: unknown): void => {
  if (!isKeelsonError(error, 'CONFLICT')) throw error
}
