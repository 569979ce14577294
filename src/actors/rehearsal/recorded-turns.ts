/**
 * The recorded turns of an instance, read from its logs in their order, each with what is known of its
 * actor before it: the main row that the turn before left, and the alarms and own rows that the log has
 * set since the actor was born. It runs no code of users. It is apart from `turn-rerun.ts`, which runs
 * the turns, perhaps in another process.
 */
import { isKeelsonError } from '../../errors.ts'
import {
  alarmRows,
  decodeFrame,
  isWithin,
  type LogHost,
  readMainRow,
  type StoredValue,
  type Turn,
  type TurnMark,
} from '../../storage/index.ts'
import type { Entities } from '../entities/entities.ts'

/** An actor before a turn, as far as it is known. */
export type KnownActor = {
  /** Its main row; `undefined`: it is unborn. */
  readonly row: Uint8Array | undefined
  /** The rows of its alarms by their names, and the rows that it keeps itself. */
  readonly alarms: readonly (readonly [name: string, bytes: Uint8Array])[]
  readonly own: readonly (readonly [key: string, value: StoredValue])[]
  /** Nothing else is set: the log has its whole life. */
  readonly isWhole: boolean
}

/** A turn that was recorded. */
export type RecordedTurn = {
  readonly kind: string
  readonly id: string
  readonly lsn: number
  /** When the log took it, in ms since 1970. */
  readonly time: number
  readonly turn: Turn
  /** `undefined`: the log begins after the turn before. */
  readonly before: KnownActor | undefined
}

/** So many bytes of actors are known at a time; the one that was met longest ago is forgotten first. */
const knownBytesMax = 64 * 1024 * 1024

/** A lot of turns has about so many bytes. */
const lotBytes = 1024 * 1024

const readBytes = 256 * 1024

/** The recorded turns of all shards here, in lots. @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT` */
export async function* recordedTurns(
  entities: Entities,
): AsyncGenerator<readonly RecordedTurn[], void> {
  for (const shard of entities.shardsHere) yield* turnsIn(shard.files.log())
}

async function* turnsIn(log: LogHost): AsyncGenerator<readonly RecordedTurn[], void> {
  const { firstLsn, durableLsn } = await log.run('state', null)
  const pin = await log.run('pin', { from: firstLsn }).catch((error: unknown) => {
    // The log has given it back since.
    if (isKeelsonError(error, 'BAD_CURSOR')) return undefined
    throw error
  })
  if (!pin) return
  const actors = new KnownActors()
  try {
    let [lot, bytes] = [[] as RecordedTurn[], 0]
    for (let next = firstLsn; next <= durableLsn; ) {
      const read = await log.run('read', { from: next, to: durableLsn, maxBytes: readBytes })
      // The units are views of the bytes of their frame alone.
      for (const { lsn, time, offset, length } of read.frames)
        for (const unit of decodeFrame(read.bytes.slice(offset, offset + length)).units) {
          if (unit.kind !== 'turn' || unit.entity.startsWith('$')) continue
          const before = actors.take(unit)
          if (!unit.recorded) continue
          const slash = unit.entity.indexOf('/')
          const [kind, id] = [unit.entity.slice(0, slash), unit.entity.slice(slash + 1)]
          lot.push({ kind, id, lsn, time, turn: unit, before })
          bytes += length
        }
      if (bytes >= lotBytes) {
        yield lot
        ;[lot, bytes] = [[], 0]
      }
      if (read.next <= next) break
      next = read.next
    }
    if (lot.length > 0) yield lot
  } finally {
    await log.run('unpin', pin).catch(() => undefined)
  }
}

type Known = {
  /** The newest rows, each with its mark: a refused turn stays in the log, and nothing follows it. */
  readonly rows: { readonly mark: TurnMark; readonly row: Uint8Array }[]
  readonly alarms: Map<string, Uint8Array>
  readonly own: Map<string, StoredValue>
  readonly isWhole: boolean
}

/** The actors that the log has named last. */
class KnownActors {
  readonly #known = new Map<string, Known>()
  #bytes = 0

  /** The actor before this turn, as far as it is known. From here on the actor is as the turn leaves it. */
  take({ entity, follows, row, rows, own }: Turn): KnownActor | undefined {
    const known = this.#known.get(entity)
    this.#known.delete(entity)
    this.#bytes -= known ? bytesOf(known) : 0
    const earlier = known?.rows.find(({ mark }) => isSame(mark, follows))
    const isBorn = follows === undefined
    const before: KnownActor | undefined =
      isBorn || !known || !earlier
        ? isBorn
          ? { row: undefined, alarms: [], own: [], isWhole: true }
          : undefined
        : {
            row: earlier.row,
            alarms: [...known.alarms],
            own: [...known.own],
            isWhole: known.isWhole,
          }
    if (!row) return before
    const kept = isBorn ? undefined : known
    const next: Known = {
      rows: [{ mark: readMainRow(row).mark, row: row.slice() }, ...(kept?.rows ?? [])].slice(0, 2),
      alarms: new Map(kept?.alarms),
      own: new Map(kept?.own),
      isWhole: isBorn || (kept?.isWhole === true && earlier !== undefined),
    }
    for (const [key, bytes] of rows) {
      if (!isWithin(key, alarmRows(entity))) continue
      const name = key.slice(key.lastIndexOf('\0') + 1)
      if (bytes) next.alarms.set(name, bytes.slice())
      else next.alarms.delete(name)
    }
    for (const [key, value] of own?.changes ?? [])
      if (value) next.own.set(key, { tag: value.tag, bytes: value.bytes.slice() })
      else next.own.delete(key)
    this.#known.set(entity, next)
    this.#bytes += bytesOf(next)
    for (const [oldest, others] of this.#known) {
      if (this.#bytes <= knownBytesMax || oldest === entity) break
      this.#known.delete(oldest)
      this.#bytes -= bytesOf(others)
    }
    return before
  }
}

const isSame = (mark: TurnMark, other: TurnMark | undefined): boolean =>
  mark.seq === other?.seq && mark.incarnation === other.incarnation

const bytesOf = ({ rows, alarms, own }: Known): number => {
  let bytes = 200
  for (const { row } of rows) bytes += row.length
  for (const alarm of alarms.values()) bytes += 100 + alarm.length
  for (const { bytes: value } of own.values()) bytes += 100 + value.length
  return bytes
}
