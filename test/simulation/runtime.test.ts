/**
 * Random worlds of processes, each from one seed: trees of supervisors, servers that link, monitor, call, set timers, crash,
 * kill and are killed. Whatever happens: nobody is restarted beyond intensity, nobody is orphaned, every call settles, every
 * link and monitor is answered once, the dead do nothing, nothing runs after the stop; and a seed gives the same world twice.
 *
 * `KEELSON_SEEDS=5000 npx vitest run test/simulation/runtime.test.ts`; one failing world: `KEELSON_SEED=123 …`.
 */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { runtimeWorld } from '../support/runtime-world.ts'
import { countOf } from '../support/tier.ts'

const seedCount = countOf('KEELSON_SEEDS', 20, 600)
const only = process.env.KEELSON_SEED
const seeds = only ? [Number(only)] : Array.from({ length: seedCount }, (_, at) => at + 1)

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

describe('a random world', () => {
  test(`keeps what the runtime promises, twice in the same way, in ${seeds.length} worlds`, async () => {
    const seen = new Map(happenings.map((what) => [what, 0]))
    for (const seed of seeds) {
      try {
        const trace = await runWorld(seed)
        if (only) console.log(trace)
        for (const what of happenings)
          seen.set(what, (seen.get(what) ?? 0) + trace.split(what).length - 1)
        expect(await runWorld(seed)).toBe(trace)
      } catch (cause) {
        const command = `KEELSON_SEED=${seed} npx vitest run test/simulation/runtime.test.ts`
        throw new Error(`seed ${seed} fails: ${command}`, { cause })
      }
    }
    // Worlds in which nothing happens would keep every promise.
    if (!only) for (const [what, times] of seen) expect(times, what).toBeGreaterThan(seeds.length)
  }, 600_000)
})
