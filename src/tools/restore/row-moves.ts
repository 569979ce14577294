/**
 * Which shard has a row when a shard is split: one line for each class of rows. With a multiple of the
 * shards, the rows of each one go to it and to new shards, which get rows of no other one. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import {
  compoundOf,
  entityOf,
  lockRowKey,
  positionKind,
  type RowClassName,
  rowClassOf,
  shardOf,
  stateKind,
} from '../../storage/index.ts'

/**
 * - `key`: to the shard of the user's key.
 * - `actor`: to the shard of the actor.
 * - `stay`: it is about the log of its shard, which goes on there.
 * - `all`: to each part.
 * - `derive`: to none; it is derived again.
 */
export type RowMove = 'key' | 'actor' | 'stay' | 'all' | 'derive'

/** The line of each class. */
export const rowMoves = {
  value: 'key',
  field: 'key',
  lock: 'key',
  loggedBlob: 'derive',
  unlistedBlobs: 'derive',
  compoundMarker: 'all',
  entity: 'actor',
  alarm: 'actor',
  due: 'actor',
  callId: 'actor',
  writtenKey: 'actor',
  index: 'actor',
  own: 'actor',
  removal: 'actor',
  streamHead: 'actor',
  streamChunk: 'actor',
  streamProducer: 'actor',
  entryId: 'stay',
  appendedMarker: 'stay',
  derived: 'derive',
  projected: 'derive',
  projectionMark: 'derive',
} as const satisfies Readonly<Record<RowClassName, RowMove>>

/** Whose positions are in the log of their shard. */
const kindsOfLogs: readonly string[] = [positionKind, stateKind]

/** A row of a shard, its class, and where it goes. `about` names its kind of actors, or its class. */
export type MovedRow = {
  readonly about: string
  /** A number of a shard, each of them, or none. */
  readonly to: number | 'all' | 'none'
}

/**
 * Where a row of shard `from` goes, of so many shards.
 * @throws KeelsonError `CORRUPT` for a key that no row has
 */
export const rowMoved = (rowKey: string, from: number, shards: number): MovedRow => {
  const rowClass = rowClassOf(rowKey)
  if (rowClass === undefined) throw badRow(rowKey)
  switch (rowMoves[rowClass]) {
    case 'stay':
      return { about: rowClass, to: from }
    case 'all':
      return { about: rowClass, to: 'all' }
    case 'derive':
      return { about: rowClass, to: 'none' }
    case 'key':
      return { about: rowClass, to: shardOf(userKeyOf(rowKey, rowClass), shards) }
    default: {
      const entity = entityOf(rowKey)
      if (entity === undefined) throw badRow(rowKey)
      const kind = entity.slice(0, entity.indexOf('/'))
      const to = kindsOfLogs.includes(kind) ? from : shardOf(`{${entity}}`, shards)
      return { about: `${rowClass} ${kind}`, to }
    }
  }
}

const lockPrefix = lockRowKey('')

const userKeyOf = (rowKey: string, rowClass: RowClassName): string =>
  rowClass === 'lock' ? rowKey.slice(lockPrefix.length) : (compoundOf(rowKey) ?? rowKey)

const badRow = (key: string): KeelsonError =>
  new KeelsonError('CORRUPT', 'a row has a key that no row has', { details: { key } })
