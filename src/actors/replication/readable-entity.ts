/** A durable actor with its present state in a form that people can read with SQL. */
import { entityRowKey, type ReadableChange, readEntityRow } from '../../storage/index.ts'
import type { Shard } from '../shard/shard.ts'
import { readBody } from '../turns/memory.ts'
import { jsonText, shownBytesMax } from './readable-key.ts'

/** The actor as it is now. @throws KeelsonError `SHARD_DOWN`, `CORRUPT`, `UNSUPPORTED_VERSION` */
export const readableEntity = (shard: Shard, entity: string): ReadableChange => {
  const asOf = shard.appliedLsn
  const row = shard.view().row(entityRowKey(entity))
  if (!row) return { kind: 'ended', entity }
  const { body } = readEntityRow(row)
  const { version, state, fields } = readBody(body)
  const shown = body.length > shownBytesMax ? undefined : jsonText(state)
  return {
    ...{ kind: 'entity', asOf },
    row: {
      ...{ entity, version, size: body.length, fields: jsonText(fields) ?? '{}' },
      ...(shown !== undefined && { state: shown }),
    },
  }
}
