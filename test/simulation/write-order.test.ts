/**
 * Un-awaited writes to few keys over every way to the log at once: direct, in windows, in batches, as blobs, deletes, clears, with room
 * for few of them at a time. Whatever way each took, the state is that of the order of issue.
 *
 * `KEELSON_SEEDS=10000 npx vitest run test/simulation/write-order.test.ts`; one failing world: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { Batcher } from '../../src/actors/index.ts'
import { seededRandom } from '../../src/clock.ts'
import { liveSeeds } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'
import { started } from '../support/worlds/simulated-instance.ts'

const seeds = seedsOf(10, 500)

const keys = ['a', 'b', 's:a', 's:b', 't:a', 't:b']

type Step = (model: Map<string, string>) => void

/** One world; throws what went wrong. */
const runWorld = async (seed: number): Promise<void> => {
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const { clock, during, app } = await started(
    {
      batcher: {
        windows: pick([{}, { s: 5 }, { s: 2, t: 40 }]),
        maxCommands: pick([2, 5, 10_000]),
        maxBytes: pick([300, 4_096, 1 << 20]),
      },
      blobs: { threshold: pick([0, 100, 300]) },
      wal: { queueBytes: pick([2_048, 1 << 20]), queueCommands: pick([4, 65_536]) },
      admission: { bytes: pick([2_048, 1 << 20]), commands: pick([4, 262_144]) },
    },
    { seed, syncMs: pick([0, 1, 7, 30]) },
  )
  const { store } = app
  let value = 0
  const issued: { readonly work: Promise<unknown>; readonly step: Step }[] = []
  const issue = (work: Promise<unknown>, step: Step) => issued.push({ work, step })
  const next = () => `${value++}${'x'.repeat(Math.floor(random() * 200))}`
  const options = () => {
    const windowMs = pick([undefined, undefined, 0, 1, 5, 100])
    return windowMs === undefined ? {} : { windowMs }
  }
  const ways: (() => void)[] = [
    () => {
      const [key, text] = [pick(keys), next()]
      issue(store.put(key, text, options()), (model) => model.set(key, text))
    },
    () => {
      const key = pick(keys)
      issue(store.delete(key, options()), (model) => model.delete(key))
    },
    () => {
      const [key, text] = [pick(keys), next()]
      issue(store.append(key, text, options()), (model) =>
        model.set(key, (model.get(key) ?? '') + text),
      )
    },
    () => {
      const entries = [pick(keys), pick(keys)].map((key) => [key, next()] as const)
      issue(store.putMany(entries, options()), (model) => {
        for (const [key, text] of entries) model.set(key, text)
      })
    },
    () => {
      const [from, to, text] = [pick(keys), pick(keys), next()]
      issue(store.batch().delete(from).put(to, text).commit(options()), (model) => {
        model.delete(from)
        model.set(to, text)
      })
    },
    () => {
      const gone = [pick(keys), pick(keys)]
      issue(store.deleteMany(gone, options()), (model) => {
        for (const key of gone) model.delete(key)
      })
    },
    () => {
      if (random() < 0.8) return
      issue(store.clear(), (model) => model.clear())
    },
  ]
  for (let step = 0; step < 60; step++) {
    pick(ways)()
    const rest = random()
    if (rest < 0.1) await clock.advance(pick([1, 3, 20]))
    else if (rest < 0.2) await clock.settle()
  }
  await during(Promise.all(issued.map(({ work }) => work)))
  const model = new Map<string, string>()
  for (const { step } of issued) step(model)
  const found = Object.fromEntries(keys.map((key) => [key, store.get(key)]))
  expect(found, `seed ${seed}`).toEqual(
    Object.fromEntries(keys.map((key) => [key, model.get(key)])),
  )
  const [shard] = app.shards
  expect(shard?.marks.isEmpty, `seed ${seed}`).toBe(true)
  expect(shard?.gate.load, `seed ${seed}`).toEqual({
    entered: 0,
    commands: 0,
    bytes: 0,
    waiting: 0,
  })
  const description = await during(Batcher.describe(app.system.to(Batcher.name(0))))
  expect(description, `seed ${seed}`).toMatchObject({ waiting: undefined, groupsUnderWay: 0 })
  await during(app.close())
  expect(clock.untilNext(), `seed ${seed}`).toBeUndefined()
}

test(`writes that nobody waits for end in the state of the order of their issue, in ${seeds.length} worlds`, {
  tags: ['slow'],
  timeout: 3_600_000,
}, async () => {
  await liveSeeds(seeds, runWorld)
})
