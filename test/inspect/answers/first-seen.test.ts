/** Since when a trouble lasts whose source does not know it: since the looks of this member see it. */
import { expect, test } from 'vitest'
import { type FirstSeen, seenNow } from '../../../src/inspect/answers/first-seen.ts'
import { type TroubleKind, troubleKinds } from '../../../src/inspect/answers/trouble-kinds.ts'
import { troublesOfAll } from '../../../src/inspect/answers/troubles-of-all.ts'
import type { App, Health } from '../../../src/supervisors/index.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { plants } from '../../support/worlds/planted-troubles.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** A time of a look, so many seconds after the instances of this file have started. */
const at = (seconds: number): number => Date.UTC(2030, 0) + seconds * 1_000

/** A member with its looks, one after the other. */
const looks = () => {
  let seen: FirstSeen = new Map()
  return (health: Health, now: number) => {
    seen = seenNow(seen, { health, now })
    return troublesOfAll({ health, now, seen }).map(({ kind, text, since }) => ({
      ...{ kind, text, since },
    }))
  }
}

const sound = async () => (await simulated({ capacityBytes: 2 ** 40 })).app.health()

test.each(Object.keys(troubleKinds) as TroubleKind[])(
  'a trouble of the kind %s says since when, and keeps to it while looks see it',
  async (kind) => {
    const health = await sound()
    const planted = plants[kind](health)
    const look = looks()

    expect(look(health, at(50))).toEqual([])
    const [first, ...others] = look(planted, at(60))
    expect(others).toEqual([])
    expect(first).toMatchObject({ kind, since: expect.any(Number) })
    expect(first?.since).toBeLessThanOrEqual(at(60))
    // A projection that is behind says for how long, and so from when.
    if (kind !== 'projection behind') expect(look(planted, at(70))[0]?.since).toBe(first?.since)
  },
)

test('a trouble that a look has not seen begins again', async () => {
  const health = await sound()
  const look = looks()
  const since = (each: Health, now: number) => look(each, now)[0]?.since

  expect(since(plants['queue full'](health), at(60))).toBe(at(60))
  expect(since(plants['queue full'](health), at(70))).toBe(at(60))
  expect(since(health, at(80))).toBe(undefined)
  expect(since(plants['queue full'](health), at(90))).toBe(at(90))
})

test('two subscriptions of a shard stop each at its own time', async () => {
  const health = await sound()
  const look = looks()
  const stopped = (...names: readonly string[]): Health => ({
    ...health,
    shards: health.shards.map((each) => ({
      ...each,
      journal: {
        ...each.journal,
        subscriptions: names.map((name) => ({ name, failure: `no route to ${name}` }) as never),
      },
    })),
  })

  look(stopped('mails'), at(60))
  expect(look(stopped('mails', 'totals'), at(70))).toMatchObject([
    { text: 'mails: no route to mails', since: at(60) },
    { text: 'totals: no route to totals', since: at(70) },
  ])
})

test('a trouble of another member lasts while that member has no report', async () => {
  const health = await sound()
  const look = looks()
  const withReport = (report?: Health): Health => ({
    ...health,
    members: [
      {
        ...{ member: 'b', linked: true, shards: [], unanswered: undefined, awaySince: undefined },
        report: report && { health: report, since: 0, ageMs: 1 },
      },
    ],
  })
  const full = withReport(plants['queue full'](health))

  expect(look(full, at(60))).toMatchObject([{ kind: 'queue full', since: at(60) }])
  expect(look(withReport(), at(70))).toEqual([])
  expect(look(full, at(80))).toMatchObject([{ since: at(60) }])
  look(withReport(health), at(90))
  expect(look(full, at(95))).toMatchObject([{ since: at(95) }])
})

test('the text of health() says for how long its looks see a queue that is full', async () => {
  const { app, clock } = await simulated({ capacityBytes: 2 ** 40 })
  const full: App = Object.create(app, {
    health: { value: () => plants['queue full'](app.health()) },
  })

  healthText(full)
  await clock.advance(120_000)
  expect(healthText(full)).toContain('critical: queue full, mails, for 2 min: ')
})
