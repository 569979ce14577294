import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import type { IngestProgress } from '../../../src/inspect/ingest/ingest.ts'
import {
  failureLine,
  ingestSummary,
  progressBar,
  progressLine,
  timeLeftMs,
} from '../../../src/inspect/ingest/ingest-view.ts'

const progress: IngestProgress = {
  records: 1_234_567,
  bytes: 50_000_000,
  acknowledged: 1_234_000,
  failed: 0,
  through: 1_233_999,
  elapsedMs: 10_000,
}

describe('progress', () => {
  test('on a terminal is a bar with records, pace, acknowledgements and time left', () => {
    expect(progressBar(progress, 200_000_000, 120)).toBe(
      `${'█'.repeat(6)}${'░'.repeat(18)}  25%  1,234,567 records  5.0 MB/s  1,234,000 acknowledged  0:30 left`,
    )
  })

  test('never is longer than its terminal', () => {
    for (let columns = 40; columns < 130; columns++)
      for (const each of [progress, { ...progress, failed: 12 }])
        expect(progressBar(each, 200_000_000, columns).length).toBeLessThan(columns)
  })

  test('of an input of unknown size has no bar and no time left', () => {
    expect(progressBar(progress, undefined, 120)).toBe(
      '1,234,567 records  5.0 MB/s  1,234,000 acknowledged',
    )
  })

  test('elsewhere is a plain sentence', () => {
    expect(progressLine({ ...progress, failed: 2 }, 200_000_000)).toBe(
      '25%, 1,234,567 records, 5.0 MB/s, 1,234,000 acknowledged, 0:30 left, 2 refused',
    )
  })

  test('at its very beginning promises nothing', () => {
    const beginning = { ...progress, records: 0, bytes: 0, acknowledged: 0, elapsedMs: 0 }

    expect(timeLeftMs(beginning, 100)).toBeUndefined()
    expect(progressLine(beginning, 100)).toBe('0%, 0 records, 0.0 MB/s, 0 acknowledged')
  })

  test('never exceeds the whole, even if the file has grown', () => {
    expect(progressLine(progress, 40_000_000)).toContain('100%')
    expect(timeLeftMs(progress, 40_000_000)).toBe(0)
  })
})

describe('the summary', () => {
  test('has the records read and durable, the rate, and the frames still to project', () => {
    expect(ingestSummary(progress, { lag: 0 })).toBe(
      [
        'records       1,234,567',
        'bytes         50.0 MB (50,000,000)',
        'time          10.00 s, 123,400 records/s, 5.00 MB/s',
        'acknowledged  1,234,000 (durable)',
        'projection    up to date',
      ].join('\n'),
    )
  })

  test('of a part names its last complete record, and the refused ones', () => {
    const summary = ingestSummary({ ...progress, failed: 3 }, { lag: 1, stopped: 'by SIGINT' })

    expect(summary.split('\n')).toEqual([
      'stopped       by SIGINT; complete up to record 1,233,999',
      'records       1,234,567',
      'bytes         50.0 MB (50,000,000)',
      'time          10.00 s, 123,400 records/s, 5.00 MB/s',
      'acknowledged  1,234,000 (durable)',
      'refused       3',
      'projection    1 frame behind',
    ])
  })

  test('does not invent a lag', () => {
    expect(ingestSummary(progress, { lag: undefined })).toContain('projection    unknown')
  })
})

describe('the line of a refused record', () => {
  const lineOf = (message: string): string =>
    failureLine({ record: 2, error: new KeelsonError('TOO_LARGE', message) })

  test('is code and message, whole while it is short', () => {
    expect(lineOf('record 2: too large')).toBe('TOO_LARGE: record 2: too large')
  })

  test('is one line, cut when the record made it long', () => {
    expect(lineOf('record 2: "a\nb"')).toBe('TOO_LARGE: record 2: "a')
    const cut = lineOf(`record 2: ${'k'.repeat(100_000)}`)
    expect([cut.length, cut.startsWith('TOO_LARGE: record 2: kkk'), cut.endsWith('k…')]).toEqual([
      300,
      true,
      true,
    ])
  })
})
