/** `workflow`: a function whose steps are recorded, so that it goes on after a crash. */

import { config, noMore } from '../../check.ts'
import { configError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { runKindSpec } from '../run-entity/run-entity.ts'
import type {
  Body,
  OptionsOfWorkflow,
  Queries,
  SignalsOfCaller,
  UntypedBody,
  UpdatesOfBody,
  UpdatesOfCaller,
  Workflow,
} from '../runs/body.ts'
import { workflowOptions } from '../runs/options.ts'
import { checkPartName } from '../runs/parts.ts'

/**
 * A workflow. A run is a durable actor of the kind `$flow-<name>`.
 * @throws KeelsonError `CONFIG`
 */
export const workflow = <
  I,
  O,
  S = object,
  Q extends Queries = Record<never, never>,
  U = object,
  CI = I,
  CO = O,
  G = Record<never, never>,
  V = Record<never, never>,
>(
  name: string,
  body: Body<I, O, S, UpdatesOfBody<V> & U>,
  options: OptionsOfWorkflow<I, O, S, Q, U, CI, CO, G, V> = noOptions,
  ...surplus: []
): Workflow<CI, CO, SignalsOfCaller<S, G>, Q, UpdatesOfCaller<U, V>> => {
  noMore(surplus, 'workflow(name, body, { version, … })')
  checkPartName('workflow', name)
  const path = `workflow.${name}`
  if (typeof body !== 'function') throw configError(`${path}.body`, 'a function', body)
  const checked = workflowOptions(options as object, config(path))
  const { version, previous } = checked
  const known = Object.keys(previous).find((each) => Number(each) >= version)
  if (known !== undefined) throw configError(`${path}.previous`, `versions below ${version}`, known)
  const made: Workflow<CI, CO, SignalsOfCaller<S, G>, Q, UpdatesOfCaller<U, V>> = {
    sort: 'workflow',
    name,
    body: body as UntypedBody,
    options: checked,
    children: () => [runKindSpec(made as Workflow)],
  }
  return made
}
