import { expect, test } from 'vitest'
import {
  remarkLines,
  startLine,
  startScreen,
  stepText,
} from '../../../src/inspect/cli/start-view.ts'

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

const started = {
  version: '1.2.3',
  dir: 'data',
  file: 'keelson.config.ts',
  durability: { enableFsync: true, syncInterval: undefined },
  logs: [
    {
      shard: 0,
      phase: 'open',
      trouble: undefined,
      description: {
        mode: 'open',
        queued: 0,
        inFlight: 0,
        durableLsn: 1_234,
        lastLsn: 1_234,
        level: 'durable',
        report,
        log: undefined,
      },
    },
    { shard: 1, phase: 'down', description: undefined, trouble: 'CORRUPT: bad frame' },
  ],
} as const

test('the start screen names the program, its folder and the state of each shard', () => {
  expect(startScreen(started)).toBe(
    [
      'Keelson 1.2.3  data  2 shards',
      'configured by keelson.config.ts',
      'shard 0  open: up to LSN 1,234, closed cleanly',
      'shard 1  down: CORRUPT: bad frame',
      'Type help for the commands, tree() for what runs; Ctrl-D ends in order.',
    ].join('\n'),
  )
})

test('the start screen says so when acknowledged is not durable', () => {
  const screen = startScreen({
    ...started,
    durability: { enableFsync: false, syncInterval: undefined },
  })

  expect(screen).toContain('NOT DURABLE')
  expect(startScreen(started)).not.toContain('NOT DURABLE')
})

test('an oddity of the opening is printed once, with its shards unless all have it, and nothing in it moves the cursor', () => {
  const [first] = started.logs
  const shard = (index: number, remarks: readonly string[]) => ({
    ...first,
    shard: index,
    description: { ...first.description, report: { ...report, remarks } },
  })
  const logs = [shard(0, ['in memory']), shard(1, ['in memory', 'the file a\u001b[2J is no part'])]

  expect(remarkLines(logs)).toEqual([
    'note: in memory',
    'note (shard 1): the file a\\u{1b}[2J is no part',
  ])
  expect(startScreen({ ...started, logs })).toContain('\nnote: in memory\nnote (shard 1): ')
})

test('with piped input one line is enough', () => {
  expect(startLine(started)).toBe('Keelson 1.2.3  data  2 shards')
})

test('steps of starting are told when they take time or matter', () => {
  expect(stepText({ step: 'recovering' })).toBe('recovering …')
  expect(stepText({ step: 'created', detail: 'data' })).toBe('created data')
  const recovery = { count: 9, bytes: 1.2e9, bytesOfAll: 3e9, bytesPerSecond: 2.1e8 }
  expect(stepText({ step: 'recovering', shard: 1, recovery: { ...recovery, source: 'log' } })).toBe(
    'shard 1: reads its log: 1.20 GB of 3.00 GB, 210 MB/s',
  )
  expect(stepText({ step: 'down', shard: 1 })).toBe(undefined)
  expect(stepText({ step: 'locked', detail: 'data' })).toBeUndefined()
})
