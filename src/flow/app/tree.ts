/** `flows`: the workflows, queues and schedules of an application, as a part of its tree. */
import { type Check, config, listOf, noMore, object, or, refusal } from '../../check.ts'
import { configError } from '../../errors.ts'
import { type ChildSpec, supervisor } from '../../runtime/index.ts'
import type { Queue } from '../queue/queue-terms.ts'
import { keeperSpec } from '../run-entity/keeper.ts'
import type { Workflow } from '../runs/body.ts'
import { type FlowPart, flowParts } from '../runs/parts.ts'
import { schedulesSpec } from '../schedule/schedule-entity.ts'
import { batchesSpec } from './flow-of-batch.ts'
import { runStarter } from './schedule.ts'
import { brokenSchedules } from './schedules.ts'

/** The parts of `flows`. */
export type FlowParts = {
  readonly workflows?: readonly Workflow[]
  readonly queues?: readonly Queue[]
  readonly schedules?: readonly (FlowPart & { readonly sort: 'schedule' })[]
}

const listOfSort = <P extends FlowPart>(sort: P['sort']): Check<readonly P[], readonly P[]> => {
  const part: Check<P, P> = (found, at) => {
    if ((found as Partial<FlowPart> | null | undefined)?.sort === sort) return found as P
    throw refusal(at, `a ${sort}`, found)
  }
  return or(listOf(part, `a list of ${sort}s`), [])
}

const partsOf = object({
  workflows: listOfSort<Workflow>('workflow'),
  queues: listOfSort<Queue>('queue'),
  schedules: listOfSort<FlowPart & { readonly sort: 'schedule' }>('schedule'),
})

/**
 * A part of the tree of an instance with these workflows, queues and schedules. Workflows start
 * first: queues and schedules may begin runs at once. Schedules that are made at run time and the
 * keeper, which wakes runs and these, come last.
 * @throws KeelsonError `CONFIG`
 */
export const flows = (parts: FlowParts, ...surplus: []): ChildSpec => {
  noMore(surplus, 'flows({ workflows, queues, schedules })')
  const { workflows, queues, schedules } = partsOf(parts, config('flows'))
  const others: readonly FlowPart[] = [...queues, ...schedules]
  checkNames([...workflows, ...others])
  const places = queues.filter(({ takesRuns }) => takesRuns)
  for (const { name, options } of workflows)
    requirePart(`workflow.${name}.queue`, 'a queue without a handler', places, options.queue)
  for (const { sort, name, starts } of others)
    requirePart(`${sort}.${name}.workflow`, 'a workflow', workflows, starts)
  const spec = (): ChildSpec =>
    supervisor('flows', { strategy: 'one_for_one' }, [
      ...workflows.flatMap((part) => part.children()),
      ...others.flatMap((part) => part.children()),
      schedulesSpec(runStarter),
      batchesSpec(),
      keeperSpec(workflows, queues, brokenSchedules),
    ])
  // The children of each start are made for it: they keep what is in memory.
  const own: ChildSpec = { ...spec(), start: (context) => spec().start(context) }
  return Object.assign(own, { [flowParts]: { workflows, queues, schedules } })
}

/** Runs of a part that is not in the tree would fail, hour after hour. */
const requirePart = (
  path: string,
  sort: string,
  parts: readonly FlowPart[],
  name: string | undefined,
): void => {
  const names = parts.map((part) => part.name)
  if (name === undefined || names.includes(name)) return
  throw configError(path, `${sort} of these flows (${names.join(', ') || 'they have none'})`, name)
}

const checkNames = (parts: readonly FlowPart[]): void => {
  const taken = new Set<string>()
  for (const { sort, name } of parts) {
    const both = `${sort} ${name}`
    if (taken.has(both)) throw configError(`flows.${sort}s`, `one ${sort} of a name`, name)
    taken.add(both)
  }
}
