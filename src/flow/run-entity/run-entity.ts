/**
 * The entity of a run: its durable state, and the turns that its callers make. The body runs beside
 * its mailbox (`activation.ts`), so no call waits for a step.
 */
import { type ChildSpec, noReply, reply } from '../../runtime/index.ts'
import { kindSpec } from '../../supervisors/index.ts'
import type { Workflow } from '../runs/body.ts'
import { runKind } from '../runs/parts.ts'
import { fieldsOf, isLive } from '../runs/record.ts'
import { RunActivations, type RunServer } from './activations.ts'
import { resultCalls, signalCalls, updateCalls } from './run-callers.ts'
import { cancelAtDeadline, cancelCalls, repairCalls } from './run-control.ts'
import { childCalls, familyContinues } from './run-family.ts'
import { enterQueue, forkCalls, startCalls, startTimer } from './run-start.ts'

/** The part of the tree with the runs of a workflow. */
export const runKindSpec = (workflow: Workflow): ChildSpec => {
  const kind = runKind(workflow.name)
  const spec = (): ChildSpec => kindSpec(kind, runServer(workflow), { idleMs })
  // The processes of one instance share their memory, those of another one do not.
  return { ...spec(), start: (context) => spec().start(context) }
}

/** How long the process of a run that has nothing to do stays. */
const idleMs = 2_000

const runServer = (workflow: Workflow): RunServer => {
  const activations = new RunActivations(workflow)
  return {
    init: () => undefined,
    wake: (state, context) => {
      activations.forget(context.id)
      if (state && isLive(state.status)) activations.begin(context)
    },
    terminate: (_, _reason, { id }) => activations.forget(id),
    index: fieldsOf,
    calls: {
      ...startCalls(activations),
      ...forkCalls(activations),
      ...resultCalls(activations),
      ...signalCalls(activations),
      ...updateCalls(activations),
      ...cancelCalls(activations),
      ...repairCalls(activations),
      ...childCalls(activations),
      wake: (state, _, context) => {
        const present = activations.presentOf(context)
        if (!state || !isLive(state.status) || present.activation?.replay?.hasArrived)
          return reply(undefined, state)
        present.wakers ??= []
        present.wakers.push(context.from)
        return noReply(state)
      },
    },
    continues: { ...enterQueue(activations), ...familyContinues(activations) },
    alarms: { ...startTimer(activations), ...cancelAtDeadline(activations) },
  }
}
