/** The past of durable actors as the whole log says it: every unit applied in its order to plain rows. */
import type { App } from '../../../src/index.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { entityRowKey } from '../../../src/storage/values/entity-key.ts'
import { readEntityRow } from '../../../src/storage/values/entity-row.ts'
import { appliedUnit } from '../worlds/applied-unit.ts'
import { MapRows } from '../worlds/map-rows.ts'

/** A turn that took effect: `lsn incarnation/seq`, or `lsn gone`. */
export type EffectiveTurn = string

/** The LSN of a turn; 0 without one. */
export const lsnOf = (turn: EffectiveTurn | undefined): number => Number.parseInt(turn ?? '0', 10)

/** The turns of each actor that took effect, the newest first, from logs that begin with LSN 1. */
export const effectiveTurns = async (
  app: App,
  entities: readonly string[],
): Promise<ReadonlyMap<string, readonly EffectiveTurn[]>> => {
  const past = new Map(entities.map((entity) => [entity, [] as EffectiveTurn[]]))
  for (const { index } of app.shards) {
    const rows = new MapRows()
    for await (const { lsn, time, bytes } of app.wal(index).read())
      for (const unit of decodeFrame(bytes).units) {
        const { changes, answer } = appliedUnit(unit, rows, time, lsn)
        if (answer.kind === 'refused') continue
        rows.take(changes)
        const turns = unit.kind === 'turn' ? past.get(unit.entity) : undefined
        if (unit.kind !== 'turn' || (!unit.row && !unit.follows)) continue
        const row = rows.get(entityRowKey(unit.entity))
        const mark = row && readEntityRow(row).mark
        turns?.unshift(`${lsn} ${mark ? `${mark.incarnation}/${mark.seq}` : 'gone'}`)
      }
  }
  return past
}
