/** The lines of the log about work that fails: which there are, at which level, and how many. */
import { describe, expect, test } from 'vitest'
import { type FailedTry, FailureLog } from '../../../src/actors/turns/failure-log.ts'
import type { KeptError } from '../../../src/errors.ts'

const setUp = () => {
  const lines: { level: string; message: string; facts: Record<string, unknown> }[] = []
  let now = 0
  const log = (level: string) => (message: string, facts?: object) =>
    void lines.push({ level, message, facts: { ...facts } })
  const logger = { error: log('error'), warn: log('warn'), info: log('info') }
  return {
    log: new FailureLog({ logger, clock: { now: () => now } }),
    lines,
    texts: () => lines.splice(0).map(({ message }) => message),
    pass: (ms: number) => {
      now += ms
    },
  }
}

const workOf = (id: number) => ({
  ...{ kind: 'mails', subject: `mails: job ${id}`, alike: 'mails: job', which: `job ${id}` },
  facts: { queue: 'mails' },
})

const tried = (tries: number): FailedTry => ({
  ...{ tries, triesMax: 12, next: 'the next one is in 1000 ms', retryAt: 1_000, since: 0 },
})

const gone: KeptError = {
  ...{ name: 'TypeError', message: 'fetch failed', stack: '    at send (/app/mail.ts:7:11)' },
  causes: [{ name: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED ::1:25' }],
}

test('the first failure of a kind and an error is a line with the try, the causes and the stack', () => {
  const { log, lines } = setUp()
  log.failed(workOf(1), tried(1), gone)
  log.failed(workOf(2), tried(1), gone)

  expect(lines).toMatchObject([
    {
      level: 'warn',
      message:
        'mails: job 1 failed at try 1 of 12, the next one is in 1000 ms: TypeError: fetch failed; cause: ECONNREFUSED: connect ECONNREFUSED ::1:25',
      facts: { queue: 'mails', tries: 1, triesMax: 12, at: 1_000 },
    },
  ])
  const reason = lines[0]?.facts.reason as Error
  expect(reason.stack).toBe('TypeError: fetch failed\n    at send (/app/mail.ts:7:11)')
  expect(reason.cause).toMatchObject({ code: 'ECONNREFUSED' })
})

test('another error of the kind is a line of its own', () => {
  const { log, texts } = setUp()
  log.failed(workOf(1), tried(1), gone)
  log.failed(workOf(1), tried(2), { name: 'RangeError', message: 'no' })
  expect(texts()).toHaveLength(2)
})

test('further failures are lines at the 10th, the 100th and the 1,000th', () => {
  const { log, texts } = setUp()
  for (let id = 0; id < 1_500; id++) log.failed(workOf(id), tried(1), gone)
  expect(texts().slice(1)).toEqual([
    expect.stringMatching(/^mails: job has failed 10 times; job 9 at try 1 of 12, /),
    expect.stringMatching(/^mails: job has failed 100 times; job 99 at try 1 of 12, /),
    expect.stringMatching(/^mails: job has failed 1000 times; job 999 at try 1 of 12, /),
  ])
})

test('work that has failed three times is stuck, and says for how long', () => {
  const { log, texts, pass } = setUp()
  for (const tries of [1, 2, 3, 4]) {
    log.failed(workOf(1), tried(tries), gone)
    pass(2_000)
  }
  expect(texts()).toEqual([
    expect.stringMatching(/^mails: job 1 failed at try 1 of 12/),
    expect.stringMatching(/^mails: job 1 is stuck: it has failed 3 times within 4 s, the next one/),
  ])
})

test('work without another try is not stuck', () => {
  const { log, texts } = setUp()
  for (const tries of [1, 2]) log.failed(workOf(1), tried(tries), gone)
  log.failed(workOf(1), { ...tried(3), retryAt: undefined }, gone)
  expect(texts()).toHaveLength(1)
})

test('an end is an error, and a recovery is none', () => {
  const { log, lines } = setUp()
  log.ended(workOf(1), 'is dead after 12 tries', gone)
  log.recovered(workOf(1), 'is done at try 1, after it was dead')
  expect(lines).toMatchObject([
    {
      level: 'error',
      message: expect.stringMatching(/^mails: job 1 is dead after 12 tries: Type/),
    },
    { level: 'info', message: 'mails: job 1 is done at try 1, after it was dead' },
  ])
})

test('a kind has ten lines of a sort in a minute: the tenth says so, and the next one how many were left out', () => {
  const { log, texts, pass } = setUp()
  for (let id = 1; id <= 52; id++) {
    log.ended(workOf(id), 'is dead', gone)
    pass(100)
  }
  const first = texts()
  expect(first).toHaveLength(10)
  expect(first[8]).not.toContain('left out')
  expect(first[9]).toMatch(/ \(further ones of mails are left out for 59 s\)$/)
  log.ended({ ...workOf(1), kind: 'bills' }, 'is dead', gone)
  expect(texts()).toHaveLength(1)
  pass(60_000)
  log.ended(workOf(99), 'is dead', gone)
  expect(texts()).toEqual([expect.stringMatching(/ \(42 lines like this one were left out\)$/)])
})

describe('kinds of failures', () => {
  test('are counted, and from 1 again after ten minutes without one', () => {
    const log = setUp().log
    expect([0, 599_999, 1_199_999].map((now) => log.seen('a', now))).toEqual([1, 2, 1])
  })

  test('beyond 1,000 take the place of the one that was seen longest ago', () => {
    const log = setUp().log
    for (let at = 0; at < 1_000; at++) log.seen(`kind ${at}`, at)
    expect(log.seen('kind 0', 1_000)).toBe(2)
    expect([log.seen('one more', 1_001), log.seen('one more', 1_002)]).toEqual([1, 2])
    expect(log.seen('kind 0', 1_003)).toBe(3)
    expect(log.seen('kind 1', 1_004)).toBe(1)
  })
})
