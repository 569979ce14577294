/** `workflow`: a function whose steps are recorded, so that it goes on after a crash. */
import type { Body, UntypedBody, Workflow, WorkflowOptions } from './body.ts'
import { checkPartName, runKind } from './parts.ts'
import { runKindSpec } from './run.ts'

/**
 * A workflow. A run is a durable actor of the kind `$flow-<name>`.
 * @throws KeelsonError `CONFIG`
 */
export const workflow = <I, O>(
  name: string,
  body: Body<I, O>,
  options: WorkflowOptions = {},
): Workflow<I, O> => {
  const made: Workflow<I, O> = {
    sort: 'workflow',
    name: checkPartName('workflow', name),
    body: body as UntypedBody,
    options,
    children: () => [runKindSpec(runKind(name), made as Workflow)],
  }
  return made
}
