/**
 * Thousands of whole lives of a log. A failure names its seed; `KEELSON_SEEDS` sets the number of
 * seeds.
 */
import { expect, test } from 'vitest'
import { type LifeStory, liveOn } from '../../support/lives/log-life.ts'
import { seedsOf } from '../../support/tier.ts'

/** So many lives contain every kind of event. A single seed that is run again need not. */
const enough = 24

/** Each kind of event happens more often in a life than this, on average. */
const expectMore = (stories: LifeStory[], averages: Partial<LifeStory>): void => {
  if (stories.length < enough) return
  for (const [event, least] of Object.entries(averages) as [keyof LifeStory, number][]) {
    const total = stories.reduce((sum, story) => sum + story[event], 0)
    expect(total / stories.length, event).toBeGreaterThan(least)
  }
}

test('no life loses an acknowledged frame, changes the order, leaves a gap or continues after poison', () => {
  const stories = seedsOf(60, 2_000).map((seed) => liveOn(seed))
  expectMore(stories, {
    ...{ openings: 4, acknowledged: 40, lost: 1, rolls: 2, poisonings: 0.5, tornTails: 0.2 },
    ...{ refusals: 0.1, harms: 0.2, closes: 1, spares: 1, markers: 0.5, checkpoints: 0.5 },
    ...{ names: 0.5, removals: 0.2 },
  })
})

test('with commitments neither, and every chain continues each head that was given out', {
  tags: ['E54'],
}, () => {
  const stories = seedsOf(24, 2_000).map((seed) => liveOn(seed, 60, true))
  expectMore(stories, { openings: 4, tornTails: 0.2, rolls: 2, removals: 0.2 })
})
