/** Made-up answers for each view: of an empty, a busy and a broken instance. */
import {
  jobWaitTexts,
  runWaitText,
  type Shown,
  type TreeNode,
  type Views,
} from '../../../src/observe/index.ts'
import { event, eventsOf, overviewOf, reason, type Scenario, startAt } from './made-up-overview.ts'

const minute = 60_000

/** A part of the data folder, in MiB, which these have to equal shares. */
const partOf = (part: string, mebibytes: number, names: readonly string[]) => ({
  ...{ part, bytes: mebibytes * 1024 ** 2, files: 3 * names.length, count: names.length },
  most: names.map((name) => ({ name, bytes: (mebibytes * 1024 ** 2) / names.length })),
})

const node = (name: string, pid: number, rest: Partial<TreeNode> = {}): TreeNode => ({
  ...{ name, pid, kind: 'server', status: 'running', mailbox: 0, restarts: 0, children: [] },
  ...rest,
})

const supervisor = (name: string, pid: number, ...children: TreeNode[]): TreeNode =>
  node(name, pid, { kind: 'supervisor', children })

const shardOf = (index: number, pid: number, isDown: boolean): TreeNode =>
  isDown
    ? {
        ...{ name: `shard.${index}`, kind: 'supervisor', status: 'down', mailbox: 0, restarts: 3 },
        ...{ reason: 'fdatasync failed (EIO)', children: [] },
      }
    : supervisor(
        `shard.${index}`,
        pid,
        node('wal_writer', pid + 1),
        node('applier', pid + 2, { mailbox: 2 }),
        node('lmdb_writer', pid + 3),
        node('snapshotter', pid + 4),
      )

const treeOf = (scenario: Scenario): TreeNode => {
  const isBroken = scenario === 'broken'
  const recent = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 4, 6, 9, 8, 11]
  return supervisor(
    'orders',
    1,
    supervisor(
      'storage',
      2,
      shardOf(0, 10, false),
      shardOf(1, 20, isBroken),
      shardOf(2, 30, false),
    ),
    supervisor(
      'app',
      80,
      ...(scenario === 'empty'
        ? []
        : [
            node('order', 84, { kind: 'entity_kind', live: 48_812 }),
            node('http', 88, { mailbox: 1 }),
            node('mailer', 104, {
              ...(isBroken && { restarts: 37, recent, mailbox: 8_412, status: 'starting', reason }),
            }),
            supervisor('flows', 90, node('keeper', 91), node('queue/mail', 92, { mailbox: 4 })),
          ]),
    ),
  )
}

/** A stream that is written, with a long message, and one that is closed. */
const streamsAt = (at: number) => [
  {
    ...{ name: 'answer', messages: 1_204, isClosed: false, writtenMs: at - 2_000 },
    tail: ["{ type: 'token', text: 'The' }", `{ type: 'token', text: '${'long'.repeat(34)}' }`],
  },
  { name: 'progress', messages: 3, isClosed: true, writtenMs: at - 9 * minute, tail: [] },
]

const kindsOfProcesses = ['server', 'entity', 'supervisor', 'task']

const processRow = (index: number, scenario: Scenario) => ({
  pid: 80 + index,
  name: index === 24 ? 'mailer' : index === 8 ? 'http' : `order/${4_000 + index}`,
  kind: index === 24 || index === 8 ? 'server' : 'entity',
  status: 'waiting',
  mailbox: scenario === 'broken' && index === 24 ? 8_412 : index % 7 === 0 ? index % 5 : 0,
  mailboxMax: 10_000,
  handled: 90_000 - index * 131,
  restarts: scenario === 'broken' && index === 24 ? 37 : 0,
  perSecond: Math.max(0, 420 - index * 3.4),
  growth: scenario === 'broken' && index === 24 ? 41.5 : 0,
  ...(scenario === 'broken' && index === 24 && { oldestMs: 202_000 }),
  ...(index % 11 === 3 && { handling: { message: 'call charge', since: startAt - 12 } }),
})

const state: Shown = {
  type: 'object',
  size: 5,
  members: [
    ['status', 'paying'],
    ['cents', 129_00],
    ['tries', 3],
    ['card', { text: '[hidden string of 16]', isHidden: true }],
    [
      'lines',
      {
        type: 'array',
        size: 240,
        members: [
          [
            '0',
            {
              type: 'object',
              size: 2,
              members: [
                ['sku', 'lamp'],
                ['count', 2],
              ],
            },
          ],
          [
            '1',
            {
              type: 'object',
              size: 2,
              members: [
                ['sku', '<img src=x onerror=alert(1)>'],
                ['count', 1],
              ],
            },
          ],
        ],
      },
    ],
  ],
}

