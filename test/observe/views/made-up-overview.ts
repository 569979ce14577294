/** The head and the overview of a made-up instance, and what has happened in it: what is empty, busy and broken. */
import type { Header, Recorded, Views } from '../../../src/observe/index.ts'

/** The instances that are made up. */
export const scenarios = ['empty', 'busy', 'broken'] as const

/** How an instance is. */
export type Scenario = (typeof scenarios)[number]

/** The time that their answers begin at. */
export const startAt = Date.UTC(2026, 10, 23, 3, 12, 44)

/** The head of the frames of an instance, at a time. */
export const headerOf = (scenario: Scenario, at: number, isWriting: boolean): Header => ({
  instance: 'orders',
  at,
  phase: scenario === 'broken' ? 'down' : 'open',
  isDurable: true,
  loopDelayMs: { empty: 0.4, busy: 3.2, broken: 148 }[scenario],
  lagMs: { empty: 0, busy: 240, broken: 31_000 }[scenario],
  crashes: scenario === 'broken' ? 37 : 0,
  areCrashesMore: false,
  isWriting,
  ...(scenario !== 'empty' && {
    member: 'orders-1',
    members: ['orders-1', 'orders-2', 'orders-3'],
  }),
})

const stack = `TypeError: Cannot read properties of undefined (reading 'address')
    at render (file:///srv/orders/mailer.ts:41:23)
    at Object.receipt (file:///srv/orders/mailer.ts:17:11)`

/** Something that was recorded so many seconds ago. */
export const event = (sort: string, secondsAgo: number, rest: Partial<Recorded>): Recorded => ({
  ...{
    sort,
    at: startAt - secondsAgo * 1_000,
    kind: 'server',
    code: 'ERROR',
    subject: '',
    text: '',
  },
  ...rest,
})

/** Why the mailer fails. */
export const reason = "Cannot read properties of undefined (reading 'address')"

const failures: readonly Recorded[] = [
  event('step_failed', 340, {
    kind: 'order',
    code: 'BANK_DOWN',
    subject: 'order/17',
    text: 'the step charge failed, try 3: 503 from the bank, tried again in 40 s',
  }),
  event('slow_handler', 215, {
    subject: 'http',
    pid: 88,
    code: 'slow',
    text: 'http has handled GET /report for 812 ms',
  }),
  event('log', 190, { kind: 'warn', subject: 'wal_writer.0', text: 'the disk took 1.9 s to sync' }),
  ...[62, 41, 22, 9].flatMap((ago) => [
    event('crash', ago, {
      subject: 'app/mailer',
      pid: 104,
      code: 'TypeError',
      reason,
      lastMessage: 'cast receipt',
      text: stack,
    }),
    event('restart', ago - 0.4, {
      subject: 'app/mailer',
      pid: 104,
      text: `app restarts mailer: ${reason}`,
    }),
  ]),
  event('blocked', 7, {
    kind: 'order',
    code: 'BAD_STATE',
    subject: 'order/4812',
    text: 'order/4812 is blocked: its version 3 is not known to the code',
  }),
  event('shard_down', 4, {
    kind: 'shard',
    code: 'DISK_FAILED',
    subject: 'shard 1',
    text: 'shard 1 is down: fdatasync failed (EIO); control.reopen(1) opens it again',
  }),
]

/** A subject is a process, a shard or an entity. */
const linked = (event: Recorded): Recorded => ({
  ...event,
  link:
    event.pid !== undefined
      ? { view: 'process', parts: [String(event.pid)] }
      : event.sort === 'shard_down'
        ? { view: 'storage', parts: [] }
        : { view: 'entity', parts: event.subject.split('/') },
})

/** What was recorded of an instance. */
export const eventsOf = (scenario: Scenario): readonly Recorded[] =>
  ({ empty: [], busy: failures.slice(0, 3), broken: failures })[scenario].map(linked)

const wave = (at: number, base: number, spread: number): number =>
  base + Math.abs(Math.sin(at / 9) + Math.sin(at / 3.7) / 2) * spread

