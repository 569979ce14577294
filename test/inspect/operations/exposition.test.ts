/** Metrics as text: both formats, escapes, and the bound of series. */
import { expect, test } from 'vitest'
import { endOf, familyText, formatFor } from '../../../src/inspect/operations/exposition.ts'
import { metrics } from '../../../src/inspect/operations/metric-table.ts'
import { Family, Measurements, seriesMax } from '../../../src/inspect/operations/series.ts'
import { readOpenMetrics } from '../../support/models/open-metrics.ts'

const [text, open] = [formatFor(undefined), formatFor('application/openmetrics-text')]

test('the text format has info and state set as gauges, and counters by their whole names', () => {
  const turns = new Family(metrics.turns)
  turns.add(1, 'order', 'ok')
  turns.add(2, 'order', 'ok')
  expect(familyText(turns, text)).toBe(
    `# HELP keelson_turns_total Turns of durable actors, including births.
# TYPE keelson_turns_total counter
keelson_turns_total{kind="order",result="ok"} 3
`,
  )
  const phase = new Family(metrics.shardPhase)
  phase.add(1, 0, 'down')
  expect(familyText(phase, text)).toContain(
    '# TYPE keelson_shard_phase gauge\nkeelson_shard_phase{shard="0",phase="down"} 1\n',
  )
})

test('OpenMetrics has families without endings, units, and the state in a label of its own', () => {
  const bytes = new Family(metrics.walBytes)
  bytes.add(7, 0)
  const phase = new Family(metrics.shardPhase)
  phase.add(1, 0, 'down')
  const families = readOpenMetrics(familyText(bytes, open) + familyText(phase, open) + endOf(open))
  expect(families).toMatchObject([
    { name: 'keelson_wal_written_bytes', type: 'counter', unit: 'bytes' },
    {
      type: 'stateset',
      samples: [{ labels: { shard: '0', phase: 'down', keelson_shard_phase: 'down' } }],
    },
  ])
})

test('a value is in the first bucket whose bound is not below it, and in those after it', () => {
  const sync = new Family(metrics.sync)
  for (const seconds of [0.00005, 0.000051, 11]) sync.observe(seconds, 1, 0)
  const [family] = readOpenMetrics(familyText(sync, open) + endOf(open))
  const buckets = family?.samples.filter(({ name }) => name.endsWith('_bucket')) ?? []
  expect(buckets.map(({ value }) => value)).toEqual([1, ...Array(14).fill(2), 3])
  expect(family?.samples.slice(-2).map(({ value }) => value)).toEqual([11.000101, 3])
})

test('a label is read back as it was, whatever is in it', () => {
  const processes = new Family(metrics.processes)
  const kind = 'a "b"\\n\n,} c'
  processes.add(1, kind)
  const [family] = readOpenMetrics(familyText(processes, open) + endOf(open))
  expect(family?.samples).toMatchObject([{ labels: { kind } }])
})

test('100,000 ids make 200 series, and none of their values is lost', () => {
  const measured = new Measurements()
  for (let id = 0; id < 100_000; id++) {
    measured.of(metrics.turns).add(1, `kind-${id}`, 'ok')
    measured.of(metrics.turnDuration).observe(0.001, 1, `kind-${id}`, 'ok')
  }
  const [counted, observed] = [metrics.turns, metrics.turnDuration].map((metric) => [
    ...measured.of(metric).series,
  ])
  expect(counted).toHaveLength(seriesMax)
  expect(counted?.at(-1)).toMatchObject({ labels: ['other', 'other'], value: 100_001 - seriesMax })
  expect(observed).toHaveLength(seriesMax)
  const values = observed?.flatMap(({ buckets }) => buckets) ?? []
  expect(values.reduce((sum, value) => sum + value, 0)).toBe(100_000)
})

test.each([
  ['*/*', text],
  ['application/openmetrics-text;q=0', text],
  ['text/plain, application/openmetrics-text;q=0.5', text],
  ['Application/OpenMetrics-Text; version=1.0.0; q=0.8, text/plain; q=0.5, */*; q=0.1', open],
  ['application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4', open],
])('the client that accepts %s gets what it wants most', (accept, format) => {
  expect(formatFor(accept)).toBe(format)
})
