/** `workflow`: a function whose steps are recorded, so that it goes on after a crash. */
import { configError } from '../../errors.ts'
import type { Body, UntypedBody, Workflow, WorkflowOptions } from './body.ts'
import { checkPartName } from './parts.ts'
import { runKindSpec } from './run.ts'

/**
 * A workflow. A run is a durable actor of the kind `$flow-<name>`.
 * @throws KeelsonError `CONFIG`
 */
export const workflow = <I, O, S = object>(
  name: string,
  body: Body<I, O, S>,
  options: WorkflowOptions = {},
): Workflow<I, O, S> => {
  if (typeof body !== 'function') throw configError(`workflow ${name}`, 'a function', body)
  const made: Workflow<I, O, S> = {
    sort: 'workflow',
    name: checkPartName('workflow', name),
    body: body as UntypedBody,
    options,
    children: () => [runKindSpec(made as Workflow)],
  }
  return made
}
