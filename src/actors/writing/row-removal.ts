/**
 * Removes the rows that durable actors kept in births that have ended. The turn that ends a birth
 * removes the main row and leaves a row for the rest: from then on nobody sees the own rows, and
 * the actor has another birth then. They may be many, so they go in pieces. A crash between pieces
 * leaves the row that says so, and the next incarnation goes on; a piece that is applied again
 * changes nothing. It is apart from `expirer.ts` because a birth that has ended is found by its
 * row, and what has expired by its time.
 */

import { utf8Length } from '../../bytes/utf8.ts'
import type { System } from '../../runtime/index.ts'
import {
  ownKeyOf,
  ownRowKey,
  ownRows,
  parseRemoval,
  type Removal,
  type RowRange,
  removalRows,
} from '../../storage/index.ts'
import { emit } from '../core/storage-events.ts'
import { submit } from './write-path.ts'
import type { WritingShard } from './writing-shard.ts'

/** The bounds of one piece: a few ms of the event loop, and a frame that fits any log. */
const keysMax = 250
const keyBytesMax = 32 * 1024
const valueBytesMax = 1024 * 1024
const unitsMax = 100

/** The pieces of which one waits for the projection. They bound what the overlay takes. */
const piecesUnprojected = 32

/** Where the removal goes on: after an ended birth, or within it after a key. */
type Place = { readonly removal: string; readonly key: string | undefined }

/**
 * Removes the rows of all births that have ended by now.
 * @throws KeelsonError as every write: what is left is removed by another call
 */
export const removeEndedRows = async (
  system: System,
  shard: WritingShard,
  signal: AbortSignal,
): Promise<void> => {
  shard.removals.begin(Number.POSITIVE_INFINITY)
  const { deadlineMs } = shard.parts.settings
  let place: Place | undefined
  for (let pieces = 1; !signal.aborted && shard.phase.kind === 'open'; pieces++) {
    const { units, next } = piece(shard, place)
    if (units.length === 0) break
    const ack = pieces % piecesUnprojected === 0 ? 'projected' : 'applied'
    const options = { ack, deadlineMs, whenFull: 'wait', windowMs: 0 } as const
    await submit(system, shard, { units, options })
    place = next
    const rows = units.reduce((sum, { keys }) => sum + keys.length, 0)
    emit(system, shard, 'entity.rowsRemoved', { rows })
  }
}

/** The next piece after a place. */
const piece = (shard: WritingShard, from: Place | undefined): { units: Removal[]; next: Place } => {
  const units: Removal[] = []
  let next: Place = from ?? { removal: removalRows.gt, key: undefined }
  let [keysLeft, keyBytesLeft, valueBytesLeft] = [keysMax, keyBytesMax, valueBytesMax]
  const isFull = (): boolean => keysLeft <= 0 || keyBytesLeft <= 0 || valueBytesLeft <= 0
  for (const [removal] of shard.view().rows(ended(next))) {
    const { entity, birth } = parseRemoval(removal)
    const keys: string[] = []
    const { gt, lt } = ownRows(entity, birth)
    const behind = next.removal === removal && next.key !== undefined
    const range = { gt: behind ? ownRowKey(entity, birth, next.key ?? '') : gt, ...(lt && { lt }) }
    for (const [rowKey, { value }] of shard.view().rows(range)) {
      keys.push(ownKeyOf(rowKey))
      keysLeft--
      keyBytesLeft -= utf8Length(rowKey)
      valueBytesLeft -= value.bytes.length
      if (isFull()) break
    }
    const isLast = !isFull()
    units.push({ kind: 'removal', entity, birth, keys, isLast })
    next = { removal, key: isLast ? undefined : keys.at(-1) }
    if (!isLast || units.length === unitsMax) break
  }
  return { units, next }
}

/** The rows of ended births from a place on. */
const ended = ({ removal, key }: Place): RowRange => {
  const { lt } = removalRows
  return { ...(key === undefined ? { gt: removal } : { gte: removal }), ...(lt && { lt }) }
}