/** The overview, at a time. */
export const overviewOf = (scenario: Scenario, at: number): Views['overview']['data'] => {
  const isEmpty = scenario === 'empty'
  const isBroken = scenario === 'broken'
  // An empty one was started just now.
  const ticks = Array.from({ length: isEmpty ? 2 : 600 }, (_, index) => index)
  const series = (base: number, spread: number, late: number) =>
    ticks.map((tick) =>
      isEmpty ? 0 : wave(tick, base, spread) + (isBroken && tick > 540 ? late : 0),
    )
  const latency = (
    title: string,
    count: number,
    ...[p50Ms = 0, p99Ms = 0, maxMs = 0]: number[]
  ) => ({
    ...{ title, count: isEmpty ? 0 : count },
    ...{ p50Ms, p99Ms: isBroken ? p99Ms * 30 : p99Ms, maxMs: isBroken ? maxMs * 40 : maxMs },
  })
  return {
    member: {
      ...{ name: 'orders-1', cluster: 'orders', phase: isBroken ? 'unsure' : 'owner' },
      ...{ since: at - 8_000, epoch: 3, leaseMs: 5_000, leftMs: isBroken ? 0 : 4_200 },
    },
    ...(!isEmpty && {
      members: [
        { name: 'orders-1', shards: 2, phase: 'open', lagBytes: 0, since: startAt - 90_000_000 },
        {
          name: 'orders-2',
          shards: 1,
          phase: 'open',
          lagBytes: 48_120,
          since: startAt - 4_000_000,
        },
        isBroken
          ? { name: 'orders-3', shards: 0, reason: 'NO_PROCESS: no link to the member' }
          : { name: 'orders-3', shards: 1, phase: 'open', lagBytes: 512, since: startAt - 60_000 },
      ],
    }),
    measuredSince: at - 300_000,
    troubles: isBroken
      ? [
          {
            ...{
              severity: 'critical',
              kind: 'shard down',
              alert: 'KeelsonShardDown',
              subject: 'shard 1',
              since: startAt - 4_000,
            },
            text: 'fdatasync failed (EIO). A third of the keys cannot be read or written; control.reopen(1) opens it again.',
            link: { view: 'storage', parts: [] },
          },
          {
            ...{
              severity: 'critical',
              kind: 'crash loop',
              alert: 'KeelsonCrashLoop',
              subject: 'app/mailer',
              since: startAt - 9_000,
            },
            text: `failed 37 times in the last minute: ${reason}`,
            link: { view: 'process', parts: ['104'] },
          },
          {
            ...{
              severity: 'critical',
              kind: 'blocked',
              alert: 'KeelsonEntityBlocked',
              subject: 'order/4812',
              since: startAt - 7_000,
            },
            text: 'its version 3 is not known to the code',
            link: { view: 'entity', parts: ['order', '4812'] },
          },
          {
            ...{
              severity: 'warning',
              kind: 'failing step',
              alert: 'KeelsonWarning',
              subject: 'order/17',
              since: startAt - 340_000,
            },
            text: 'charge has failed 3 times: 503 from the bank; the next try is in 40 s',
            link: { view: 'entity', parts: ['order', '17'] },
          },
          {
            ...{
              severity: 'warning',
              kind: 'run failed',
              alert: 'KeelsonWarning',
              subject: 'order/o-71',
              since: startAt - 500_000,
            },
            text: 'BankAway: connect ECONNREFUSED 10.0.0.7:443',
            ...{ link: { view: 'run', parts: ['order', 'o-71'] }, count: 12 },
            others: ['o-72', 'o-73'].map((id) => ({
              ...{ subject: `order/${id}`, link: { view: 'run', parts: ['order', id] } },
            })),
          },
        ]
      : [],
    latencies: [
      latency('commit wait', 48_210, 1.8, 6.2, 22),
      latency('sync', 9_120, 0.9, 2.4, 11),
      latency('turn', 31_882, 2.4, 8.8, 31),
      latency('call', 72_004, 0.09, 1.2, 14),
      latency('mailbox wait', 1_125, 0.02, 0.8, 9),
      latency('loop delay', 600, 0.4, 3.2, 18),
    ],
    slow: isBroken ? failures.slice(1, 2) : [],
    pending: isBroken
      ? [{ pid: 104, name: 'app/mailer', message: 'cast receipt', since: startAt - 12_400 }]
      : [],
    sizes: {
      ...{ residentBytes: 612 * 1024 ** 2, heapBytes: 412 * 1024 ** 2 },
      ...{ externalBytes: 96 * 1024 ** 2, logBytes: isEmpty ? 0 : 88 * 1024 ** 2 },
      ...{ freeBytes: 212 * 1024 ** 3, neededBytes: 1.2 * 1024 ** 3 },
    },
    series: {
      times: ticks.map((tick) => at - (ticks.length - tick) * 1_000),
      turnsPerSecond: series(420, 180, -380),
      writesPerSecond: series(640, 260, -500),
      loopDelayMs: series(1, 2.5, 120),
      commitP99Ms: series(4, 4, 60),
    },
    recent: eventsOf(scenario).slice(-12),
  }
}
