/** Failures by what has failed are bounded, and so are the records of crashes. */
import { expect, test } from 'vitest'
import { CrashRecords } from '../../../src/inspect/recorder/crash-records.ts'
import { FailureCounts } from '../../../src/inspect/recorder/failure-counts.ts'

test('of more than 150 kinds and codes each sort of work is counted alone', () => {
  const counts = new FailureCounts()
  for (let at = 0; at < 200; at++) counts.add('job', `kind ${at}`, 'error')
  counts.add('step', 'late', 'EPIPE')
  counts.add('job', 'kind 0', 'error')
  const all = [...counts.all]
  expect(all).toHaveLength(152)
  expect(all[0]).toEqual({ what: 'job', kind: 'kind 0', code: 'error', count: 2 })
  expect(all.slice(-2)).toEqual([
    { what: 'job', kind: 'other', code: 'other', count: 50 },
    { what: 'step', kind: 'other', code: 'other', count: 1 },
  ])
})

test('of more than 100 records of crashes the ones that came back last stay', () => {
  const crashes = new CrashRecords()
  const crash = (subject: string, at: number) =>
    crashes.add(
      { at, subject, text: 'x', reason: 'Error: no' },
      { process: 'task', pid: at, starters: ['<1>'], thrown: 'no' },
    )
  crash('first', 0)
  for (let at = 1; at < 100; at++) crash(`p${String.fromCodePoint(0x100 + at)}`, at)
  crash('first', 100)
  crash('last', 101)
  expect(crashes.all).toHaveLength(100)
  expect(crashes.of('first')).toMatchObject([{ what: 'task', count: 2, firstAt: 0, lastAt: 100 }])
  expect(crashes.of('<1>')[0]).toMatchObject({ pid: 2 })
})