/** The same order, before its bank failed. */
const stateBefore: Shown = {
  type: 'object',
  size: 4,
  members: [
    ['status', 'placed'],
    ['cents', 129_00],
    ['tries', 0],
    ['card', { text: '[hidden string of 16]', isHidden: true }],
  ],
}

const transition = (event: string, to: string, guard?: string) => ({
  ...{ event, to: [to.split('/')] },
  ...(guard !== undefined && { guard }),
})

const machine = {
  states: [
    { path: [], isFinal: false, transitions: [] },
    { path: ['placed'], isFinal: false, transitions: [transition('PAY', 'paying')] },
    {
      path: ['paying'],
      isFinal: false,
      transitions: [transition('after 900000 ms', 'cancelled'), transition('PAID', 'paid')],
    },
    {
      path: ['paying', 'charging'],
      isFinal: false,
      transitions: [transition('FAILED', 'paying/waiting')],
    },
    {
      path: ['paying', 'waiting'],
      isFinal: false,
      transitions: [transition('RETRY', 'paying/charging', 'tries < 9')],
    },
    { path: ['paid'], isFinal: false, transitions: [transition('SHIP', 'shipped')] },
    { path: ['shipped'], isFinal: true, transitions: [] },
    { path: ['cancelled'], isFinal: true, transitions: [] },
  ],
}

const turns = [
  ['step charge', 40, ['status', 'tries'], '503 from the bank'],
  ['alarm retry', 41, ['status'], undefined],
  ['step charge', 80, ['status', 'tries'], '503 from the bank'],
  ['alarm retry', 81, ['status'], undefined],
  ['step charge', 100, ['status', 'tries'], 'timeout after 10 s'],
  ['call pay', 112, ['status'], undefined],
  ['call place', 340, ['status', 'cents', 'lines', 'card'], undefined],
] as const

const isPage = (cursor: string | undefined): number => Number(cursor ?? 0)

/** The rows of a page: of `total` ones from the cursor on. */
const paged = <T>(cursor: string | undefined, total: number, rowOf: (at: number) => T) => {
  const from = isPage(cursor)
  const to = Math.min(total, from + 200)
  const rows = Array.from({ length: Math.max(0, to - from) }, (_, at) => rowOf(from + at))
  return { rows, ...(to < total && { cursor: String(to) }) }
}

type Query = Readonly<Record<string, string>>

const run = (id: string) => ({
  ...{ id, status: id === 'o-17' ? 'running' : 'completed', startedAt: startAt - 6 * minute },
  ...{ since: startAt - (id === 'o-17' ? 340_000 : 4 * minute), attempt: 1 },
})

/** A run that waits: for a signal, or for its place in a queue. */
const waiting = (id: string, at: number): Views['run']['data'] => {
  const row = { id, status: 'waiting', startedAt: startAt - 9_000, since: startAt, attempt: 1 }
  const input = { type: 'object', size: 1, members: [['item', 'tea']] } as const
  return id === 'held'
    ? {
        row: {
          ...row,
          waitsFor: {
            ...{ kind: 'queue', name: 'mail', since: startAt },
            text: runWaitText({ kind: 'queue', name: 'mail' }, { before: 2, ready: 8_412 }),
          },
        },
        ...{ input, steps: [] },
      }
    : {
        row: {
          ...row,
          waitsFor: {
            ...{ kind: 'signal', name: 'approve', text: 'signal approve' },
            ...{ since: startAt, until: at + 40_000 },
          },
        },
        input,
        steps: [
          {
            ...{ key: 'reserve', kind: 'step', tries: 0, outcome: 'ok', at: startAt - 8_000 },
            value: "{ seat: '12A' }",
          },
          { key: 'approve#1', kind: 'wait', tries: 0, at: startAt, dueAt: at + 40_000 },
        ],
      }
}

const schedules = (isBroken: boolean, at: number): Views['schedules']['data']['rows'] => {
  const times = { cron: '0 8 * * 1', zone: 'Europe/Berlin', workflow: 'order' }
  const last = { type: 'order', id: 'daily/2026-01-05T07:00:00.000Z' }
  return [
    {
      ...{ name: 'daily', isOfTree: true, isPaused: isBroken, waiting: isBroken ? 3 : 0, last },
      ...{ ...times, isRunning: !isBroken, ...(!isBroken && { nextAt: at + 20 * minute }) },
    },
    {
      ...{ name: 'digest-ada', isOfTree: false, isPaused: false, waiting: 0, isRunning: false },
      ...times,
      ...(isBroken
        ? { broken: 'the workflow digest is not in the tree' }
        : { nextAt: at + 3 * minute }),
    },
  ]
}

