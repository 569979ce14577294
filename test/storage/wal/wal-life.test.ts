/**
 * Random lives of a log as a library, compared with an array. A failure is shrunk and prints its
 * seed and steps.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { WalLife, type WalStep, type WalStory } from '../../support/lives/wal-life.ts'
import { countOf, triesAll } from '../../support/tier.ts'
import { walWorld } from '../../support/worlds/wals.ts'

/** More with `KEELSON_SEEDS=1000 npx vitest run test/storage/wal/wal-life.test.ts`. */
const lives = countOf('KEELSON_SEEDS', 20, 500)

const sizes = (most: number) =>
  fc.array(fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: 2400 })), { minLength: 1, maxLength: most })

const step: fc.Arbitrary<WalStep> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('append' as const), sizes: sizes(8) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('die' as const),
      how: fc.constantFrom('crash' as const, 'kill' as const),
      sizes: sizes(12),
      turns: fc.nat({ max: 6 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...(['sync', 'checkpoint', 'release', 'read', 'close', 'fill', 'idle', 'flip'] as const),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('break' as const),
      operation: fc.constantFrom('sync' as const, 'write' as const),
      at: fc.integer({ min: 1, max: 5 }),
    }),
  },
)

test('whatever happens to a log, it equals an array of the appended entries', {
  tags: ['E36'],
  timeout: 60_000 + lives * 200,
}, async () => {
  const stories: WalStory[] = []
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 40 }),
      fc.integer({ min: 1 }),
      fc.boolean(),
      async (steps, seed, enableFsync) => {
        stories.push(await new WalLife(walWorld({ seed }), enableFsync).run(steps))
      },
    ),
    // Few lives are always the same ones: what they contain is checked below.
    { numRuns: lives, ...(triesAll ? {} : { seed: 36 }) },
  )

  // The lives must contain every kind of event.
  const mean = (what: keyof WalStory): number =>
    stories.reduce((sum, story) => sum + story[what], 0) / stories.length
  expect(mean('openings')).toBeGreaterThan(3)
  expect(mean('promised')).toBeGreaterThan(15)
  expect(mean('doubts')).toBeGreaterThan(1)
  expect(mean('kept')).toBeGreaterThan(0.1)
  expect(mean('failures')).toBeGreaterThan(0.1)
  expect(mean('refusals')).toBeGreaterThan(0.3)
  expect(mean('removed')).toBeGreaterThan(0.5)
  expect(mean('damaged')).toBeGreaterThan(0.1)
})
