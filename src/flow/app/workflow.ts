/** `workflow`: a function whose steps are recorded, so that it goes on after a crash. */

import { config, noMore } from '../../check.ts'
import { configError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { runKindSpec } from '../run-entity/run-entity.ts'
import type { Body, Queries, UntypedBody, Workflow, WorkflowOptions } from '../runs/body.ts'
import { workflowOptions } from '../runs/options.ts'
import { checkPartName } from '../runs/parts.ts'

/**
 * A workflow. A run is a durable actor of the kind `$flow-<name>`.
 * @throws KeelsonError `CONFIG`
 */
export const workflow = <I, O, S = object, Q extends Queries = Record<never, never>, U = object>(
  name: string,
  body: Body<I, O, S, U>,
  options: WorkflowOptions<Q, U> = noOptions,
  ...surplus: []
): Workflow<I, O, S, Q, U> => {
  noMore(surplus, 'workflow(name, body, { version, … })')
  checkPartName('workflow', name)
  const path = `workflow.${name}`
  if (typeof body !== 'function') throw configError(`${path}.body`, 'a function', body)
  const checked = workflowOptions(options, config(path))
  const { version, previous } = checked
  const known = Object.keys(previous).find((each) => Number(each) >= version)
  if (known !== undefined) throw configError(`${path}.previous`, `versions below ${version}`, known)
  const made: Workflow<I, O, S, Q, U> = {
    sort: 'workflow',
    name,
    body: body as UntypedBody,
    options: checked,
    children: () => [runKindSpec(made as Workflow)],
  }
  return made
}