/** The record of a failure. */
const record = [
  'TypeError: fetch failed',
  '    at charge (file:///srv/shop/payments.ts:12:7)',
  '    at async order (file:///srv/shop/orders.ts:40:3)',
  'caused by Error [ECONNREFUSED]: connect ECONNREFUSED 127.0.0.1:7400',
  '    at charge (file:///srv/shop/payments.ts:9:18)',
]

/** The answer of a view. */
export const answerOf = (
  scenario: Scenario,
  view: string,
  query: Query,
  at: number,
): Views[keyof Views]['data'] => {
  const isEmpty = scenario === 'empty'
  const isBroken = scenario === 'broken'
  const total = isEmpty ? 0 : 100_000
  // One more each minute.
  const dead = isBroken ? 31 + Math.floor((at - startAt) / minute) : 0
  const answers: { readonly [V in keyof Views]: () => Views[V]['data'] } = {
    header: () => null,
    overview: () => overviewOf(scenario, at),
    tree: () => treeOf(scenario),
    processes: () => {
      const found = Array.from({ length: isEmpty ? 14 : 500 }, (_, index) =>
        processRow(index, scenario),
      )
      const order = query.order ?? 'rate'
      const ordered =
        order === 'queue' ? found.sort((left, right) => right.mailbox - left.mailbox) : found
      const from = Number(query.after?.split('_')[1] ?? 0)
      const rows = ordered.slice(from, from + 200)
      const next = from + 200 < ordered.length ? { next: `0_${from + 200}` } : {}
      const kinds = kindsOfProcesses.map((kind) => ({
        kind,
        count: kind === 'entity' ? total : 12,
      }))
      return { rows, total: total + 36, kinds, ...next }
    },
    process: () => ({
      row: processRow(Number(query.pid) - 80, scenario),
      parent: { pid: 80, title: 'app' },
      ...{ links: [{ pid: 80, title: 'app' }], monitors: [], monitoredBy: [], isTrapping: false },
      ...(isBroken ? { stateless: 'It does not answer: it handles a message.' } : { state }),
      messages: isBroken
        ? Array.from({ length: 20 }, () => ({ what: 'cast receipt', shape: 'object of 3' }))
        : [],
      events: eventsOf(scenario).filter(({ pid }) => String(pid) === query.pid),
      ...(query.trace === 'on' && {
        trace: {
          events: ['in', 'out', 'in', 'out'].map((direction, index) => ({
            ...{ at: startAt - 400 + index * 90, direction },
            ...(direction === 'in'
              ? { what: 'call receipt', shape: 'object of 3' }
              : { what: 'reply', shape: 'string of 12' }),
          })),
        },
      }),
    }),
    entities: () => ({
      kinds: isEmpty
        ? []
        : [
            {
              ...{
                kind: 'order',
                live: 48_812,
                blocked: isBroken ? 1 : 0,
                failing: isBroken ? 212 : 0,
              },
              ...{ parked: 0, overdue: isBroken ? 3 : 0, nextAlarmAt: at + 4_000 },
              fields: ['status', 'customer'],
            },
            {
              ...{ kind: 'customer', live: 1_204, blocked: 0, failing: 0, parked: 0, overdue: 0 },
              fields: [],
            },
          ],
    }),
    kind: () =>
      paged(query.cursor, query.only ? 3 : total, (index) => ({
        id: String(index + 1),
        ...(index % 3 === 0 && { pid: 1_000 + index }),
        text: `{ status: 'paying', cents: ${100 + index}, tries: ${index % 4} }`,
      })),
    entity: () =>
      isEmpty
        ? { failures: [] }
        : {
            ...(query.id === '17' && { pid: 97 }),
            failures: isBroken
              ? [
                  {
                    title: 'step charge failed',
                    lines: ['Error: 503 from the bank', '    at charge (/srv/shop/bank.ts:4:20)'],
                  },
                ]
              : [],
            ...(query.id === '4812' && { blocked: 'its version 3 is not known to the code' }),
            born: {
              ...{ incarnation: '7f3a', seq: isBroken ? 8 : 7, version: 2, state, calls: 2 },
              fields: { type: 'object', size: 1, members: [['status', 'paying']] },
              steps: [
                {
                  ...{ name: 'charge', tries: 3, dueAt: at + 40_000, next: 'retry' },
                  error: '503 from the bank',
                },
              ],
              alarms: [{ name: 'payWithin', tries: 0, dueAt: at + 9 * minute }],
            },
            machine: { ...machine, value: { paying: 'waiting' } },
            streams: streamsAt(at),
          },
    history: () => ({
      turns: turns.map(([cause, secondsAgo, changed, error], index) => ({
        ...{ lsn: 9_412 - index * 31, at: startAt - secondsAgo * 1_000, seq: 7 - index },
        ...{
          cause,
          changed,
          notes: index === 5 ? ['sets the alarm payWithin'] : [],
        },
        ...(error !== undefined && { error }),
      })),
      end: 'Its birth.',
    }),
    past: () => {
      const isBefore = Number(query.lsn) < 9_250
      return {
        ...{ lsn: Number(query.lsn), at: startAt - 80_000 },
        state: isBefore ? stateBefore : state,
        machineValue: isBefore ? 'placed' : { paying: 'charging' },
      }
    },
    flows: () => ({
      workflows: isEmpty
        ? []
        : [
            {
              type: 'order',
              counts: {
                waiting: 12,
                running: isBroken ? 212 : 31,
                completed: 48_102,
                failed: isBroken ? 9 : 0,
              },
              rates: {
                ...{ startedPerSecond: 14.2, completedPerSecond: isBroken ? 3.1 : 14.1 },
                ...{ failedPerSecond: isBroken ? 0.15 : 0, p50Ms: 2_310, p99Ms: 48_400 },
              },
            },
          ],
      queues: isEmpty
        ? []
        : [
            {
              ...{ name: 'mail', ready: isBroken ? 8_412 : 3, delayed: 40, running: 8 },
              ...{ dead, oldestAt: startAt - (isBroken ? 212_000 : 400) },
              ...{ isPaused: false, isFull: isBroken, overdue: isBroken ? 2 : 0 },
            },
          ],
      silent: isBroken ? [{ name: 'refunds', code: 'SHARD_DOWN' }] : [],
      schedules: { rows: isEmpty ? [] : schedules(isBroken, at), ...(!isEmpty && { cursor: '2' }) },
    }),
    schedules: () =>
      isEmpty
        ? { rows: [] }
        : { rows: schedules(isBroken, at), ...(!query.cursor && { cursor: '2' }) },
    job: () => ({
      ...{ id: query.id ?? '', state: isBroken ? 'dead' : 'running', priority: 0, tries: 5 },
      ...{ tryKey: `mail/${query.id}`, key: 'ada', addedAt: startAt - 600_000 },
      ...(isBroken && { error: 'SMTP_REFUSED: 550 mailbox unavailable', failedAt: startAt }),
      ...(isBroken && { failure: record }),
      input: { type: 'object', size: 1, members: [['to', 'ada@example.org']] },
      ...(!isBroken && { progress: 40 }),
      log: ['connects', 'is greeted'],
    }),
    dead: () =>
      paged(query.cursor, dead, (index) => ({
        ...{
          id: String(8_120 + index * 7),
          tries: 5,
          text: `{ to: 'ada@example.org', order: ${index} }`,
        },
        ...{
          addedAt: startAt - 600_000 + index * 9_000,
          failedAt: startAt - 500_000 + index * 9_000,
        },
        error: 'SMTP_REFUSED: 550 mailbox unavailable',
      })),
    jobs: () =>
      paged(query.cursor, isEmpty ? 0 : 130, (index) => ({
        ...{
          id: String(9_000 + index),
          tries: index % 3,
          priority: 0,
          key: `customer-${index % 7}`,
        },
        ...{ addedAt: startAt - 60_000 + index * 400, text: `{ to: 'ada@example.org' }` },
        waitsFor:
          query.state === 'delayed'
            ? { text: jobWaitTexts.retry, since: startAt, until: at + 40_000 }
            : { text: jobWaitTexts.places, since: startAt },
        ...(query.state === 'delayed' && { error: 'SMTP_REFUSED: 451 try again later' }),
        // A list by attributes has jobs in every state.
        ...(query.state === undefined && query.where === 'customer=c-7' && { state: 'dead' }),
      })),
    runs: () => paged(query.cursor, isEmpty ? 0 : 420, (index) => run(`o-${index + 1}`)),
    run: () =>
      ['held', 'asks'].includes(query.id ?? '')
        ? waiting(query.id ?? '', at)
        : {
            row: run(query.id ?? ''),
            streams: streamsAt(at),
            progress: { type: 'object', size: 1, members: [['charged', false]] },
            steps: [
              { key: 'reserve', kind: 'step', tries: 0, outcome: 'ok', at: startAt - 350_000 },
              {
                ...{ key: 'quote', kind: 'child', tries: 0, outcome: 'ok', at: startAt - 341_000 },
                child: 'quote/q-17',
              },
              {
                ...{
                  key: 'charge',
                  kind: 'step',
                  tries: 3,
                  at: startAt - 340_000,
                  dueAt: at + 40_000,
                },
                error: '503 from the bank',
                failure: record,
              },
            ],
          },
    store: () =>
      paged(query.cursor, isEmpty ? 0 : 1_200, (index) => ({
        ...{ key: `session/${index + 1}`, type: `object of ${2 + (index % 9)}` },
        ...(index % 4 === 0 && { expiresAt: at + 20 * minute }),
        ...(index === 2 && { lock: { owner: 'checkout', until: at + 20_000 } }),
      })),
    key: () => ({ value: state }),
    storage: () => ({
      shards: [0, 1, 2].map((shard) => {
        const isDown = isBroken && shard === 1
        return {
          isSuspended: isBroken && shard === 2,
          ...{
            shard,
            member: ['a', 'b', 'c'][shard] ?? 'a',
            phase: isDown ? 'down' : 'open',
            lastLsn: 90_412,
            durableLsn: 90_412,
          },
          ...(isDown && { reason: 'fdatasync failed (EIO); control.reopen(1) opens it again' }),
          ...{
            projectedLsn: 90_380,
            lagBytes: 12_400,
            lagMs: 240,
            mode: isDown ? 'halted' : 'normal',
          },
          ...{ segments: 3, logBytes: 188 * 1024 ** 2, sinceSnapshotBytes: 88 * 1024 ** 2 },
          ...{
            snapshotDueBytes: 256 * 1024 ** 2,
            snapshot: { lsn: 88_120, bytes: 41 * 1024 ** 2, at: startAt - 42 * minute },
          },
          ...{ held: 'the snapshot', freeBytes: 88 * 1024 ** 3, neededBytes: 2 * 1024 ** 3 },
          ...{ writesWaiting: 0, clockAheadMs: 0 },
          subscriptions: isEmpty ? [] : [{ name: 'mail', state: 'following', lag: 3 }],
          projections: isEmpty ? [] : [{ name: 'revenue', lag: 0 }],
        }
      }),
      disk: {
        ...{ bytes: 905 * 1024 ** 2, freeBytes: 88 * 1024 ** 3, neededBytes: 2 * 1024 ** 3 },
        backupBytes: 830 * 1024 ** 2,
        parts: [
          partOf('log', 564, ['shard 0', 'shard 1', 'shard 2']),
          partOf('large values', 143, ['shard 2', 'shard 0']),
          partOf('snapshots', 123, ['shard 0', 'shard 1', 'shard 2']),
          partOf('projections', 75, ['shard 0', 'shard 1', 'shard 2']),
        ],
        holders: [0, 1, 2].map((shard) => ({
          ...{ shard, by: 'the next snapshot', bytes: 88 * 1024 ** 2 },
        })),
      },
    }),
    replication: () => ({
      followers: isEmpty
        ? []
        : [
            {
              ...{
                replica: 'postgres://replica/orders',
                isRequired: false,
                failures: isBroken ? 4 : 0,
              },
              ...(isBroken && { retryInMs: 12_000 }),
              shards: [0, 1, 2].map((shard) => ({
                ...{
                  shard,
                  state: isBroken ? 'waiting' : 'following',
                  lagRecords: isBroken ? 41_200 : 2,
                },
                ...(isBroken && { reason: 'connect ECONNREFUSED', lagMs: 88_000 }),
              })),
            },
          ],
    }),
    log: () => ({
      lines: [
        ...eventsOf(scenario),
        ...(isBroken ? [event('flood', 1, { text: '1,240 more in the same second' })] : []),
      ],
    }),
    crashes: () => ({ total: 0, rows: [], silent: [] }),
    streams: () => ({ rows: [] }),
  }
  const answer = (
    answers as Readonly<Record<string, (() => Views[keyof Views]['data']) | undefined>>
  )[view]
  if (!answer) throw new Error(`there is no view ${view}`)
  return answer()
}
