/**
 * The parts of a program that the rows of a run name and the running program lacks. Then the run is
 * blocked, nothing of it is decided, and it goes on by itself in a program that has them.
 */
import { type KeelsonError, type KeptError, missingDeclaration } from '../../errors.ts'
import type { Workflow } from './body.ts'
import { isInTree, runKind } from './parts.ts'
import { lacksCode, type RunState, type RunStatus, typeOfRun } from './record.ts'
import { bodyOf } from './run-end.ts'
import { type RunRows, recordIn } from './turns.ts'

/** Why a run cannot go on whose version has no body in this program. */
export const missingBody = ({ name }: Workflow, version: number): KeelsonError =>
  missingDeclaration(`body of version ${version} of the workflow ${name}`)

/** Whether a run is blocked because a program lacked a part of it. */
export const isLacking = ({
  status,
  error,
}: {
  readonly status: RunStatus
  readonly error?: KeptError | undefined
}): boolean => status === 'blocked' && error?.code === lacksCode

/** Whether this program has what such a run needs: its body, and the workflows of its children. */
export const hasParts = (
  state: RunState,
  rows: RunRows,
  workflow: Workflow,
  app: unknown,
): boolean => {
  if (!bodyOf(workflow, state.version)) return false
  for (const { child, outcome } of recordIn(state, rows))
    if (child !== undefined && !outcome && !isInTree(app, runKind(typeOfRun(child)))) return false
  return true
}
