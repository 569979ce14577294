/** The past of durable actors as the whole log says it: every unit applied in its order to plain rows. */
import { type App, isKeelsonError, type PastPage } from '../../../src/index.ts'
import type { Unit } from '../../../src/storage/commands/command.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { entityRowKey } from '../../../src/storage/values/entity-key.ts'
import { readEntityRow } from '../../../src/storage/values/entity-row.ts'
import { appliedUnit } from '../worlds/applied-unit.ts'
import { MapRows } from '../worlds/map-rows.ts'

/** A turn that took effect: `lsn incarnation/seq`, or `lsn gone`. */
export type EffectiveTurn = string

/** The LSN of a turn; 0 without one. */
export const lsnOf = (turn: EffectiveTurn | undefined): number => Number.parseInt(turn ?? '0', 10)

/**
 * The turns of each actor that took effect. It reads the logs from LSN 1 on, so whoever lets go of a part
 * of a log lets it read before.
 */
export class EffectiveTurns {
  readonly #past: ReadonlyMap<string, EffectiveTurn[]>
  readonly #shards: { readonly rows: MapRows; next: number }[] = []

  constructor(entities: readonly string[]) {
    this.#past = new Map(entities.map((entity) => [entity, []]))
  }

  /** Those of an actor up to the last reading, the newest first. */
  of(entity: string): readonly EffectiveTurn[] {
    return this.#past.get(entity) ?? []
  }

  /** Reads what the logs have more than at the last reading. */
  async read(app: App): Promise<void> {
    for (const { index } of app.shards) {
      this.#shards[index] ??= { rows: new MapRows(), next: 1 }
      const shard = this.#shards[index]
      const from = await firstReadable(app, index, shard.next)
      for await (const { lsn, time, bytes } of app.wal(index).read({ from })) {
        for (const unit of decodeFrame(bytes).units) this.#take(unit, shard.rows, time, lsn)
        shard.next = lsn + 1
      }
    }
  }

  #take(unit: Unit, rows: MapRows, time: number, lsn: number): void {
    const { changes, answer } = appliedUnit(unit, rows, time, lsn)
    if (answer.kind === 'refused') return
    rows.take(changes)
    if (unit.kind !== 'turn' || (!unit.row && !unit.follows)) return
    const row = rows.get(entityRowKey(unit.entity))
    const mark = row && readEntityRow(row).mark
    this.#past
      .get(unit.entity)
      ?.unshift(`${lsn} ${mark ? `${mark.incarnation}/${mark.seq}` : 'gone'}`)
  }
}

/** What a page of history, as of an LSN, says otherwise than the turns that took effect. Pure. */
export const pageFault = (
  { turns, firstLsn, isCut }: PastPage<unknown>,
  past: readonly EffectiveTurn[],
  at: number,
): string | undefined => {
  const shown = turns.map(({ lsn, cause, incarnation, seq }) =>
    cause.kind === 'end' ? `${lsn} gone` : `${lsn} ${incarnation}/${seq}`,
  )
  const truth = past.filter((turn) => lsnOf(turn) >= firstLsn && lsnOf(turn) <= at)
  if (`${shown}` === `${truth}` && isCut === firstLsn > 1) return undefined
  return `from ${firstLsn} to ${at} is ${shown}, not ${truth}`
}

/**
 * `from`, or the first LSN that the log has: it has given back what was read, with frames of its own after
 * it. If it had given back more, the model would have fewer turns than the history.
 */
const firstReadable = async (app: App, shard: number, from: number): Promise<number> => {
  try {
    for await (const _ of app.wal(shard).read({ from })) break
    return from
  } catch (error) {
    if (!isKeelsonError(error, 'BAD_CURSOR')) throw error
    return Number(error.details.firstLsn)
  }
}
