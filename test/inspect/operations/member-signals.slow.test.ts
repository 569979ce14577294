/** What operators see of a member of a cluster: at the prompt, on the page, and in the metrics. */
import { expect, onTestFinished, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { factsOf } from '../../../src/inspect/answers/facts.ts'
import { troublesOf } from '../../../src/inspect/answers/troubles.ts'
import { Looks } from '../../../src/inspect/observe/looks.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import { clusterView } from '../../../src/inspect/views/cluster-view.ts'
import type { Overview } from '../../../src/observe/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import type { SimulatedSession } from '../../support/worlds/simulated-engine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const shown = async () => {
  const members = new Members()
  const app = await members.start('a')
  const handler = operations(app)
  const metrics = async (): Promise<readonly string[]> => {
    const answer = await members.during(asked(handler, '/metrics'))
    return answer?.body?.match(/^keelson_member_.*$/gm) ?? []
  }
  const troubles = () =>
    troublesOf(factsOf(app, app.system)).filter(({ kind }) => kind.startsWith('member'))
  const health = () => healthText(app)
  return { members, app, metrics, troubles, health }
}

/** The overview of the page. */
const overview = async (app: App): Promise<Overview> => {
  const looks = new Looks(app, false)
  onTestFinished(() => looks.end())
  return (await looks.answer('overview', {})).data as Overview
}

test('an owner is in no trouble, and its epoch and its lease are shown', async () => {
  const { members, app, metrics, troubles, health } = await shown()

  expect(await metrics()).toEqual([
    'keelson_member_owner 1',
    expect.stringMatching(/^keelson_member_lease_left_seconds 0\.[0-9]+$/),
    'keelson_member_epoch 1',
  ])
  expect(troubles()).toEqual([])
  expect(health()).toMatch(/^nothing is in trouble[\s\S]*member +a of c: owner, epoch 1, \d+ ms of/)
  expect(clusterView(app.health().cluster)).toMatch(
    /^cluster +c\nmember +a\nphase +owner\nepoch +1\nlease +.* left of .*\nengine +simulated\ncopies +1$/,
  )
  expect((await members.during(overview(app))).member).toMatchObject({
    ...{ name: 'a', cluster: 'c', phase: 'owner', epoch: 1, leaseMs },
    leftMs: expect.toSatisfy((ms) => ms > 0),
  })
})

test('a member that is unsure is a trouble since its lease has lapsed, with a link', async () => {
  const { members, app, metrics, troubles, health } = await shown()
  const began = members.clock.now()
  members.sessions.get('a')?.pause(10 * leaseMs)
  await members.clock.advance(5 * leaseMs)

  const [trouble, ...more] = troubles()
  expect([trouble, more]).toMatchObject([
    { severity: 'critical', kind: 'member unsure', subject: 'member a', link: { view: 'storage' } },
    [],
  ])
  const lapsed = (trouble?.since ?? 0) - began
  expect(lapsed).toBeGreaterThan(0)
  expect(lapsed).toBeLessThanOrEqual(leaseMs)
  expect(health()).toMatch(
    /^critical: member unsure, member a, for \d+ s: the lease is not renewed/,
  )
  expect(await metrics()).toEqual([
    'keelson_member_owner 0',
    'keelson_member_lease_left_seconds 0',
    'keelson_member_epoch 1',
  ])
  expect(clusterView(app.health().cluster)).toMatch(/phase +unsure/)
  expect((await members.during(overview(app))).member).toMatchObject({
    ...{ phase: 'unsure', since: trouble?.since, leftMs: 0 },
  })
})

test('a setting that the engine lacks is named in the health, at the prompt, on the page, and in the log each minute', async () => {
  const members = new Members()
  const warned: string[] = []
  const logger = { ...silentLogger, warn: (text: string) => void warned.push(text) }
  const app = await members.start('a', { logger })
  const session = members.sessions.get('a') as SimulatedSession
  session.refusal = new KeelsonError('CONFIG', 'fsync is off')
  await members.clock.advance(0.5 * leaseMs)
  expect(app.health().cluster).toMatchObject({ phase: 'owner', reason: 'CONFIG: fsync is off' })
  await members.clock.advance(125_000)

  expect(app.health().cluster).toMatchObject({ phase: 'unsure', reason: 'CONFIG: fsync is off' })
  expect(clusterView(app.health().cluster)).toMatch(/\nwaits for +CONFIG: fsync is off$/)
  expect(healthText(app)).toMatch(
    /^critical: member unsure, member a, .*: the lease is not renewed, so reads are refused: CONFIG: fsync is off/,
  )
  expect(troublesOf(factsOf(app, app.system))).toContainEqual(
    expect.objectContaining({
      kind: 'member unsure',
      text: expect.stringContaining('fsync is off'),
    }),
  )
  expect((await members.during(overview(app))).member).toMatchObject({
    reason: 'CONFIG: fsync is off',
  })
  const waits = 'the member a cannot renew its lease of c, and refuses reads: CONFIG: fsync is off'
  expect(warned.filter((text) => text === waits)).toHaveLength(3)

  session.refusal = undefined
  await members.clock.advance(120_000)
  expect(app.health().cluster).toMatchObject({ phase: 'owner' })
  expect(app.health().cluster).not.toHaveProperty('reason')
  expect(warned.filter((text) => text === waits)).toHaveLength(3)
})

test('an instance of one machine has no metrics of a member, and cluster() says so', async () => {
  const s = await simulated({})

  const answer = await s.during(asked(operations(s.app), '/metrics'))

  expect(answer?.body).toContain('keelson_durable 1')
  expect(answer?.body).not.toContain('keelson_member')
  expect(clusterView(s.app.health().cluster)).toBe('no cluster: see the option cluster of start')
  expect(await s.during(overview(s.app))).not.toHaveProperty('member')
})
