/** The health of an instance whose shards several members have, from each of them. */
import { beforeEach, describe, expect, test } from 'vitest'
import { factsOf } from '../../../src/inspect/answers/facts.ts'
import { shardsText } from '../../../src/inspect/answers/folded-troubles.ts'
import { troublesOf } from '../../../src/inspect/answers/troubles.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { lacks } from '../../support/lacks.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import { failNextSync } from '../../support/worlds/simulated-instance.ts'

const shards = 12
const indexes = Array.from({ length: shards }, (_, at) => at)
let world: FolderMembers
let [a, b, c]: [App, App, App] = [] as never
const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

beforeEach(async () => {
  world = new FolderMembers(['a', 'b', 'c'])
  const started = await world.start(['a', 'b', 'c'], () => ({ shards, allowDown: true }))
  ;[a, b, c] = started as [App, App, App]
})

const shardsOf = (app: App): number[] =>
  app.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)

const keyOf = (shard: number): string => {
  for (let at = 0; ; at++) if (shardOf(`k${at}`, shards) === shard) return `k${at}`
}

const troublesAt = (app: App) =>
  troublesOf(factsOf(app, app.system))
    .map(({ kind, subject }) => `${kind}: ${subject}`)
    .filter((each) => !each.startsWith('disk low'))

/** A shard of `b` goes down there. */
const takeDown = async (): Promise<number> => {
  const [shard = 0] = shardsOf(b)
  failNextSync(world.machine.disk, shard)
  await during(b.store.put(keyOf(shard), 1).catch(() => undefined))
  return shard
}

describe('the health of a member', () => {
  test('names all members, their shards, and the owner of each shard', () => {
    for (const app of [a, b, c]) {
      const { members, shards: ofShards } = app.health()
      expect(members).toEqual([
        { member: 'a', linked: true, shards: shardsOf(a) },
        { member: 'b', linked: true, shards: shardsOf(b) },
        { member: 'c', linked: true, shards: shardsOf(c) },
      ])
      for (const { shard, member } of ofShards)
        expect(members.find((each) => each.member === member)?.shards).toContain(shard)
      expect(troublesAt(app)).toEqual([])
    }
    expect(healthText(a)).toMatch(/members +a \d shards, b \d shards, c \d shards/)
  })

  test('has as troubles a member that has ended, and the shards that nobody has', async () => {
    const lost = shardsOf(b)
    world.links.part('a', 'b')
    await world.clock.advance(10)

    expect(troublesAt(a)).toEqual([
      `shard without owner: ${shardsText(lost)}`,
      'member away: member b',
    ])
    expect(healthText(a)).toMatch(/b away/)
    world.links.heal()
    await world.clock.advance(2_000)
    expect(troublesAt(a)).toEqual([])

    await world.kill('b')
    await world.clock.advance(2_000)
    expect(troublesAt(a)).toEqual(['member away: member b'])
    expect(a.health().members[1]).toEqual({
      ...{ member: 'b', linked: false, shards: [] },
      awaySince: expect.any(Number),
    })
  })
})

describe('the health of all members', () => {
  test.skipIf(lacks(FolderMembers.noLogs))(
    'has each shard as its owner says, and the whole health of each member',
    async () => {
      await during(Promise.all(indexes.map((shard) => a.store.put(keyOf(shard), shard))))
      const down = await takeDown()
      const { members, shards: ofShards } = await during(c.healthOfAll())

      expect(ofShards.map(({ shard, phase }) => [shard, phase])).toEqual(
        indexes.map((shard) => [shard, shard === down ? 'down' : 'open']),
      )
      expect(ofShards[down]?.reason).toEqual(expect.any(String))
      for (const { shard, appliedLsn } of ofShards)
        if (shard !== down) expect(appliedLsn, `shard ${shard}`).toBeGreaterThan(0)
      expect(members.map(({ member, since, reason }) => [member, typeof since, reason])).toEqual(
        ['a', 'b', 'c'].map((member) => [member, 'number', undefined]),
      )
      expect(members[1]?.health?.shards[down]?.phase).toBe('down')
    },
  )

  test('names the member that does not answer, in time', async () => {
    const ofB = shardsOf(b)
    world.links.pause('b')
    const began = world.clock.monotonic()
    const { members, shards: ofShards } = await during(a.healthOfAll({ timeoutMs: 500 }))

    expect(world.clock.monotonic() - began).toBeLessThan(600)
    expect(members.map(({ reason }) => reason)).toEqual([
      ...[undefined, expect.stringMatching(/^TIMEOUT: .*b/), undefined],
    ])
    const away = ofShards.filter(({ phase }) => phase === 'elsewhere').map(({ shard }) => shard)
    expect(away).toEqual(ofB)
    world.links.resume('b')
  })

  test('costs nothing while nobody asks', async () => {
    await world.clock.advance(5_000)
    const before = world.links.writes
    await world.clock.advance(60_000)
    expect(world.links.writes - before).toBe(0)
  })
})

describe('the signals of a member', () => {
  const scrape = async (app: App): Promise<string> =>
    (await during(asked(operations(app), '/metrics')))?.body ?? ''

  /** The samples of a metric by their labels. */
  const samples = (body: string, name: string): readonly string[] =>
    body.match(new RegExp(`^${name}\\{.*$`, 'gm'))?.map((line) => line.slice(name.length)) ?? []

  test.skipIf(lacks(FolderMembers.noLogs))(
    'are the metrics of all members, each series with its member, from any of them',
    async () => {
      for (const app of [b, c]) operations(app)
      const down = await takeDown()
      const body = await scrape(a)

      expect(samples(body, 'keelson_member_up')).toEqual(
        ['a', 'b', 'c'].map((member) => `{member="${member}"} 1`),
      )
      expect(samples(body, 'keelson_member_shards')).toEqual(
        [a, b, c].map((app, at) => {
          const { length } = app.health().members[at]?.shards ?? []
          return `{member="${'abc'[at]}"} ${length}`
        }),
      )
      const open = samples(body, 'keelson_shard_phase').filter((each) => each.endsWith(' 1'))
      expect(open).toHaveLength(shards)
      expect(open).toContain(`{member="b",shard="${down}",phase="down"} 1`)
      expect(samples(body, 'keelson_troubles')).toContain(
        `{member="b",kind="shard down",severity="critical",of="shard ${down}"} 1`,
      )
    },
  )

  test('say which member has not answered a scrape', async () => {
    for (const app of [b, c]) operations(app)
    await world.kill('c')
    await world.clock.advance(2_000)
    // The tree of `a` has not called `operations` yet.
    expect(samples(await scrape(b), 'keelson_member_up')).toEqual([
      '{member="a"} 0',
      '{member="b"} 1',
      '{member="c"} 0',
    ])
  })

  test('are the readiness of this member, with the shards that nobody has', async () => {
    const ready = async (app: App) => {
      const { status = 0, body = '{}' } = (await during(asked(operations(app), '/ready'))) ?? {}
      return [status, JSON.parse(body)] as const
    }
    expect(await ready(b)).toMatchObject([200, { state: 'ready', member: 'b', ownerless: [] }])
    const lost = shardsOf(c)
    world.links.part('b', 'c')
    await world.clock.advance(10)
    expect(await ready(b)).toMatchObject([200, { state: 'ready', ownerless: lost }])
    world.links.heal()
  })
})
