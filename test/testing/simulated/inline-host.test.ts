import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { inlineBlobHost, simulatedDisk } from '../../../src/testing/index.ts'

test('an ended host without a thread leaves no timer behind, and answers CLOSED', async () => {
  const clock = virtualClock()
  const host = inlineBlobHost({ disk: simulatedDisk(), clock, delayMs: 5 })
  const opened = host.run('open', { dir: '/blobs', segmentBytes: 4096, opening: 1 })
  const survey = host.run('survey', null)
  const settled = Promise.allSettled([opened, survey])
  expect(clock.untilNext()).toBe(5)
  await host.end()
  expect(clock.untilNext()).toBeUndefined()
  const closed = { status: 'rejected', reason: { code: 'CLOSED' } }
  expect(await settled).toMatchObject([closed, closed])
})
