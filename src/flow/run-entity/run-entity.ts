/**
 * The entity of a run: its durable state, and the turns that its callers make. The body runs beside
 * its mailbox (`life.ts`), so no call waits for a step.
 */
import { type ChildSpec, reply } from '../../runtime/index.ts'
import { kindSpec } from '../../supervisors/index.ts'
import type { Workflow } from '../runs/body.ts'
import { runKind } from '../runs/parts.ts'
import { fieldsOf, isLive } from '../runs/record.ts'
import { resultCalls, signalCalls } from './run-callers.ts'
import { cancelAtDeadline, cancelCalls, repairCalls } from './run-control.ts'
import { childCalls, familyContinues } from './run-family.ts'
import { RunLives, type RunServer } from './run-lives.ts'
import { enterQueue, startCalls, startTimer } from './run-start.ts'

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
  const lives = new RunLives(workflow)
  return {
    init: () => undefined,
    wake: (state, context) => {
      lives.forget(context.id)
      if (state && isLive(state.status)) lives.begin(context)
    },
    terminate: (_, _reason, { id }) => lives.forget(id),
    index: fieldsOf,
    calls: {
      ...startCalls(lives),
      ...resultCalls(lives),
      ...signalCalls(lives),
      ...cancelCalls(lives),
      ...repairCalls(lives),
      ...childCalls(lives),
      wake: (state) => reply(undefined, state),
    },
    continues: { ...enterQueue(lives), ...familyContinues(lives) },
    alarms: { ...startTimer(lives), ...cancelAtDeadline(lives) },
  }
}
