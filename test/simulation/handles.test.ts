/**
 * Random lives of jobs, schedules and turns that ask for runs, each from one seed: what callers were
 * promised holds whatever dies. `test/support/lives/handle-life.ts`.
 *
 * `KEELSON_SEEDS=20000 npx vitest run test/simulation/handles.test.ts`; one life: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { liveHandles } from '../support/lives/handle-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(2, 3_000)

test(`jobs, schedules and turns keep their promises in ${seeds.length} random lives`, {
  timeout: 3_600_000,
  tags: ['W1', 'W3', 'W7', 'W10'],
}, async () => {
  const tally = sumOf(await liveSeeds(seeds, liveHandles))

  if (process.env.KEELSON_TALLY) console.log(tally)
  if (seeds.length < 50) return
  const jobs = ['adds repeated', 'changes', 'job retries', 'drained some', 'results', 'looks']
  const batches = ['batches of 1', 'batches of 2']
  const windows = ['adds that replace', 'adds that come to nothing', 'limits']
  const removed = ['waiting', 'delayed', 'running', 'dead', 'done'].map(
    (state) => `removed ${state}`,
  )
  const made = ['creates', 'schedule changes', 'schedule pauses', 'schedule deletes', 'triggers']
  const rest = [
    'durable orders',
    'durable batches',
    'refused orders',
    'kills of processes',
    'power cuts',
    'closes',
  ]
  for (const what of [
    ...jobs,
    ...batches,
    ...windows,
    ...removed,
    ...made,
    ...rest,
    'ended done',
    'ended dead',
  ])
    expect(tally[what], what).toBeGreaterThan(seeds.length / 100)
})
