/** The troubles of an instance: each is named, and of very many of a sort how many there are. */
import { expect, test } from 'vitest'
import { troublesOf } from '../../../src/inspect/observe/troubles.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** Ten failing steps of so many. */
const failing = (count: number) => ({
  count,
  first: Array.from({ length: Math.min(count, 10) }, (_, at) => ({
    ...{ entity: `order/${at}`, what: 'continue charge', tries: 2, retryAt: 0 },
    error: 'Error: the bank is away',
  })),
})

test.each([
  [10, 10, 'order/9'],
  [10_000, 4, 'and 9,997 more'],
])('of %i failing steps %i lines are shown, the last with %s', async (count, lines, last) => {
  const health = (await simulated({})).app.health()
  const actors = { ...health.actors, failing: failing(count) }
  const shown = troublesOf({ ...health, actors }, [], [], 0).filter(
    ({ sort }) => sort === 'failing step',
  )

  expect(shown).toHaveLength(lines)
  expect(shown[0]).toMatchObject({ subject: 'order/0', text: expect.stringContaining('bank') })
  expect(shown.at(-1)).toMatchObject({ subject: last, tone: 'warn', link: expect.anything() })
})
