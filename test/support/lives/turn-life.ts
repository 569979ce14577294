/**
 * One random life of a durable actor in a log, from one seed, unit by unit: turns that follow one
 * another before they are decided, turns that a lock refuses, late turns of killed processes, ends
 * and births. The rows of production decide which of them take effect.
 */
import { seededRandom } from '../../../src/clock.ts'
import type { Turn, Unit } from '../../../src/storage/commands/command.ts'
import type { LoggedTurn } from '../../../src/storage/examination/logged-turn.ts'
import { entityRowKey } from '../../../src/storage/values/entity-key.ts'
import {
  mainRowOf,
  readEntityRow,
  readMainRow,
  type TurnMark,
} from '../../../src/storage/values/entity-row.ts'
import { appliedUnit } from '../worlds/applied-unit.ts'
import { MapRows } from '../worlds/map-rows.ts'

/** The actor of every life. */
export const entity = 'order/17'
const lockedKey = '{order/17}/total'

/** A process of the actor. Its turns wait until the log has them. */
type Life = {
  readonly incarnation: string
  /** The mark that its next turn follows. */
  next: TurnMark | undefined
  readonly waiting: Turn[]
  /** It has ended its actor, or a turn was refused: then it goes on when no turn is on its way. */
  isHeld: boolean
}

/** All turns that came into a log, and those that took effect. */
export type TurnLife = {
  readonly logged: readonly LoggedTurn[]
  readonly effective: readonly LoggedTurn[]
  /** All units by frame, from LSN 1 on: the turns, and what locks and unlocks keys. */
  readonly frames: readonly (readonly Unit[])[]
  /** The mark of the main row in the end. */
  readonly mark: TurnMark | undefined
  readonly lastLsn: number
}

/** Lives a life of `steps` steps. */
export const liveTurns = (seed: number, steps = 120): TurnLife => {
  const random = seededRandom(seed)
  const happens = (probability: number): boolean => random() < probability
  const rows = new MapRows()
  const logged: LoggedTurn[] = []
  const effective: LoggedTurn[] = []
  const frames: Unit[][] = []
  const killed: Life[] = []
  const pipeline = 1 + Math.floor(random() * 5)
  let lives = 0
  let lsn = 0

  const present = (): TurnMark | undefined => {
    const row = rows.get(entityRowKey(entity))
    return row && readEntityRow(row).mark
  }
  const born = (): Life => ({
    incarnation: (++lives).toString(16).padStart(16, '0'),
    next: present(),
    waiting: [],
    isHeld: false,
  })
  let life = born()

  const handle = (): void => {
    const follows = life.next
    // An end is handled when the birth is decided: of both on their way the log cannot say enough.
    const isEnd = follows !== undefined && present() !== undefined && happens(0.15)
    const mark = { incarnation: life.incarnation, seq: (follows?.seq ?? 0) + 1 }
    const writes = happens(0.3)
      ? [
          {
            ...({ kind: 'put', key: lockedKey, expiry: { kind: 'none' } } as const),
            value: { tag: 1, bytes: Buffer.from('5') } as const,
          },
        ]
      : []
    life.waiting.push({
      ...{ kind: 'turn', entity, follows, writes, rows: [] },
      row: isEnd ? undefined : mainRowOf(mark, new Uint8Array([lsn % 256])),
    })
    life.next = isEnd ? undefined : mark
    life.isHeld = isEnd
  }

  const write = (unit: Unit): void => {
    frames[lsn - 1] = [...(frames[lsn - 1] ?? []), unit]
  }

  const log = (of: Life): void => {
    const turn = of.waiting.shift()
    if (!turn) return
    lsn += happens(0.7) ? 1 : 0
    lsn = Math.max(lsn, 1)
    const place = { lsn, unit: frames[lsn - 1]?.length ?? 0 }
    const { changes, answer } = appliedUnit(turn, rows, lsn, lsn)
    const { row, follows, writes } = turn
    const seen: LoggedTurn = {
      ...{ ...place, time: lsn, follows, row, rows: [], entries: [], own: [], ownValues: [] },
      cause: undefined,
      mark: row && readMainRow(row).mark,
      writes: writes.map(({ kind }) => ({ kind, keys: [lockedKey] })),
    }
    logged.push(seen)
    write(turn)
    if (answer.kind !== 'refused') {
      rows.take(changes)
      effective.push(seen)
      if (row === undefined && of === life) life = born()
      return
    }
    // The turns that follow the refused one are on their way.
    of.isHeld = true
    if (of.waiting.length > 0) return
    of.next = present()
    of.isHeld = false
  }

  const lock = (): void => {
    const unit: Unit = happens(0.5)
      ? { kind: 'lock', keys: [lockedKey], owner: 'another', leaseMs: 1e9 }
      : { kind: 'unlock', keys: [lockedKey], owner: 'another' }
    const { changes } = appliedUnit(unit, rows, ++lsn, lsn)
    rows.take(changes)
    write(unit)
  }

  /** Some of its turns reach the log before the next process begins, some turns after it, some never. */
  const kill = (): void => {
    const old = life
    // What became of the birth of an actor that nobody tries again, its log cannot say.
    if (present() === undefined) return
    for (let count = old.waiting.length; count > 0 && happens(0.7); count--) log(old)
    // The next process waits until the turns of this one are decided: no end comes after its turns.
    const end = old.waiting.findIndex(({ row }) => row === undefined)
    if (end >= 0) old.waiting.length = end
    killed.push(old)
    life = born()
  }

  for (let step = 0; step < steps; step++) {
    const drawn = random()
    if (drawn < 0.4 && life.waiting.length < pipeline && !life.isHeld) handle()
    else if (drawn < 0.8) log(life)
    else if (drawn < 0.88) lock()
    else if (drawn < 0.92) kill()
    else for (const late of killed) if (happens(0.3)) log(late)
  }
  return { logged, effective, frames, mark: present(), lastLsn: lsn }
}
