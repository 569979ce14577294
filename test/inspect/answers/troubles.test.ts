/** The troubles of an instance: each is named, and of very many of a kind how many there are. */
import { expect, test } from 'vitest'
import type { TroubleKind } from '../../../src/inspect/answers/trouble-kinds.ts'
import { type JudgedFacts, troublesOf } from '../../../src/inspect/answers/troubles.ts'
import { troublesOfAll } from '../../../src/inspect/answers/troubles-of-all.ts'
import { fullDiskOf } from '../../../src/supervisors/app/health.ts'
import type { Health } from '../../../src/supervisors/index.ts'
import { fillDisk } from '../../support/harm/full-disk.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { plants } from '../../support/worlds/planted-troubles.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

/** The troubles of a health at a time. */
const judged = (health: Health, now = 60_000) => troublesOf({ health, now })

/** The troubles of all members at the first look. */
const ofAll = (facts: JudgedFacts) => troublesOfAll({ ...facts, seen: new Map() })

type Failing = ReturnType<typeof failing>['first'][number]

/** Ten failing steps of so many. */
const failing = (count: number) => ({
  count,
  first: Array.from({ length: Math.min(count, 10) }, (_, at) => ({
    ...{ entity: `order/${at}`, what: 'continue charge', tries: 2, since: 0, retryAt: 0 },
    error: 'Error: the bank is away',
  })),
})

test('a projection that is held and behind has one line, with its cause and since when', async () => {
  const health = (await simulated({})).app.health()
  const [shard] = health.shards as [(typeof health.shards)[0]]
  const of = (suspended: boolean, behindMs: number) =>
    judged(
      {
        ...health,
        shards: [
          {
            ...shard,
            suspended,
            suspendedBy: suspended ? ['clerk <9>'] : [],
            projection: { ...shard.projection, behindMs },
          },
        ],
      },
      500_000,
    ).filter(({ kind }) => kind.startsWith('projection'))

  expect(of(false, 15_000)).toEqual([])
  expect(of(false, 240_000)).toMatchObject([{ kind: 'projection behind', since: 260_000 }])
  expect(of(true, 0)).toMatchObject([
    { kind: 'projection suspended', text: 'clerk <9> holds it until control.resume' },
  ])
  expect(of(true, 240_000)).toMatchObject([
    { kind: 'projection suspended', text: expect.stringContaining('4 min'), since: 260_000 },
  ])
})

test('overdue work of a blocked actor is no trouble beside that actor', async () => {
  const health = (await simulated({})).app.health()
  const overdue = ['order/1', 'order/2'].map((entity) => ({ entity, what: 'a step', at: 0 }))
  const blocked = { count: 1, first: [{ entity: 'order/1', reason: 'cannot migrate' }] }
  const actors = { ...health.actors, blocked, overdue: { count: 2, first: overdue } }

  expect(judged({ ...health, actors }).filter(({ link }) => link?.view === 'entity')).toMatchObject(
    [
      { kind: 'blocked', subject: 'order/1' },
      { kind: 'overdue', subject: 'order/2' },
    ],
  )
})

const failingSteps = async (failing: {
  readonly count: number
  readonly first: readonly Failing[]
}) => {
  const health = (await simulated({})).app.health()
  return judged({ ...health, actors: { ...health.actors, failing } }).filter(
    ({ kind }) => kind === 'failing step',
  )
}

test('a first failure is no trouble for its first 5 s, and one of work that fails again is', async () => {
  const [turn] = failing(1).first as [Failing]
  const shownAfter = async (ms: number, tries = 1) =>
    (await failingSteps({ count: 1, first: [{ ...turn, tries, since: 60_000 - ms }] })).length
  expect([await shownAfter(4_999), await shownAfter(5_000)]).toEqual([0, 1])
  expect(await shownAfter(0, 2)).toBe(1)
})

test('of 10,000 failing steps three are named, and how many more there are', async () => {
  const shown = await failingSteps(failing(10_000))

  expect(shown).toMatchObject([
    { subject: 'order/0', count: 3, text: 'step charge: Error: the bank is away' },
    {
      ...{ subject: 'and 9,997 more', severity: 'warning', since: 0, count: 9_997 },
      text: 'step charge: Error: the bank is away',
      link: { view: 'kind', parts: ['order'], query: { only: 'failing' } },
      look: "entities('order', { only: 'failing' })",
    },
  ])
})

