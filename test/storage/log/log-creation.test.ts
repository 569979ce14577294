/** A log is made whatever an earlier try has left. */
import { expect, test } from 'vitest'
import { liveCreation } from '../../support/lives/creation-life.ts'
import { liveSeeds, sumOf } from '../../support/lives/seed-lives.ts'

test('what is left of a making that failed, and could not be removed, is in the way of no other one', async () => {
  const seeds = Array.from({ length: 25 }, (_, at) => at + 1)
  const { failed, cut } = sumOf(await liveSeeds(seeds, (seed) => liveCreation(seed)))
  expect(failed).toBeGreaterThan(500)
  expect(cut).toBeGreaterThan(100)
})
