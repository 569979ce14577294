/** A planted trouble of each kind, as the health of an instance has it. */
import type { TroubleKind } from '../../../src/inspect/answers/trouble-kinds.ts'
import type { Health, ShardHealth } from '../../../src/supervisors/index.ts'

/** The health of an instance with one trouble. */
export type Plant = (health: Health) => Health

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
    projections: [
      {
        name: 'totals',
        shards: health.shards.map(({ shard }) => ({ shard, state, error: 'no' }) as never),
      },
    ],
  })

const replica =
  (state: 'waiting' | 'fenced' | 'halted'): Plant =>
  (health) => ({
    ...health,
    replication: [
      {
        ...{ replica: 'backup', required: true, failures: 1, retryInMs: 1 },
        shards: health.shards.map(({ shard }) => ({
          ...{ shard, state, reason: 'away', since: 1, lsn: 1 },
          lag: { records: 1, bytes: 1, ms: 1 },
        })),
      },
    ],
  })

/** A plant for each kind of trouble. */
export const plants: Readonly<Record<TroubleKind, Plant>> = {
  'member unsure': member('unsure'),
  'member ended': member('ended'),
  'member away': (health) => ({
    ...health,
    members: [
      {
        ...{ member: 'z', linked: false, shards: [], awaySince: 1 },
        ...{ report: undefined, unanswered: undefined },
      },
    ],
  }),
  'member silent': (health) => ({
    ...health,
    members: [
      {
        ...{ member: 'z', linked: true, shards: [], awaySince: 1 },
        ...{ report: undefined, unanswered: 'TIMEOUT: health' },
      },
    ],
  }),
  'shard without owner': inShard(() => ({
    phase: 'elsewhere',
    member: undefined,
    notOpenSince: 1,
  })),
  'shard down': inShard(() => ({ phase: 'down', reason: 'EIO', notOpenSince: 1 })),
  'shard not open': inShard(() => ({ phase: 'recovering', notOpenSince: 1 })),
  'refuses writes': inShard(({ space }) => ({
    space: { ...space, refusing: { since: 1, groups: 1, reason: 'NO_SPACE' } },
  })),
  'disk low': inShard(({ space }) => ({ space: { ...space, freeBytes: 19, neededBytes: 10 } })),
  'not durable': (health) => ({ ...health, durable: false }),
  'no snapshot': inShard(({ snapshot }) => ({ snapshot: { ...snapshot, failure: 'EIO' } })),
  'log held': held('high'),
  'journal full': held('full'),
  'stream full': inShard(() => ({
    fullStreams: [
      { entity: 'chat/lobby', stream: 'events', bytes: 2 ** 30, producers: 3, since: 1, last: 2 },
    ],
  })),
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
  'gave up': (health) => ({
    ...health,
    gaveUp: [{ supervisor: 'app', child: 'mailer', reason: 'no route', at: 1, times: 1 }],
  }),
  'crash loop': (health) => ({
    ...health,
    crashing: some({
      ...{ child: 'app/mailer', message: undefined, isEntity: false, failures: 3, since: 1, at: 2 },
      reason: 'no route',
    }),
  }),
  blocked: inActors({ blocked: some({ entity: 'order/1', reason: 'no migrate', since: 500 }) }),
  'would block': inActors({
    wouldBlock: {
      ...some({ entity: 'order/1', reason: 'BLOCKED: no migrate', since: 1 }),
      judged: 1,
      left: 0,
    },
  }),
  parked: inActors({
    parked: some({ entity: 'order/1', what: 'alarm pay', tries: 9, at: 1, error: 'no' } as never),
  }),
  'stuck step': failing(3),
  'failing step': failing(2),
  'hanging step': inActors({
    hanging: some({ entity: 'order/1', what: 'continue x', since: 1, isRecorded: true }),
  }),
  'hanging handler': inActors({
    hanging: some({ entity: 'order/1', what: 'call x', since: 1, isRecorded: false }),
  }),
  'waits for space': inActors({ waiting: some({ entity: 'order/1', what: 'cast add', since: 1 }) }),
  overdue: inActors({ overdue: some({ entity: 'order/1', what: 'alarm pay', at: 1 }) }),
  'run blocked': inParts('flow', { blocked: stopped }),
  'run failed': inParts('flow', { failed: stopped }),
  'unread signals': inParts('flow', {
    unread: some({
      ...{ run: 'payment/7', waitsFor: { kind: 'signal', name: 'collected' }, since: 1 },
      unread: [{ kind: 'signal', name: 'fetched', count: 1 }],
    }),
  }),
  'schedule broken': inParts('flow', {
    schedules: some({
      ...{ schedule: 'daily', since: 1, reason: 'the workflow report is not in the tree' },
    }),
  }),
  'dead jobs': inQueue({ dead: 1, deadSince: 1 }),
  'unreadable jobs': inQueue({ unreadable: ['7'] }),
  'queue full': inQueue({ isFull: true }),
  'overdue jobs': inQueue({ overdue: [{ id: '7', attempt: 1, since: 1 }] }),
}