test('troubles with one cause are one line, and those with another cause another line', async () => {
  const { first, count } = failing(10)
  const [declined, ...others] = first as [Failing, ...Failing[]]
  const shown = await failingSteps({
    count,
    first: [
      { ...declined, error: 'Error: card declined' },
      ...others.map((each, at) => ({ ...each, tries: at % 3 })),
    ],
  })

  expect(shown).toHaveLength(2)
  expect(shown[0]).toMatchObject({ subject: 'order/0', text: expect.stringContaining('2 times') })
  expect(shown[0]).not.toHaveProperty('count')
  expect(shown[1]).toMatchObject({
    ...{ subject: 'order/1', count: 9, link: { view: 'entity', parts: ['order', '1'] } },
    others: [
      { subject: 'order/2', link: { view: 'entity', parts: ['order', '2'] } },
      { subject: 'order/3', link: { view: 'entity', parts: ['order', '3'] } },
    ],
  })
})

test('causes are the same if they differ in the id of their subject, in a key or in an amount', async () => {
  const { first, count } = failing(8)
  const errors = [
    '503 for 0/4e29b3cbb0d3ef26',
    '503 for 1/d998ad33d9af8b4a',
    '404 for 2',
    '503 for 2',
    'no label for 10510 g within 4999.95 ms',
    'no label for 9001 g within 5000 ms',
    'ECONNREFUSED 127.0.0.1:18072',
    'ECONNREFUSED 127.0.0.1:18073',
  ]
  const shown = await failingSteps({
    count,
    first: first.map((each, at) => ({ ...each, error: errors[at] ?? '' })),
  })

  expect(shown.map(({ subject, text }) => [subject, text])).toEqual([
    ['order/0', 'step charge: 503 for 0/4e29b3cbb0d3ef26'],
    ['order/2', 'step charge failed 2 times: 404 for 2'],
    ['order/3', 'step charge failed 2 times: 503 for 2'],
    ['order/4', 'step charge: no label for 10510 g within 4999.95 ms'],
    ['order/6', 'step charge failed 2 times: ECONNREFUSED 127.0.0.1:18072'],
    ['order/7', 'step charge failed 2 times: ECONNREFUSED 127.0.0.1:18073'],
  ])
})

test('broken schedules are named by their reason, with the first time that started nothing', async () => {
  const health = (await simulated({})).app.health()
  const broken = (count: number) => {
    const first = Array.from({ length: Math.min(count, 10) }, (_, at) => ({
      ...{ schedule: `s${at}`, reason: 'the workflow mail is not in the tree' },
      since: at === 0 ? undefined : 100 - at,
    }))
    return judged({ ...health, parts: { flow: { schedules: { count, first } } } }).filter(
      ({ kind }) => kind === 'schedule broken',
    )
  }

  const link = { view: 'flows', parts: [] }
  const text = expect.stringContaining('the workflow mail is not in the tree')
  expect(broken(1)).toEqual([
    {
      ...{ kind: 'schedule broken', severity: 'critical', alert: 'KeelsonScheduleBroken' },
      ...{ subject: 's0', text, link, look: 'flow.schedules()' },
    },
  ])
  expect(broken(3)).toMatchObject([{ subject: 's0', text, count: 3, since: 98, link }])
  expect(broken(500)).toMatchObject([
    { subject: 's0', count: 3 },
    { subject: 'and 497 more', link },
  ])
})

test('a folded trouble begins with the first of them', async () => {
  const health = (await simulated({})).app.health()
  const overdue = [30, 10, 20].map((at) => ({ entity: `order/${at}`, what: 'alarm pay', at }))
  const actors = { ...health.actors, overdue: { count: 3, first: overdue } }

  expect(judged({ ...health, actors }).filter(({ kind }) => kind === 'overdue')).toMatchObject([
    { subject: 'order/30', count: 3, since: 10 },
  ])
})

/** So many shards alike. */
const ofShards = (health: Health, count: number): Health => ({
  ...health,
  shards: Array.from({ length: count }, (_, shard) =>
    Object.assign({}, health.shards[0] as Health['shards'][number], { shard }),
  ),
})

test('a full disk is one trouble of all shards that it stops, with its one cause', async () => {
  const { shards, ...health } = ofShards((await simulated({})).app.health(), 64)
  const full = shards.map((each) => {
    const reason = `NO_SPACE: no space left: write /data/shard-${each.shard}/wal/1`
    return {
      ...each,
      space: {
        ...{ freeBytes: 9_000, neededBytes: 1_000_000 },
        refusing: { since: 100 + each.shard, groups: 3, reason },
      },
      snapshot: { ...each.snapshot, failure: reason },
      projection: { ...each.projection, mode: 'degraded', reason },
    } as const
  })
  const found = judged({ ...health, shards: full, fullDisk: fullDiskOf(full) })

  expect(found).toMatchObject([
    {
      ...{ severity: 'critical', kind: 'refuses writes', subject: 'shards 0 to 63', since: 100 },
      ...{ count: 64, look: 'wal()' },
    },
  ])
  expect(found[0]?.text).toBe(
    'NO_SPACE: no space left: write /data/shard-0/wal/1; no snapshot of shards 0 to 63 has space; the projection of shards 0 to 63 waits for it; 9.00 kB free, 64.0 MB needed until the next snapshots',
  )
  const some = full.filter(({ shard }) => ![3, 9].includes(shard))
  expect(judged({ ...health, shards: some, fullDisk: fullDiskOf(some) })).toMatchObject([
    { subject: 'shards 0 to 2, 4 to 8, 10 to 63', count: 62 },
  ])
})

