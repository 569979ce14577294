/**
 * The workflows and queues of an instance by their names, and what they have. Only a look loads
 * `keelson/flow`.
 */
import { invalidArgument } from '../../errors.ts'
import type { CountsOf, Flow, Queue, QueueLook } from '../../flow/index.ts'
import type { App } from '../../supervisors/index.ts'
import { type FlowSort, flowNames } from '../recorder/flow-names.ts'

/** A workflow or a queue by its name, as the functions of `flow` take it. */
export type FlowPart<S extends FlowSort> = S extends 'queue'
  ? Queue
  : { readonly sort: 'workflow'; readonly name: string }

/** `flow(app)`. */
export const flowOf = async (app: App): Promise<Flow> =>
  (await import('../../flow/index.ts')).flow(app)

/** The names of the workflows or queues that have run in this instance. */
export const flowNamesOf = ({ entities }: App, sort: FlowSort): readonly string[] =>
  flowNames(sort, entities.known.keys())

/** A workflow or a queue. @throws KeelsonError `INVALID_ARGUMENT` for the name of no such part */
export const flowPart = <S extends FlowSort>(app: App, sort: S, name: string): FlowPart<S> => {
  const names = flowNamesOf(app, sort)
  if (!names.includes(name))
    throw invalidArgument(sort, `one of ${names.join(', ') || 'none: none runs'}`, name)
  return { sort, name } as FlowPart<S>
}

/** How many runs of each workflow have each status, and a look at each queue, by their names. */
export const countedFlows = async (
  app: App,
): Promise<{
  readonly workflows: Readonly<Record<string, CountsOf>>
  readonly queues: Readonly<Record<string, QueueLook>>
}> => {
  const flow = await flowOf(app)
  const counted = async <T>(sort: FlowSort, count: (part: never) => Promise<T>) =>
    Object.fromEntries(
      await Promise.all(
        flowNamesOf(app, sort).map(async (name) => [name, await count({ sort, name } as never)]),
      ),
    ) as Record<string, T>
  return {
    workflows: await counted('workflow', (part) => flow.counts(part as never) as Promise<CountsOf>),
    queues: await counted('queue', (part) => flow.counts(part as Queue)),
  }
}
