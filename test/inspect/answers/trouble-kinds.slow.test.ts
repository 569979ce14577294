/**
 * A planted trouble of each kind is in `health()`, at the prompt, on the page and in the alerts, with
 * one severity.
 */
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import {
  severities,
  type Trouble,
  type TroubleKind,
} from '../../../src/inspect/answers/troubles.ts'
import { Looks } from '../../../src/inspect/observe/looks.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import { failureWords } from '../../../src/inspect/prompt/failure-words.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { Overview } from '../../../src/observe/index.ts'
import type { App, Health, ShardHealth } from '../../../src/supervisors/index.ts'
import { alertsOn, noPromtool } from '../../support/commands/promtool.ts'
import { lacks } from '../../support/lacks.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { asked, openMetrics } from '../../support/worlds/operations-client.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof simulated>>

/** The health of an instance with one trouble. */
type Plant = (health: Health, world: World) => Health

const inShard =
  (of: (shard: ShardHealth) => Partial<ShardHealth>): Plant =>
  (health) => ({ ...health, shards: health.shards.map((each) => ({ ...each, ...of(each) })) })

const inProjection = (of: Partial<ShardHealth['projection']>): Plant =>
  inShard(({ projection }) => ({ projection: { ...projection, ...of } }))

const inJournal = (of: Partial<ShardHealth['journal']>): Plant =>
  inShard(({ journal }) => ({ journal: { ...journal, ...of } }))

const held = (state: 'high' | 'full'): Plant =>
  inJournal({ held: { state, bytes: 9, maxBytes: 10, by: ['a reader'] } })

const inActors =
  (of: Partial<Health['actors']>): Plant =>
  (health) => ({ ...health, actors: { ...health.actors, ...of } })

const some = <T>(...first: readonly T[]) => ({ count: first.length, first })

const failing = (tries: number): Plant =>
  inActors({
    failing: some({
      ...{ entity: 'order/1', what: 'continue charge', tries, since: 1, retryAt: 2 },
      error: 'Error: the bank is away',
    }),
  })

const inParts =
  (part: string, report: object): Plant =>
  (health) => ({
    ...health,
    parts: { ...health.parts, [part]: { ...(health.parts?.[part] as object), ...report } },
  })

const stopped = some({ run: 'payment/7', reason: 'no paper', since: 1 })

const inQueue = (of: object): Plant =>
  inParts('queue/mails', {
    ...{ ready: 0, delayed: 0, running: 0, dead: 0, unreadable: [], isFull: false, overdue: [] },
    ...of,
  })

const member =
  (phase: 'unsure' | 'ended'): Plant =>
  (health) => ({
    ...health,
    cluster: {
      ...{ name: 'c', member: 'a', engine: 'db', copies: 2, phase, since: 1, epoch: 3 },
      ...{ leaseMs: 5_000, leftMs: 0 },
    },
  })

const projection =
  (state: 'halted' | 'stopped'): Plant =>
  (health) => ({
    ...health,
    projections: [{ name: 'totals', shards: [{ shard: 0, state, error: 'no' } as never] }],
  })

const replica =
  (state: 'waiting' | 'fenced' | 'halted'): Plant =>
  (health) => ({
    ...health,
    replication: [
      {
        ...{ replica: 'backup', required: true, failures: 1, retryInMs: 1 },
        shards: [{ shard: 0, state, reason: 'away', lsn: 1, lag: { records: 1, bytes: 1, ms: 1 } }],
      },
    ],
  })

const recordedPlant: Plant = (health, { system }) => {
  recordsOf(system).add({
    ...{ sort: 'gave_up', at: system.clock.now(), kind: 'supervisor', code: 'error', pid: 9 },
    ...{ subject: 'app', text: 'gave up: mailer ended' },
  })
  return health
}

