/** All that the rows of an entity say, for people. */

import { entityRowKey, readEntityRow } from '../../storage/index.ts'
import type { Alarm, Fields, Step } from '../turns/memory.ts'
import { readBody } from '../turns/memory.ts'
import { alarmsOf, callIdKeysOf } from '../turns/waking.ts'
import type { Entities } from './entities.ts'

/** What the rows of an entity say. */
export type EntityRows = {
  readonly incarnation: string
  /** The number of its last turn that changed something, in this incarnation. */
  readonly seq: number
  /** The version of the server that wrote it. */
  readonly version: number
  readonly state: unknown
  readonly fields: Fields
  /** The recorded steps that no turn has consumed. */
  readonly steps: readonly Step[]
  readonly alarms: ReadonlyMap<string, Alarm>
  /** How many calls with an id are remembered. */
  readonly calls: number
}

/**
 * What the rows of an entity say; `undefined` if it is unborn.
 * @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT`, `UNSUPPORTED_VERSION`
 */
export const surveyEntity = (entities: Entities, entity: string): EntityRows | undefined => {
  const shard = entities.shardOf(entity)
  const row = shard.view().row(entityRowKey(entity))
  if (row === undefined) return undefined
  const { mark, body } = readEntityRow(row)
  const { version, state, fields, steps } = readBody(body)
  const calls = callIdKeysOf(shard, entity).length
  return { ...mark, version, state, fields, steps, alarms: alarmsOf(shard, entity), calls }
}
