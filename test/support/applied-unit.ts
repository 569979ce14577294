/** What a unit does, as data: its changes stand beside its answer, and the rows stay as they were. */
import type { Unit } from '../../src/storage/commands/command.ts'
import type { RowChange } from '../../src/storage/ports/projection-store.ts'
import type { Rows } from '../../src/storage/rows/rows.ts'
import { applyUnit } from '../../src/storage/rows/unit-application.ts'

/** The changes of a unit in a frame stamped `time`, in the order in which they were made, and its answer. */
export const appliedUnit = (unit: Unit, rows: Rows, time: number) => {
  const changes: RowChange[] = []
  const answer = applyUnit(unit, rows, time, { set: (key, row) => changes.push([key, row]) })
  return { changes, answer }
}
