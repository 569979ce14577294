/** Entities as one would explain them: a Map of main rows, a Map of the others. For comparison with the state machine. */
import fc from 'fast-check'
import type { Command, EntityRowChange, Turn } from '../../../src/storage/commands/command.ts'
import {
  alarmRowKey,
  callIdRowKey,
  dueRowKey,
  indexRowKey,
} from '../../../src/storage/values/entity-key.ts'
import { mainRowOf, readMainRow, type TurnMark } from '../../../src/storage/values/entity-row.ts'
import { encodeIndexValue } from '../../../src/storage/values/index-value.ts'
import type { ModelOutcome } from './store-model.ts'

/** A turn as it was drawn. What it follows is said in terms of the present main row. */
export type DrawnTurn = {
  readonly entity: string
  readonly follows: 'present' | 'nothing' | 'the turn before' | 'another incarnation'
  readonly body: Uint8Array | undefined
  readonly isReborn: boolean
  readonly rows: readonly EntityRowChange[]
}

const content = fc.uint8Array({ maxLength: 5 })

const rowsOf = (entity: string): fc.Arbitrary<readonly EntityRowChange[]> => {
  const [kind = '', id = ''] = entity.split('/')
  const name = fc.constantFrom('a', 'b')
  const rowKey = fc.oneof(
    name.map((alarm) => alarmRowKey(entity, alarm)),
    fc.tuple(fc.nat(300), name).map(([due, alarm]) => dueRowKey(due, entity, alarm)),
    name.map((callId) => callIdRowKey(entity, callId)),
    fc
      .tuple(name, fc.constantFrom(null, true, -1, 2.5, 'x', ''))
      .map(([field, value]) => indexRowKey(kind, field, encodeIndexValue(value), id)),
  )
  return fc.array(fc.tuple(rowKey, fc.option(content, { nil: undefined })), { maxLength: 4 })
}

/** A turn of one of a few entities; two of three follow the present main row. */
export const drawnTurn: fc.Arbitrary<DrawnTurn> = fc
  .constantFrom('a/1', 'a/2', 'n/1')
  .chain((entity) =>
    fc.record({
      entity: fc.constant(entity),
      follows: fc.oneof(
        { weight: 2, arbitrary: fc.constant('present' as const) },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            'nothing' as const,
            'the turn before' as const,
            'another incarnation' as const,
          ),
        },
      ),
      body: fc.oneof({ weight: 4, arbitrary: content }, fc.constant(undefined)),
      isReborn: fc.boolean(),
      rows: rowsOf(entity),
    }),
  )

const incarnationOf = (life: number): string => life.toString(16).padStart(16, '0')

/** The entities of a shard. */
export class EntityModel {
  readonly #states = new Map<string, { readonly mark: TurnMark; readonly body: Uint8Array }>()
  readonly #rows = new Map<string, Uint8Array>()
  #lives = 0

  /** The drawn turn with its marks, and `writes`. */
  turnOf({ entity, follows, body, isReborn, rows }: DrawnTurn, writes: readonly Command[]): Turn {
    const present = this.#states.get(entity)?.mark
    const { incarnation, seq } = present ?? { incarnation: incarnationOf(++this.#lives), seq: 0 }
    const next = isReborn
      ? { incarnation: incarnationOf(++this.#lives), seq: 1 }
      : { incarnation, seq: seq + 1 }
    const followed = {
      present,
      nothing: undefined,
      'the turn before': { incarnation, seq: Math.max(0, seq - 1) },
      'another incarnation': { incarnation: incarnationOf(0xdead), seq },
    }[follows]
    const row = body && mainRowOf(next, body)
    return { kind: 'turn', entity, follows: followed, row, rows, writes }
  }

  /** Takes a turn whose writes `write` does. It may be refused by itself or by the writes. */
  take({ entity, follows, row, rows }: Turn, write: () => ModelOutcome): ModelOutcome {
    const present = this.#states.get(entity)?.mark
    if (JSON.stringify(present) !== JSON.stringify(follows)) return { refused: 'CONFLICT' }
    const outcome = write()
    if ('refused' in outcome) return outcome
    if (row) this.#states.set(entity, readMainRow(row))
    else this.#states.delete(entity)
    for (const [rowKey, bytes] of rows)
      if (bytes) this.#rows.set(rowKey, bytes)
      else this.#rows.delete(rowKey)
    return outcome
  }

  /** Each main row, and the bytes of each other row, by what names them. */
  get shown(): { readonly states: ReadonlyMap<string, object>; readonly rows: object } {
    const rows = [...this.#rows].map(([key, bytes]) => [key, hexOf(bytes)] as const)
    const states = [...this.#states].map(
      ([entity, { mark, body }]) => [entity, { mark, body: hexOf(body) }] as const,
    )
    return { states: new Map(states), rows: new Map(rows) }
  }
}

/** Bytes as they are compared. */
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