test('a full disk of an instance that runs stands once in health, troubles and text, until it has space', async () => {
  const s = await simulated({ shards: 2, wal: { maxFileSize: 256 * 1024 } })
  expect(s.app.health().fullDisk).toBe(undefined)
  await fillDisk(s)
  for (let at = 0; at < 40; at++)
    await s.during(s.app.store.put(`k${at}`, 'x'.repeat(30_000)).catch(() => undefined))
  await Promise.all(
    [0, 1].map((shard) => s.during(s.app.control.snapshot(shard).catch(() => undefined))),
  )

  const { fullDisk } = s.app.health()
  expect(fullDisk).toMatchObject({
    ...{ writes: [0, 1], reason: expect.stringContaining('NO_SPACE') },
    since: expect.any(Number),
  })
  expect(judged(s.app.health()).map(({ kind, subject }) => [kind, subject])).toEqual([
    ['refuses writes', 'shards 0, 1'],
  ])
  expect(healthText(s.app).match(/NO_SPACE/g)).toHaveLength(1)
  s.disk.capacityBytes = 2 ** 40
  expect(s.app.health().fullDisk).toBe(undefined)
})

test('a full disk that members share is one trouble, with the shards of all of them', async () => {
  const health = (await simulated({})).app.health()
  const disk = (since: number, ...writes: number[]) => ({
    ...{ since, writes, reason: 'NO_SPACE: no space left' },
    ...{ snapshots: writes, projections: [] },
  })
  const reported = { ...health, fullDisk: disk(100, 1, 3) }
  const members = ['a', 'b'].map((member) => ({
    ...{ member, linked: true, shards: [], unanswered: undefined, awaySince: undefined },
    report: member === 'b' ? { health: reported, since: 0, ageMs: 1 } : undefined,
  }))
  const of = (own: Health) => ofAll({ health: { ...own, members }, now: 60_000 })

  expect(of({ ...health, fullDisk: disk(200, 0, 2) })).toMatchObject([
    { kind: 'refuses writes', subject: 'shards 0 to 3', count: 4, since: 100 },
  ])
  expect(of(health)).toMatchObject([{ subject: 'shards 1, 3', count: 2 }])
})

test('a shard that nobody had when another member reported is a trouble if nobody has it now', async () => {
  const health = ofShards((await simulated({})).app.health(), 3)
  const lost = { phase: 'elsewhere', member: undefined } as const
  const asOf = (...unowned: readonly number[]): Health => ({
    ...health,
    shards: health.shards.map((each, at) => (unowned.includes(at) ? { ...each, ...lost } : each)),
  })
  const members = [
    {
      ...{ member: 'b', linked: true, shards: [], unanswered: undefined, awaySince: undefined },
      report: { health: asOf(1, 2), since: 0, ageMs: 20_000 },
    },
  ]
  const of = (own: Health) => ofAll({ health: { ...own, members }, now: 60_000 })

  expect(of(asOf())).toEqual([])
  expect(of(asOf(0, 2)).map(({ kind, subject }) => ({ kind, subject }))).toEqual([
    { kind: 'shard without owner', subject: 'shards 0, 2' },
  ])
})

/** A report of another member, as it was so many ms ago. */
const reportOf = (member: string, health: Health, ageMs = 1): Health['members'][number] => ({
  ...{ member, linked: true, shards: [], unanswered: undefined, awaySince: undefined },
  report: { health, since: 0, ageMs },
})

const blockedRuns = (health: Health, count: number, since: number): Health => {
  const first = Array.from({ length: Math.min(count, 10) }, (_, at) => ({
    ...{ run: `order/${since + at}`, since: since + at },
    reason: `DIVERGED: no patch at reserve/${since + at}`.replace(/[0-9]+$/, 'ink'),
  }))
  return { ...health, parts: { flow: { blocked: { count, first } } } }
}

test('a trouble that several members have for one reason is one, with their names and the sum', async () => {
  const health = (await simulated({})).app.health()
  const shards = health.shards.map((each) => ({ ...each, member: 'a' }))
  const members = [reportOf('b', blockedRuns(health, 2, 100))]
  const found = ofAll({
    health: { ...blockedRuns(health, 3, 200), shards, members },
    now: 60_000,
  })
  expect(found).toMatchObject([
    { kind: 'run blocked', subject: 'order/200', count: 5, since: 100, members: ['a', 'b'] },
  ])
  expect(found[0]?.member).toBe(undefined)

  const many = ofAll({
    health: {
      ...blockedRuns(health, 40, 200),
      ...{ shards, members: [reportOf('b', blockedRuns(health, 30, 100))] },
    },
    now: 60_000,
  })
  expect(many).toMatchObject([
    { subject: 'order/200', count: 6, since: 100 },
    {
      ...{ subject: 'and 64 more', count: 64, since: 103, members: ['a', 'b'] },
      text: 'DIVERGED: no patch at reserve/ink',
      look: "flow.list('order', { status: 'blocked', order: 'oldest' })",
    },
  ])
})

