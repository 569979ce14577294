/**
 * The rows that actors derive from the log, each actor under its own name: the producer. No command
 * writes them and no frame holds them. The row without a key is the producer's position: it has
 * every row of the frames up to there. Rows and position change in one transaction. So a producer
 * always knows where to go on, also when the projection was deleted. Pure.
 */

import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  type Row,
  type RowChange,
  type RowRange,
  type StoredValue,
  valueTags,
} from '../ports/projection-store.ts'
import { checkKey } from '../values/key.ts'
import { prefixOf } from '../values/row-key.ts'

/** A change of one row of a producer. */
export type DerivedOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: StoredValue }
  | { readonly kind: 'delete'; readonly key: string }

const prefix = prefixOf('derived')
const positionBytes = 8
const producerPattern = /^[A-Za-z0-9_.-]{1,64}$/

/** Returns `producer` when it is the name of one. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkProducer = (producer: unknown): string => {
  if (typeof producer === 'string' && producerPattern.test(producer)) return producer
  throw invalidArgument('producer', '1 to 64 letters, digits, _, . or -', producer)
}

/** The row of a producer's key. @throws KeelsonError `INVALID_ARGUMENT` */
export const derivedRowKey = (producer: string, key: string): string =>
  `${prefix}${producer}\0${checkKey(key)}`

/** The row of a producer's position. */
export const producerRowKey = (producer: string): string => `${prefix}${producer}\0`

/** The rows of a producer, without its position. */
export const derivedRows = (producer: string): RowRange & { readonly gt: string } => ({
  gt: producerRowKey(producer),
  lt: `${prefix}${producer}\x01`,
})

/** The key in the key of a producer's row. */
export const derivedKeyOf = (rowKey: string): string => rowKey.slice(rowKey.indexOf('\0', 1) + 1)

/**
 * The LSN up to which a producer's rows are there, from the row of its position. @throws
 * KeelsonError `CORRUPT` for another row
 */
export const producerLsnOf = (row: Row | undefined): number => {
  if (!row) return 0
  const { tag, bytes } = row.value
  if (tag === valueTags.bytes && bytes.length === positionBytes) return readU64(viewOf(bytes), 0)
  throw new KeelsonError('CORRUPT', 'the position of a producer cannot be read', {
    details: { evidence: `tag ${tag}, ${bytes.length} bytes` },
  })
}

/** The changes of rows that bring a producer to `lsn`. */
export const derivedChanges = (
  producer: string,
  lsn: number,
  operations: readonly DerivedOperation[],
): RowChange[] => {
  const bytes = new Uint8Array(positionBytes)
  writeU64(viewOf(bytes), 0, lsn)
  return [
    ...operations.map((operation): RowChange => {
      const row = operation.kind === 'put' ? { value: operation.value, expiresAt: 0 } : undefined
      return [derivedRowKey(producer, operation.key), row]
    }),
    [producerRowKey(producer), { value: { tag: valueTags.bytes, bytes }, expiresAt: 0 }],
  ]
}
