/** A run at rest as its rows have it, for those who judge it. */
import { type ReadRows, readBody, type StoredActor } from '../../actors/index.ts'
import { isKeelsonError, type KeptError, keptError } from '../../errors.ts'
import { readEntityRow } from '../../storage/index.ts'
import type { RunState } from '../runs/record.ts'
import { type LoadedRun, storedRun, wholeRun } from '../runs/replaying.ts'

/** The record of a run, or why it cannot be read. */
export type RunRecord = LoadedRun | { readonly unreadable: KeptError }

/** The workflow of a kind of runs. */
export const workflowOf = (kind: string): string => kind.slice('$flow-'.length)

/** The state in a main row, if it is one of a run that has begun. */
export const runStateOf = ({ kind, main }: StoredActor): RunState | undefined =>
  kind.startsWith('$flow-')
    ? (readBody(readEntityRow(main).body).state as RunState | undefined)
    : undefined

/** The record of a run, or why it cannot be read. */
export const recordIn = async (state: RunState, rows: ReadRows): Promise<RunRecord> => {
  try {
    return await wholeRun(storedRun(state, rows))
  } catch (error) {
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    return { unreadable: keptError(error) }
  }
}
