/** Long answers: the shape is whole, values of users are redacted alone, and what was cut is named. */
import { describe, expect, test } from 'vitest'
import { shownAnswer, view } from '../../../src/inspect/prompt/answer-view.ts'
import { pastTable } from '../../../src/inspect/prompt/history-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import {
  deadTable,
  jobsTable,
  runFacts,
  runTable,
  scheduleTable,
} from '../../../src/inspect/views/flow-view.ts'
import { codeOf } from '../../support/error-codes.ts'

const times = { startedAt: 0, since: 0, addedAt: 0, failedAt: 0, at: 0, time: 0 }
const error = { name: 'TypeError', message: 'no' }
const run = { ...times, status: 'failed', attempt: 1, progress: { left: 1, token: 'seven' }, error }

/** An answer with a list of `rows`, and its text. */
type Answer = { readonly shape: object; readonly text: (shown: never) => string }

const cursor = 'the next'
const page = (rows: readonly object[]) => ({ entries: rows, cursor, exhausted: false })
const answers: Readonly<Record<string, (rows: readonly object[]) => Answer>> = {
  runs: (rows) => ({
    shape: page(rows.map((row) => ({ ...run, ...row }))),
    text: (shown) => runTable(shown, plainPaint),
  }),
  operations: (rows) => ({
    shape: {
      ...run,
      input: {},
      unread: [],
      steps: page(rows.map((row) => ({ ...times, key: 'k', kind: 'step', tries: 0, ...row }))),
    },
    text: (shown) => runFacts('order/1', shown, plainPaint),
  }),
  jobs: (rows) => ({
    shape: page(rows.map((row) => ({ ...times, priority: 0, tries: 0, input: { a: 1 }, ...row }))),
    text: jobsTable,
  }),
  'dead jobs': (rows) => ({
    shape: page(rows.map((row) => ({ ...times, tries: 1, error, job: { a: 1 }, ...row }))),
    text: deadTable,
  }),
  schedules: (rows) => ({
    shape: page(
      rows.map((row) => ({ name: 's', cron: '*', zone: 'UTC', workflow: 'w', waiting: 0, ...row })),
    ),
    text: (shown) => scheduleTable(shown, plainPaint),
  }),
  turns: (rows) => ({
    shape: {
      turns: rows.map((row) => ({
        ...times,
        ...{ lsn: 1, seq: 1, cause: { kind: 'call', name: 'add' }, state: { a: 1 } },
        ...{ steps: [], alarms: [], writes: [], entries: [], rows: [], operations: [], ...row },
      })),
      ...{ cursor, firstLsn: 1, isCut: false },
    },
    text: (shown) => pastTable('order/1', shown, (next) => `before ${next}`),
  }),
}

// A page of a list has 1,000 rows at most. `long-lists.test.ts` has longer ones, page by page.
const sizes = [0, 1, 63, 64, 1_000]
const rowsOf = (count: number) => Array.from({ length: count }, (_, at) => ({ id: `id${at}` }))

describe.each(Object.entries(answers))('a list of %s', (_, answerOf) => {
  test.each(sizes)('of %d has all of them and its cursor as a text', (count) => {
    const { shape, text } = answerOf(rowsOf(count))
    const lines = view(false, shape, text as never).text.split('\n')
    expect(lines.length).toBeGreaterThan(count)
    // A list without rows has no page after it.
    expect(lines.at(-1)).toMatch(count === 0 ? /none|the next/ : /the next/)
    expect(lines.join('\n')).not.toMatch(/undefined|NaN|…/)
  })

  test.each(sizes)('of %d is whole as JSON', (count) => {
    const { shape, text } = answerOf(rowsOf(count))
    const { text: line } = view(true, shape, text as never)
    const ids = [...line.matchAll(/"id":"(id\d+)"/g)].map(([, id]) => id)
    expect(ids).toEqual(rowsOf(count).map(({ id }) => id))
    const found = JSON.parse(line)
    expect((found.steps ?? found).cursor).toBe(cursor)
    expect(line).not.toMatch(/…|seven/)
  })
})

test('an answer of more than two million characters is refused with TOO_LARGE', {
  tags: ['slow'],
}, () => {
  const shape = page(rowsOf(200_000))
  expect(codeOf(() => view(true, shape, () => ''))).toBe('TOO_LARGE')
})

describe('values of users in an answer', () => {
  const large = Array.from({ length: 5_000 }, (_, at) => at)

  test('are cut one at a time, and the row names the field', () => {
    const rows = [
      { id: '1', input: large },
      { id: '2', input: 7, result: { a: large } },
      { id: '3' },
    ]
    const [first, second, third] = shownAnswer(page(rows)).entries as Record<string, unknown>[]
    expect(first).toMatchObject({ id: '1', cut: ['input'] })
    expect(first?.input).toContain(7)
    expect(second).toMatchObject({ id: '2', input: 7, cut: ['result'] })
    expect(third).toEqual({ id: '3' })
  })

  test('have fewer members each in a longer page, and no row is left out', () => {
    const shown = shownAnswer(page(rowsOf(500).map((row) => ({ ...row, input: large }))))
    const entries = shown.entries as unknown as {
      readonly input: unknown[]
      readonly cut: unknown
    }[]
    expect(entries.map(({ cut }) => cut)).toEqual(Array(500).fill(['input']))
    expect(entries.map(({ input }) => input.length)).toEqual(Array(500).fill(101))
  })

  test('hide their secrets, and names of the answer hide nothing', () => {
    const job = { id: '1', tryKey: 'mails/1/2', input: { token: 'seven' }, log: ['a'] }
    expect(shownAnswer(job)).toEqual({ ...job, input: { token: '[hidden string of 5]' } })
  })
})
