/** What a unit does, as data: its changes stand beside its answer, and the rows stay as they were. */
import type { Unit } from '../../../src/storage/commands/command.ts'
import type { Row, RowChange } from '../../../src/storage/ports/projection-store.ts'
import type { Rows } from '../../../src/storage/rows/rows.ts'
import { applyUnit } from '../../../src/storage/rows/unit-application.ts'

/** The changes of a unit in a frame at `lsn` that is stamped `time`, in the order in which they were made, and its answer. */
export const appliedUnit = (unit: Unit, rows: Rows, time: number, lsn = 1) => {
  const changes: RowChange[] = []
  const sink = { set: (key: string, row: Row | undefined) => changes.push([key, row]) }
  const answer = applyUnit(unit, rows, { lsn, time }, sink)
  return { changes, answer }
}
