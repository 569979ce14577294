/**
 * Random worlds of processes, each from one seed: trees of supervisors, servers that link, monitor, call, set timers, crash,
 * kill and are killed. Whatever happens: nobody is restarted beyond intensity, nobody is orphaned, every call settles, every
 * link and monitor is answered once, the dead do nothing, nothing runs after the stop; and a seed gives the same world twice.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/runtime.test.ts`; one failing world: `KEELSON_SEED=123 …`.
 */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { runtimeWorld } from '../support/lives/runtime-world.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'

const seeds = seedsOf(3, 600)
const isOne = seeds.length === 1

/** What traces tell of, each in many a world. */
const happenings = [
  ' started',
  ' again',
  ' gave up',
  ' exit <',
  ' down ',
  ' rang ',
  ' echo ',
  ' terminate',
]

/** One world from beginning to end; answers its trace. */
const runWorld = async (seed: number): Promise<string> => {
  const world = await runtimeWorld(seed, seededRandom(seed))
  for (let step = 0; step < 120; step++) await world.step()
  await world.rest()
  await world.stop()
  expect(world.ledger.faults.slice(0, 10), world.ledger.trace.slice(-40).join('\n')).toEqual([])
  expect(world.clock.untilNext()).toBeUndefined()
  return world.ledger.trace.join('\n')
}

test(`a random world keeps what the runtime promises, twice in the same way, in ${seeds.length} worlds`, async () => {
  const stories = await liveSeeds(seeds, async (seed) => {
    const trace = await runWorld(seed)
    if (isOne) console.log(trace)
    expect(await runWorld(seed)).toBe(trace)
    return Object.fromEntries(happenings.map((what) => [what, trace.split(what).length - 1]))
  })

  const seen = sumOf(stories)
  // Worlds in which nothing happens would keep every promise.
  if (!isOne)
    for (const what of happenings) expect(seen[what], what).toBeGreaterThan(seeds.length / 2)
}, 600_000)
