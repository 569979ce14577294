/**
 * Rows that a journal keeps through the log: the positions of its subscriptions, and that it has
 * saved a state. They are rows of entities without an actor.
 */
import type { System } from '../../runtime/index.ts'
import { entityRowKey, mainRowOf, readEntityRow, type Turn } from '../../storage/index.ts'
import { granted } from '../store/store-writing.ts'
import { submitAs } from '../writing/write-path.ts'
import type { JournalShard } from './journal-shard.ts'

const options = {
  ...({ ack: 'applied', whenFull: 'wait', windowMs: 0 } as const),
  deadlineMs: 60_000,
}

/** All such rows are of one incarnation. */
const incarnation = '0000000000000000'

/** Writes the row of `entity`; removes it without `body`. @throws KeelsonError as a write does */
export const writeJournalRow = async (
  system: System,
  shard: JournalShard,
  entity: string,
  body: Uint8Array | undefined,
): Promise<void> => {
  await shard.settled()
  const row = shard.view().row(entityRowKey(entity))
  const follows = row && readEntityRow(row).mark
  if (!follows && !body) return
  const mark = { incarnation, seq: (follows?.seq ?? 0) + 1 }
  const units: Turn = {
    kind: 'turn',
    entity,
    follows,
    rows: [],
    writes: [],
    row: body && mainRowOf(mark, body),
  }
  await submitAs(system, shard, { units, options }, (_, answers) => granted(answers))
}
