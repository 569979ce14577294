/** The figures of `health()`: which process started when, so that a deployment is seen. */
import { expect, test } from 'vitest'
import { factsOf } from '../../../src/inspect/answers/facts.ts'
import { healthAnswer, healthView } from '../../../src/inspect/views/health-view.ts'
import { innerParts } from '../../../src/supervisors/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

test('health says when its process started, and when each other member with a report did', async () => {
  const { app, clock } = await simulated({})
  await clock.advance(7_200_000)
  const facts = factsOf(app, app.system)
  const answer = healthAnswer(facts)
  const reportOf = (member: string) => ({
    ...{ member, linked: true, shards: [1], unanswered: undefined, awaySince: undefined },
    report:
      member === 'b'
        ? { ...{ version: '0.2.0', build: 'b2' }, health: facts.health, ...startedOf(facts) }
        : undefined,
  })
  const ofTwo = { ...answer.health, members: ['a', 'b'].map(reportOf) }

  expect(answer.since).toBe(app[innerParts].since)
  expect(healthView(answer)).toMatch(/^started +2 h ago$/m)
  expect(healthView({ ...answer, health: ofTwo })).toMatch(/^started here +2 h ago$/m)
  // A deployment that is half done.
  const text = healthView({ ...answer, version: '0.1.0', build: 'b1', health: ofTwo })
  expect(text).toMatch(/^build here +Keelson 0\.1\.0, build b1$/m)
  expect(text).toMatch(
    /^members +a 1 shard, b 1 shard, Keelson 0\.2\.0, build b2, started 3 min ago$/m,
  )
})

const startedOf = ({ now }: { readonly now: number }) => ({ since: now - 180_000, ageMs: 1 })
