/**
 * One life of a store over a split: random writes, more shards, and random writes again. The model has
 * the answers and the rows, one model for each shard of the first life: its parts go on with it.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { shardOf } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { keysOf, StoreModel, type Transaction } from '../models/store-model.ts'
import { callOf, keys, transaction, unitsOf } from '../models/store-writes.ts'
import { type Machine, started } from '../worlds/simulated-instance.ts'
import { readyToSplit, splitInto } from '../worlds/split-instance.ts'

/** The shards of the first life, how many times as many the second one has, and the writes of both. */
export type SplitLife = {
  readonly before: number
  readonly times: number
  readonly first: readonly Transaction[]
  readonly second: readonly Transaction[]
}

/** Draws a life. In the second part nothing clears a shard: one model has several of them. */
export const splitLife: fc.Arbitrary<SplitLife> = fc.record({
  before: fc.constantFrom(1, 1, 2, 3),
  times: fc.constantFrom(2, 2, 3, 3, 4, 8),
  first: fc.array(transaction, { minLength: 1, maxLength: 30 }),
  second: fc.array(
    transaction.filter(({ kind }) => kind !== 'clear'),
    { maxLength: 12 },
  ),
})

/** Lives it. @throws what differs from the model */
export const liveSplit = async ({ before, times, first, second }: SplitLife): Promise<void> => {
  const world = await started({ shards: before })
  const models = Array.from({ length: before }, () => new StoreModel())
  const modelOf = (key: string) => models[shardOf(key, before)] as StoreModel
  for (const write of first)
    await written(world, world.app, before, write, (shard) => models[shard])
  compared(world.app, modelOf)
  const from = await readyToSplit(world, world.app)
  splitInto(world.disk, world, from, '/split', before * times)
  const app = await world.start({ dir: '/split' })
  expect(app.shards.length).toBe(before * times)
  compared(app, modelOf)
  for (const write of second)
    await written(world, app, before * times, write, (shard) => models[shard % before])
  compared(app, modelOf)
  await world.during(app.close())
}

/** Writes it, and compares what came of it. */
const written = async (
  { clock, during }: Machine,
  { store }: App,
  shards: number,
  write: Transaction,
  modelOf: (shard: number) => StoreModel | undefined,
): Promise<void> => {
  const place = (key: string) => shardOf(key, shards)
  const writes = write.kind === 'batch' ? write.writes : [write]
  const spreads = ['putMany', 'deleteMany', 'clear'].includes(write.kind)
  const isAcross = !spreads && new Set(writes.flatMap(keysOf).map(place)).size > 1
  // Each write has a moment of its own.
  await clock.advance(1)
  const time = clock.now()
  const refusal = await during(
    callOf(store, write, {}).then(
      () => undefined,
      (error: KeelsonError) => error.code,
    ),
  )
  if (isAcross) return expect(refusal).toBe('CROSS_SHARD')
  if (refusal === 'TOO_LARGE') return
  const outcomes = unitsOf(write, shards, place).map(([shard, , part]) =>
    modelOf(shard)?.apply(part, time),
  )
  const refused = outcomes.flatMap((outcome) =>
    outcome && 'refused' in outcome ? outcome.refused : [],
  )
  if (outcomes.length > 1) expect(refusal).toBe(refused.length > 0 ? 'PARTIAL' : undefined)
  else expect(refusal).toBe(refused[0])
}

/** Every key has the value, the fields and the time to live that the model has. */
const compared = ({ store, shards }: App, modelOf: (key: string) => StoreModel): void => {
  for (const key of keys) {
    const now = shards[store.shardOf(key)]?.now() ?? 0
    const model = modelOf(key)
    const { isCompound, value } = model.get(key, now)
    expect(store.has(key), key).toBe(value !== undefined)
    expect(store.ttl(key), key).toBe(model.ttl(key, now))
    if (isCompound) expect(new Map(store.fields(key)), key).toEqual(value)
    else expect(store.get(key), key).toEqual(value)
  }
}
