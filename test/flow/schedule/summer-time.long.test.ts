/** The times of cron patterns at each change of each zone from 2020 to 2030. */
import { expect, test } from 'vitest'
import {
  type Compared,
  changesOf,
  compareTimes,
  cronPatterns,
} from '../../support/models/cron-days.ts'
import { sampled } from '../../support/tier.ts'

const zones = Intl.supportedValuesOf('timeZone')

/** A day without a change, for a zone that has none. */
const ordinary = Date.parse('2026-03-29T01:00Z')

test.each(sampled(zones, 7))('%s has the times of a daemon that wakes each minute', (zone) => {
  const compared: Compared = { count: 0, differences: [] }
  const changes = changesOf(zone, '2020-01-01', '2031-01-01')
  for (const at of changes.length > 0 ? changes : [ordinary])
    compareTimes(zone, at, cronPatterns, compared)
  expect(compared.differences).toEqual([])
  expect(compared.count).toBeGreaterThan(1_000)
})