test('a trouble of an older report says as of when, and one of a report of now does not', async () => {
  const health = (await simulated({})).app.health()
  const of = (ageMs: number) => {
    const members = [reportOf('b', blockedRuns(health, 1, 100), ageMs)]
    return ofAll({ health: { ...health, members }, now: 60_000 })[0]
  }
  expect(of(20_000)).toMatchObject({ member: 'b', asOf: 40_000 })
  expect(of(500)).not.toHaveProperty('asOf')
})

test('a member that has not answered once is silent, and away is one without a link', async () => {
  const health = (await simulated({})).app.health()
  const silent = { ...reportOf('b', health), unanswered: 'TIMEOUT: health', awaySince: 59_000 }
  const away = { ...reportOf('c', health), linked: false, report: undefined, awaySince: 50_000 }
  const found = judged({ ...health, members: [silent, away] })
  expect(found.map(({ kind, subject, since }) => [kind, subject, since])).toEqual([
    ['member silent', 'member b', 59_000],
    ['member away', 'member c', 50_000],
  ])
})

test('no kind of trouble is told for each shard that has it for one reason', async () => {
  const health = ofShards((await simulated({})).app.health(), 64)
  const kinds = Object.keys(plants) as TroubleKind[]
  const often = kinds.filter((kind) => {
    const found = judged(plants[kind](health))
    expect(found.map((each) => each.kind)).toContain(kind)
    return found.length > 3
  })
  expect(often).toEqual([])
})

test('shards that are down for one reason are one line, and each other reason is another one', async () => {
  const { shards, ...health } = ofShards((await simulated({})).app.health(), 5)
  const down = shards.map((each, at) => ({
    ...each,
    ...({ phase: 'down', notOpenSince: 50 - at } as const),
    reason: at === 2 ? 'CORRUPT: a frame' : `EIO: read /data/shard-${at}/wal`,
  }))
  expect(judged({ ...health, shards: down })).toMatchObject([
    {
      ...{ subject: 'shards 0, 1, 3, 4', count: 4, since: 46 },
      text: 'EIO: read /data/shard-0/wal; control.reopen(shard) of each',
    },
    { subject: 'shard 2', text: expect.stringContaining('keelson doctor') },
  ])
})

test('each trouble that lasts says since when', async () => {
  const health = (await simulated({})).app.health()
  const [shard] = health.shards as [(typeof health.shards)[0]]
  const refusing = { since: 100, groups: 1, reason: 'NO_SPACE: no space left' }
  const loop = {
    ...{ child: 'app/mailer', message: undefined, isEntity: false, failures: 100 },
    ...{ since: 200, at: 900, reason: 'no route' },
  }
  const blocked = {
    count: 1,
    first: [{ entity: 'order/99', reason: 'cannot migrate', since: 300 }],
  }
  const { first } = failing(1)

  expect(
    judged(
      {
        ...health,
        shards: [{ ...shard, space: { ...shard.space, refusing } }],
        crashing: { count: 1, first: [loop] },
        actors: {
          ...{ ...health.actors, blocked },
          failing: { count: 1, first: first.map((each) => ({ ...each, since: 400 })) },
        },
        parts: {
          flow: { blocked: { count: 1, first: [{ run: 'pay/3', reason: 'no code', since: 500 }] } },
        },
      },
      1_000,
    ).map(({ kind, since }) => [kind, since]),
  ).toEqual([
    ...[
      ['refuses writes', 100],
      ['crash loop', 200],
      ['blocked', 300],
      ['run blocked', 500],
    ],
    ['failing step', 400],
  ])
})

test('few kinds of trouble say nothing of since when: a list that only becomes shorter', async () => {
  const health = (await simulated({})).app.health()
  const without = (Object.keys(plants) as TroubleKind[]).filter((kind) =>
    judged(plants[kind](health)).some((each) => each.kind === kind && each.since === undefined),
  )
  // These are states that health has no begin of.
  expect(without).toEqual([
    ...['disk low', 'not durable', 'no snapshot', 'log held'],
    ...['journal full', 'clock set', 'projection halted', 'projection stopped', 'rows set aside'],
    ...['rows lost', 'subscription stopped'],
    ...['unreadable jobs', 'queue full'],
  ])
})