const plants: Readonly<Record<TroubleKind, Plant>> = {
  'member unsure': member('unsure'),
  'member ended': member('ended'),
  'member away': (health) => ({ ...health, members: [{ member: 'b', linked: false, shards: [] }] }),
  'shard without owner': inShard(() => ({ phase: 'elsewhere', member: undefined })),
  'shard down': inShard(() => ({ phase: 'down', reason: 'EIO' })),
  'shard not open': inShard(() => ({ phase: 'recovering' })),
  'refuses writes': inShard(({ space }) => ({
    space: { ...space, refusing: { since: 1, groups: 1, reason: 'NO_SPACE' } },
  })),
  'disk low': inShard(({ space }) => ({ space: { ...space, freeBytes: 19, neededBytes: 10 } })),
  'not durable': (health) => ({ ...health, durable: false }),
  'no snapshot': inShard(({ snapshot }) => ({ snapshot: { ...snapshot, failure: 'EIO' } })),
  'log held': held('high'),
  'journal full': held('full'),
  'clock set': inShard(() => ({ clockAheadMs: -90_000 })),
  'projection halted': projection('halted'),
  'projection stopped': projection('stopped'),
  'projection degraded': inProjection({ mode: 'degraded', reason: 'EIO' }),
  'projection suspended': inShard(() => ({ suspended: true, suspendedBy: ['the app'] })),
  'projection behind': inProjection({ behindMs: 16_000 }),
  'rows set aside': inShard(({ derived }) => ({
    derived: { ...derived, setAside: [{ producer: 'totals', lsn: 4, reason: 'too large' }] },
  })),
  'rows lost': inShard(({ derived }) => ({ derived: { ...derived, lost: ['totals'] } })),
  'subscription stopped': inJournal({
    subscriptions: [{ name: 'mails', failure: 'no route' } as never],
  }),
  'replica fenced': replica('fenced'),
  'replica halted': replica('halted'),
  'replica waiting': replica('waiting'),
  'gave up': recordedPlant,
  'crash loop': (health) => ({
    ...health,
    crashing: some({
      ...{ child: 'app/mailer', message: undefined, isEntity: false, failures: 3, since: 1, at: 2 },
      reason: 'no route',
    }),
  }),
  blocked: inActors({ blocked: some({ entity: 'order/1', reason: 'no migrate' }) }),
  parked: inActors({
    parked: some({ entity: 'order/1', what: 'alarm pay', tries: 9, at: 1, error: 'no' } as never),
  }),
  'stuck step': failing(3),
  'failing step': failing(2),
  'hanging step': inActors({ hanging: some({ entity: 'order/1', what: 'continue x', since: 1 }) }),
  'waits for space': inActors({ waiting: some({ entity: 'order/1', what: 'cast add', since: 1 }) }),
  overdue: inActors({ overdue: some({ entity: 'order/1', what: 'alarm pay', at: 1 }) }),
  'run blocked': inParts('flow', { blocked: stopped }),
  'run failed': inParts('flow', { failed: stopped }),
  'schedule broken': inParts('flow', {
    schedules: some({ schedule: 'daily', reason: 'the workflow report is not in the tree' }),
  }),
  'dead jobs': inQueue({ dead: 1 }),
  'unreadable jobs': inQueue({ unreadable: ['7'] }),
  'queue full': inQueue({ isFull: true }),
  'overdue jobs': inQueue({ overdue: [{ id: '7' }] }),
}

/** The alerts on a kind of trouble, with their severities. */
const rulesFor = (kind: string): readonly string[] =>
  readFileSync('signals/alerts.yml', 'utf8')
    .split('- alert: ')
    .flatMap((rule) => {
      const pattern = /keelson_troubles\{kind=~?"([^"]+)"\}/.exec(rule)?.[1]
      const isOf = pattern !== undefined && new RegExp(`^(?:${pattern})$`).test(kind)
      return isOf ? (/severity: (\w+)/.exec(rule)?.[1] ?? []) : []
    })

/** What is shown of an instance with these troubles. */
const shown = async (...kinds: readonly TroubleKind[]) => {
  const world = await simulated({ capacityBytes: 2 ** 40 })
  const health = kinds.reduce((each, kind) => plants[kind](each, world), world.app.health())
  const app: App = Object.create(world.app, { health: { value: () => health } })
  const looks = new Looks(app, false)
  onTestFinished(() => looks.end())
  const pick = ({ kind, severity }: Pick<Overview['troubles'][number], 'kind' | 'severity'>) => ({
    ...{ kind, severity },
  })
  const overview = (await world.during(looks.answer('overview', {}))).data as Overview
  const scraped = await world.during(asked(operations(app), '/metrics', { accept: openMetrics }))
  const data = failureWords(app, plainPaint).health().troubles as readonly Trouble[]
  const lines = healthText(app).split('\n\n')[0]?.split('\n') ?? []
  return {
    data: data.map(pick),
    prompt: lines.map((line) => /^(\w+): (.+?), /.exec(line)?.slice(1, 3)),
    page: overview.troubles.map(pick),
    metric: [
      ...(scraped?.body ?? '').matchAll(
        /^keelson_troubles\{kind="([^"]+)",severity="([^"]+)",of="[^"]*"\} 1$/gm,
      ),
    ].map(([, kind, severity]) => ({ kind, severity })),
    scraped: scraped?.body ?? '',
  }
}

test.each(Object.keys(plants) as TroubleKind[])(
  'a trouble of the kind %s is in health(), at the prompt, on the page and in an alert, with one severity',
  async (kind) => {
    const severity = severities[kind]
    const { data, prompt, page, metric } = await shown(kind)

    expect(data).toEqual([{ kind, severity }])
    expect(prompt).toEqual([[severity, kind]])
    expect(page).toEqual([{ kind, severity }])
    expect(metric).toEqual([{ kind, severity }])
    expect(rulesFor(kind)).toEqual([severity])
  },
)

test.skipIf(lacks(noPromtool))('every alert on troubles fires when its kinds last', async () => {
  // A shard that is down, or elsewhere, has no other trouble, and one failing step takes the place of another.
  const { 'shard down': _, 'shard without owner': __, 'failing step': ___, ...others } = plants
  const scrapes = [
    await shown(...(Object.keys(others) as TroubleKind[])),
    await shown('shard down'),
  ]
  const fired = scrapes.flatMap(({ scraped }) => alertsOn(Array(302).fill(scraped)))
  const names = readFileSync('signals/alerts.yml', 'utf8').matchAll(/- alert: (\w+)/g)

  expect([...new Set(fired)].sort()).toEqual(
    [...names].flatMap(([, name = '']) => (name.endsWith('LoopDelayed') ? [] : [name])).sort(),
  )
})
