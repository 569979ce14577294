/** The troubles of an instance: each is named, and of very many of a sort how many there are. */
import { expect, test } from 'vitest'
import { troublesOf } from '../../../src/inspect/observe/troubles.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const none = { gaveUp: [], runs: [], steps: [] }

/** Ten failing steps of so many. */
const failing = (count: number) => ({
  count,
  first: Array.from({ length: Math.min(count, 10) }, (_, at) => ({
    ...{ entity: `order/${at}`, what: 'continue charge', tries: 2, retryAt: 0 },
    error: 'Error: the bank is away',
  })),
})

test('a projection that is held and behind has one line, with its cause and since when', async () => {
  const health = (await simulated({})).app.health()
  const [shard] = health.shards as [(typeof health.shards)[0]]
  const of = (suspended: boolean, behindMs: number) =>
    troublesOf(
      {
        ...health,
        shards: [{ ...shard, suspended, projection: { ...shard.projection, behindMs } }],
      },
      none,
      500_000,
    ).filter(({ sort }) => sort.startsWith('projection'))

  expect(of(false, 15_000)).toEqual([])
  expect(of(false, 240_000)).toMatchObject([{ sort: 'projection behind', at: 260_000 }])
  expect(of(true, 0)).toMatchObject([{ sort: 'projection suspended' }])
  expect(of(true, 240_000)).toMatchObject([
    { sort: 'projection suspended', text: expect.stringContaining('4 min'), at: 260_000 },
  ])
})

test('overdue work of a blocked actor is no trouble beside that actor', async () => {
  const health = (await simulated({})).app.health()
  const overdue = ['order/1', 'order/2'].map((entity) => ({ entity, what: 'a step', at: 0 }))
  const blocked = { count: 1, first: [{ entity: 'order/1', reason: 'cannot migrate' }] }
  const actors = { ...health.actors, blocked, overdue: { count: 2, first: overdue } }

  expect(
    troublesOf({ ...health, actors }, none, 0).filter(({ link }) => link?.view === 'entity'),
  ).toMatchObject([
    { sort: 'blocked', subject: 'order/1' },
    { sort: 'overdue', subject: 'order/2' },
  ])
})

test.each([
  [10, 10, 'order/9'],
  [10_000, 4, 'and 9,997 more'],
])('of %i failing steps %i lines are shown, the last with %s', async (count, lines, last) => {
  const health = (await simulated({})).app.health()
  const actors = { ...health.actors, failing: failing(count) }
  const shown = troublesOf({ ...health, actors }, none, 0).filter(
    ({ sort }) => sort === 'failing step',
  )

  expect(shown).toHaveLength(lines)
  expect(shown[0]).toMatchObject({ subject: 'order/0', text: expect.stringContaining('bank') })
  expect(shown.at(-1)).toMatchObject({ subject: last, tone: 'warn', link: expect.anything() })
})
