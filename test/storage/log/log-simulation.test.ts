/**
 * Thousands of whole lives of a log. A failure names its seed; `KEELSON_SEEDS` sets the number of
 * seeds.
 */
import { expect, test } from 'vitest'
import { liveOn } from '../../support/lives/log-life.ts'
import { seedsOf } from '../../support/tier.ts'

test('no life loses an acknowledged frame, changes the order, leaves a gap or continues after poison', () => {
  const stories = seedsOf(60, 2_000).map((seed) => liveOn(seed))

  // The simulation must contain every kind of event.
  const sum = (pick: (story: (typeof stories)[number]) => number): number =>
    stories.reduce((total, story) => total + pick(story), 0) / stories.length
  expect(sum(({ openings }) => openings)).toBeGreaterThan(4)
  expect(sum(({ acknowledged }) => acknowledged)).toBeGreaterThan(40)
  expect(sum(({ lost }) => lost)).toBeGreaterThan(1)
  expect(sum(({ rolls }) => rolls)).toBeGreaterThan(2)
  expect(sum(({ poisonings }) => poisonings)).toBeGreaterThan(0.5)
  expect(sum(({ tornTails }) => tornTails)).toBeGreaterThan(0.2)
  expect(sum(({ refusals }) => refusals)).toBeGreaterThan(0.1)
  expect(sum(({ harms }) => harms)).toBeGreaterThan(0.2)
  expect(sum(({ closes }) => closes)).toBeGreaterThan(1)
  expect(sum(({ spares }) => spares)).toBeGreaterThan(1)
  expect(sum(({ markers }) => markers)).toBeGreaterThan(0.5)
  expect(sum(({ checkpoints }) => checkpoints)).toBeGreaterThan(0.5)
  expect(sum(({ names }) => names)).toBeGreaterThan(0.5)
  expect(sum(({ removals }) => removals)).toBeGreaterThan(0.2)
})

test('with commitments neither, and every chain continues each head that was given out', {
  tags: ['E54'],
}, () => {
  const stories = seedsOf(24, 2_000).map((seed) => liveOn(seed, 60, true))

  const sum = (pick: (story: (typeof stories)[number]) => number): number =>
    stories.reduce((total, story) => total + pick(story), 0) / stories.length
  expect(sum(({ openings }) => openings)).toBeGreaterThan(4)
  expect(sum(({ tornTails }) => tornTails)).toBeGreaterThan(0.2)
  expect(sum(({ rolls }) => rolls)).toBeGreaterThan(2)
  expect(sum(({ removals }) => removals)).toBeGreaterThan(0.2)
})
