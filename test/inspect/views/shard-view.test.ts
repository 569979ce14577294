import { describe, expect, test } from 'vitest'
import type { LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import type { ShardFacts } from '../../../src/inspect/answers/shard-survey.ts'
import {
  durabilityWarning,
  logView,
  projectionView,
  recoveryText,
  userProjectionView,
} from '../../../src/inspect/views/shard-view.ts'
import type { Ref } from '../../../src/runtime/index.ts'

const durable = { enableFsync: true, syncInterval: undefined }

const report = {
  walId: 'ab',
  epoch: 3,
  firstLsn: 1,
  lastLsn: 1_234,
  lastTime: 0,
  tail: 'clean',
  cutBytes: 0,
  features: 0,
  copiedFrames: 0,
  segments: 2,
  remarks: [],
} as const

const writer: WalWriter.LogWriterDescription = {
  mode: 'open',
  queued: 1,
  inFlight: 2,
  durableLsn: 1_300,
  lastLsn: 1_302,
  level: 'durable',
  report,
  log: {
    walId: 'ab',
    epoch: 3,
    firstLsn: 1,
    lastLsn: 1_302,
    durableLsn: 1_300,
    checkpointLsn: 1_200,
    snapshots: [],
    spares: { ready: 1, making: true },
    segments: [
      { file: '1.wal', baseLsn: 1, lastLsn: 1_234, usedBytes: 1_000, allocatedBytes: 2_000 },
      { file: '2.wal', baseLsn: 1_235, lastLsn: 1_234, usedBytes: 10, allocatedBytes: 2_000 },
    ],
  },
}

const open = <D>(description: D): ShardFacts<D> => ({
  shard: 0,
  phase: 'open',
  description,
  trouble: undefined,
})

describe('the view of logs', () => {
  test('shows LSNs, recovery and segments', () => {
    expect(logView([open(writer)], durable)).toBe(
      [
        'shard 0  open',
        '  level        durable: acknowledged after fsync',
        '  durable LSN  1,300',
        '  last LSN     1,302',
        '  waiting      1 write, 2 on their way to the disk',
        '  recovered    up to LSN 1,234, closed cleanly',
        '  checkpoint   LSN 1,200',
        '  log id       ab, epoch 3',
        '  segments     2, 1.01 kB used of 4.00 kB allocated',
        '  spares       1 ready, one being made',
        '  file         LSNs     used  allocated',
        '  1.wal  1 to 1,234  1.00 kB    2.00 kB',
        '  2.wal        none     10 B    2.00 kB',
      ].join('\n'),
    )
  })

  test('shows the bytes of a log in an engine, and nothing of files', () => {
    const log = {
      ...(writer.log as NonNullable<typeof writer.log>),
      segments: [],
      engineBytes: 1_010,
    }

    expect(logView([open({ ...writer, log })], durable)).toBe(
      [
        'shard 0  open',
        '  level        durable: acknowledged after the engine did',
        '  durable LSN  1,300',
        '  last LSN     1,302',
        '  waiting      1 write, 2 on their way to the engine',
        '  recovered    up to LSN 1,234',
        '  checkpoint   LSN 1,200',
        '  log id       ab, epoch 3',
        '  log          1.01 kB in the engine',
      ].join('\n'),
    )
  })

  test('lists the newest segments and counts the others', () => {
    const segments = Array.from({ length: 11 }, (_, at) => ({
      file: `${at}.wal`,
      baseLsn: 1,
      lastLsn: 1,
      usedBytes: 1,
      allocatedBytes: 1,
    }))
    const spares = { ready: 0, making: false }
    const log = {
      walId: 'ab',
      epoch: 1,
      firstLsn: 1,
      lastLsn: 1,
      durableLsn: 1,
      checkpointLsn: 0,
      snapshots: [],
      spares,
      segments,
    }
    const view = logView([open({ ...writer, log })], durable)

    expect(view).not.toContain('  2.wal')
    expect(view).toContain('  3.wal')
    expect(view.endsWith('… and 3 older segments')).toBe(true)
  })

  test('says why a shard is down, and shows the others', () => {
    const down = {
      shard: 1,
      phase: 'down',
      description: undefined,
      trouble: 'CORRUPT: bad frame',
    } as const
    const titles = logView([open(writer), down], durable)
      .split('\n')
      .filter((line) => line.startsWith('shard'))

    expect(titles).toEqual(['shard 0  open', 'shard 1  down: CORRUPT: bad frame'])
  })

  for (const [what, wal, words] of [
    ['without fsync', { enableFsync: false, syncInterval: undefined }, 'NOT DURABLE'],
    [
      'without fsync, whatever the interval',
      { enableFsync: false, syncInterval: 50 },
      'enableFsync',
    ],
    ['with an interval', { enableFsync: true, syncInterval: 50 }, '50 ms'],
  ] as const)
    test(`begins with a warning ${what}`, () => {
      const warning = durabilityWarning(wal)

      expect(warning).toContain(words)
      expect(logView([open(writer)], wal).startsWith(`${warning}\n`)).toBe(true)
    })

  test('has no warning where each acknowledgement follows its fsync', () => {
    expect(durabilityWarning(durable)).toBeUndefined()
  })
})

describe('the last recovery reads', () => {
  for (const [facts, text] of [
    [{ lastLsn: 0 }, 'new, empty'],
    [{}, 'up to LSN 1,234, closed cleanly'],
    [{ tail: 'unclean' }, 'up to LSN 1,234, not closed, whole'],
    [
      { tail: 'torn', cutBytes: 512 },
      'up to LSN 1,234, torn, 512 B of an unacknowledged write cut',
    ],
    [
      { tail: 'unclean', copiedFrames: 1 },
      'up to LSN 1,234, not closed, whole, 1 frame copied forward',
    ],
  ] as const)
    test(text, () => {
      expect(recoveryText({ ...report, ...facts })).toBe(text)
    })
})

const projection: LmdbWriter.ProjectionWriterDescription = {
  mode: 'following',
  projectedLsn: 1_200,
  lag: 34,
  outbox: 2,
  outboxBytes: 50,
  suspensions: [],
  degraded: undefined,
  rows: 1_000_000,
  bytes: 12_300_000,
}

describe('the view of projections', () => {
  const titleOf = ({ pid }: Ref) => `prompt(2) <${pid}>`

  test('is a table of shards', () => {
    expect(projectionView([open(projection)], 0, titleOf)).toBe(
      [
        'shard  mode         LSN  lag       rows     size    outbox  suspensions',
        '0      following  1,200   34  1,000,000  12.3 MB  2 (50 B)            0',
      ].join('\n'),
    )
  })

  test('names below the table the owners of suspensions, and why one is degraded', () => {
    const held = {
      ...projection,
      mode: 'suspended',
      degraded: 'NO_SPACE: full',
      suspensions: [
        { token: 't1', owner: undefined, writes: false, since: 1_000, until: undefined },
        { token: 't2', owner: { pid: 20 } as Ref, writes: true, since: 9_500, until: 12_500 },
      ],
    } as const

    expect(
      projectionView([open(held)], 10_000, titleOf)
        .split('\n')
        .slice(2),
    ).toEqual([
      'shard 0 is degraded: NO_SPACE: full',
      'shard 0: projection held by the app since 9 s, until resume',
      'shard 0: projection and writes held by prompt(2) <20> since 0 s, for 3 s more',
    ])
  })

  test('keeps a shard that does not answer out of the table, and in sight', () => {
    const silent = {
      shard: 1,
      phase: 'open',
      description: undefined,
      trouble: 'TIMEOUT: no answer',
    } as const
    const view = projectionView([open(projection), silent], 0, titleOf)

    expect(view.split('\n').at(-1)).toBe('shard 1  no answer: TIMEOUT: no answer')
    expect(projectionView([silent], 0, titleOf)).toBe('shard 1  no answer: TIMEOUT: no answer')
  })
})

const live = { shard: 0, lsn: 7, tip: 9, lag: 2, version: 1, missed: undefined }

test('the projections of the configuration are shown with what they build and why they halted', () => {
  const view = userProjectionView([
    {
      name: 'by-city',
      shards: [
        { ...live, state: 'stopped', building: { version: 2, rows: 1_500 }, error: undefined },
      ],
    },
    {
      name: 'fragile',
      shards: [
        {
          ...{ ...live, state: 'halted', building: undefined, error: 'Error: no' },
          record: { name: 'Error', message: 'no', stack: '    at project (/srv/shop/p.ts:7:1)' },
        },
      ],
    },
  ])
  expect(view.split('\n')).toEqual([
    'projection  shard  state                            version  LSN  lag',
    'by-city     0      stopped (version 2: 1,500 rows)        1    7    2',
    'fragile     0      halted                                 1    7    2',
    'fragile of shard 0 is halted: Error: no',
    'the failure:',
    '  Error: no',
    '      at project (/srv/shop/p.ts:7:1)',
  ])
  expect(userProjectionView([])).toBe('')
})

test('the text of an error takes one line in each view, and has no control characters', () => {
  const evil = 'no\u001b[2J\nshard 9  open'
  const shown = 'no\\u{1b}[2J\\u{a}shard 9  open'
  const down = { shard: 1, phase: 'down', description: undefined, trouble: evil } as const
  const degraded = open({ ...projection, mode: 'degraded', degraded: evil } as const)
  const halted = { ...live, state: 'halted', building: undefined, error: evil } as const

  for (const view of [
    logView([down], durable),
    projectionView([down, degraded], 0, String),
    userProjectionView([{ name: 'fragile', shards: [halted] }]),
  ]) {
    expect(view).toContain(shown)
    expect(view).not.toContain('\nshard 9')
  }
})
