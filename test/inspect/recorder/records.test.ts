/** The memory of the flight recorder: its bounds and its counts. */
import { expect, test } from 'vitest'
import { type Recorded, Records, ringMax } from '../../../src/inspect/recorder/records.ts'

const event = (more: Partial<Recorded> = {}): Recorded => ({
  ...{ sort: 'crash', at: 1, kind: 'server', code: 'error', subject: 'counter', pid: 7, text: 'x' },
  ...more,
})

test('a ring keeps the last 500 events, and a flood of one sort leaves the others', () => {
  const records = new Records()
  records.add(event({ sort: 'shard_down', text: 'the disk is gone' }))
  for (let at = 1; at <= 2_000; at++) records.add(event({ at }))
  expect(records.last('crash').map(({ at }) => at)).toEqual(
    Array.from({ length: ringMax.events }, (_, index) => 1_501 + index),
  )
  expect(records.last('shard_down')).toMatchObject([{ text: 'the disk is gone' }])
  expect(records.total('crash')).toBe(2_000)
})

test('a ring keeps 1 MiB of texts at most, and of one text 8,000 characters', {
  tags: ['slow'],
}, () => {
  const records = new Records()
  for (let at = 1; at <= 200; at++) records.add(event({ text: '€'.repeat(100_000) }))
  const kept = records.last('crash')
  const bytes = kept.reduce((sum, { text }) => sum + 2 * text.length, 0)
  expect(new Set(kept.map(({ text }) => text.length))).toEqual(new Set([8_001]))
  expect(kept.at(-1)?.text.endsWith('€…')).toBe(true)
  expect(bytes).toBeLessThanOrEqual(ringMax.bytes)
  expect(bytes).toBeGreaterThan(ringMax.bytes - 2 * 16_100)
})

test('events are counted by sort, kind and code, of each sort in 200 pairs', () => {
  const records = new Records()
  records.add(event())
  records.add(event())
  records.add(event({ code: 'BUSY' }))
  records.add(event({ sort: 'restart' }))
  expect(records.counts()).toEqual([
    { sort: 'crash', kind: 'server', code: 'error', count: 2 },
    { sort: 'crash', kind: 'server', code: 'BUSY', count: 1 },
    { sort: 'restart', kind: 'server', code: 'error', count: 1 },
  ])
  for (let at = 0; at < 1_000; at++) records.add(event({ kind: `kind${at}` }))
  const crashes = records.counts().filter(({ sort }) => sort === 'crash')
  expect(crashes.length).toBe(201)
  expect(crashes.at(-1)).toMatchObject({ kind: 'other', code: 'other', count: 802 })
  expect(records.total('crash')).toBe(1_003)
})

test('a listener gets each event until it ends that', () => {
  const records = new Records()
  const heard: number[] = []
  const end = records.listen(({ at }) => heard.push(at))
  records.add(event({ at: 1 }))
  end()
  records.add(event({ at: 2 }))
  expect(heard).toEqual([1])
})
