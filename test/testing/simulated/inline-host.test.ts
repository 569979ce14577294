import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { inlineBlobHost, simulatedDisk } from '../../../src/testing/index.ts'

test('an ended host without a thread leaves no timer behind, and answers CLOSED', async () => {
  const clock = virtualClock()
  const host = inlineBlobHost({ disk: simulatedDisk(), clock, delayMs: 5 })
  const opened = host.run('open', { dir: '/blobs', segmentBytes: 4096, opening: 1 })
  const survey = host.run('survey', null)
  expect(clock.untilNext()).toBe(5)
  await host.end()
  expect(clock.untilNext()).toBeUndefined()
  for (const work of [opened, survey]) await expect(work).rejects.toMatchObject({ code: 'CLOSED' })
})
