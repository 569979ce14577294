/** The rules of a turn whose bytes and rows can be read again: one rule for both sides. */
import { isBirth, isEntity, isRowBeside } from '../values/entity-key.ts'
import { isMainRow } from '../values/entity-row.ts'
import { entityOfStream, isEntityStream } from '../values/stream-key.ts'
import { causeBytesMax } from '../values/turn-cause.ts'
import type { Turn } from './command.ts'

/**
 * The fault of a turn; `undefined` for a sound one. Its writes and the sizes of its numbers are not
 * judged here. Pure.
 */
export const turnFault = (turn: Turn): string | undefined => {
  const { entity, follows, row, rows, own, streams, cause, recorded } = turn
  if (!isEntity(entity)) return 'the name of its entity'
  if (follows && !isBirth(follows.incarnation)) return 'an incarnation that has not 16 hex digits'
  if (row && !isMainRow(row)) return 'a main row without its mark'
  for (const [rowKey] of rows)
    if (!isRowBeside(entity, rowKey)) return 'a row that is not of its entity'
  if (own && !isBirth(own.birth)) return 'a birth that has not 16 hex digits'
  if (own?.changes.length === 0) return 'own rows without a change'
  if (streams?.some(({ owner }) => !isEntityStream(owner) || entityOfStream(owner) !== entity))
    return 'a stream that is not of its entity'
  if (recorded?.length === 0) return 'a record without bytes'
  if (cause && (cause.length === 0 || cause.length > causeBytesMax))
    return 'a cause of a wrong length'
  return undefined
}
