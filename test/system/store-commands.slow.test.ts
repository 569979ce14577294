/** Every command on real files, real LMDB and real blobs, against the model. The built package. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { type App, type KeelsonError, type StartOptions, start } from 'keelson'
import { expect, test } from 'vitest'
import { doctor } from '../support/commands/doctor-folder.ts'
import { StoreModel, type Transaction, type Write } from '../support/models/store-model.ts'
import { callOf, keys, transaction, withPatchesOfBytes } from '../support/models/store-writes.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { thorough } from '../support/tier.ts'

const seed = Number(process.env.KEELSON_SEED ?? 20)

/** Nothing ends while the test runs, however slow it is: time is the simulation's to test. */
const lasting = (write: Write): Write => {
  const {
    ttlMs: _,
    expiresAt: __,
    ...rest
  } = write as Write & { ttlMs?: number; expiresAt?: number }
  if (write.kind === 'expire') return { ...write, ttlMs: 10 ** 12 }
  return ('leaseMs' in rest ? { ...rest, leaseMs: 10 ** 12 } : rest) as Write
}

const drawn = (): Transaction[] =>
  fc
    .sample(transaction, { seed, numRuns: thorough(100, 700) })
    .map(withPatchesOfBytes)
    .map((one) =>
      one.kind === 'batch' ? { ...one, writes: one.writes.map(lasting) } : lasting(one),
    )

/** An answer without where the write stands, and without times. */
const factsOf = (answered: object): unknown => {
  const { position: _, positions: __, answers, ...facts } = answered as Record<string, unknown>
  return timeless(answers ?? facts)
}
const timeless = (answer: unknown): unknown => {
  if (Array.isArray(answer)) return answer.map(timeless)
  const { until: _, ...facts } = answer as Record<string, unknown>
  return facts
}

/** Everything that can be read. */
const contentOf = ({ store }: App): unknown =>
  keys.map((key) => {
    const isCompound =
      store.has(key) &&
      store.range({ gte: key, lte: key, values: true }).entries[0]?.[1]?.constructor.name ===
        'Compound'
    return [key, isCompound ? store.fields(key) : store.get(key), store.ttl(key) === undefined]
  })

const contentOfModel = (model: StoreModel): unknown =>
  keys.map((key) => [key, model.get(key, 1).value, model.ttl(key, 1) === undefined])

test('every command answers and leaves what the model says, also after a restart, and when LMDB was deleted', async () => {
  const folder = tempFolder()
  const options: StartOptions = {
    dir: join(folder, 'd'),
    wal: { maxFileSize: 256 * 1024 },
    blobs: { threshold: 150, segmentBytes: 65_536 },
  }
  const model = new StoreModel()
  let app = await start(options)
  const all = drawn()
  for (let at = 0; at < all.length; at += 50) {
    const some = all.slice(at, at + 50)
    const answers = await Promise.all(
      some.map((one) =>
        callOf(app.store as never, one, {}).then(factsOf, (error: KeelsonError) => error.code),
      ),
    )
    const expected = some.map((one) => {
      const outcome = model.apply(one, 1)
      return 'refused' in outcome ? outcome.refused : timeless(outcome.answer)
    })
    expect(answers, `seed ${seed}, from ${at}`).toEqual(expected)
  }
  expect(contentOf(app)).toEqual(contentOfModel(model))

  await app.close()
  app = await start(options)
  expect(contentOf(app)).toEqual(contentOfModel(model))
  await app.close()
  // The rows that were applied as they came are those that the whole log gives, byte for byte.
  const { findings, errors } = await doctor(folder, '--deep')
  expect([findings, errors], `seed ${seed}`).toEqual([[], ''])
  rmSync(join(options.dir, 'shard-0', 'lmdb'), { recursive: true })
  app = await start(options)
  expect(contentOf(app)).toEqual(contentOfModel(model))
  await app.close()
})
