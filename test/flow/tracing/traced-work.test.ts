/** The spans of runs and jobs, with a tracer that notes what it is asked for. */
import { expect, test } from 'vitest'
import {
  endTrace,
  tracedJob,
  tracedRun,
  tracedSend,
  tracedTry,
} from '../../../src/flow/tracing/traced-work.ts'
import { createSystem } from '../../../src/index.ts'
import {
  type SendFacts,
  type Traced,
  type Tracer,
  traceWith,
  type WorkFacts,
} from '../../../src/runtime/index.ts'

const trace = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }
const run = { type: 'order', id: '1' }

/** A System, which is traced or not, and what its tracer was asked for. */
const stage = (isTraced = true) => {
  const system = createSystem()
  const asked: WorkFacts[] = []
  const ends: unknown[] = []
  const sends: SendFacts[] = []
  const traced: Traced = {
    run: (work) => work(),
    place: undefined,
    retries: ({ attempt, of }) => void ends.push(`retry ${of} ${attempt}`),
    end: (failure) => void ends.push(failure ?? 'ok'),
  }
  const tracer: Tracer = {
    caused: () => undefined,
    traceId: () => undefined,
    turn: () => expect.unreachable(),
    call: () => undefined,
    work: (facts) => {
      asked.push(facts)
      return traced
    },
    send: (facts) => {
      sends.push(facts)
      return {
        ...traced,
        place: trace,
        end: (failure, end) => void ends.push(failure ?? end?.ids),
      }
    },
    place: () => undefined,
    scope: () => expect.unreachable(),
  }
  if (isTraced) traceWith(system, tracer)
  const activation = { ...run, background: { system }, traced: isTraced ? traced : undefined }
  return { system, asked, ends, sends, traced, activation }
}

const jobOf = (since: number, traced?: Traced) => ({
  ...{ attempt: 1, since, traced },
  claim: { number: 7, record: { at: 1_000, trace } },
})

test('without a tracer there is no span, and the promise of a try is the one of its step', () => {
  const { system, activation } = stage(false)
  const tried = Promise.resolve({ outcome: { kind: 'ok' } } as const)
  expect(tracedRun(system, run, trace)).toBeUndefined()
  expect(tracedJob(system, { name: 'mails', takesRuns: false }, jobOf(1_000))).toBeUndefined()
  expect(tracedTry(activation, { key: 'charge', attempt: 1 }, () => tried)).toBe(tried)
})

test('jobs get the place of their producer, whose span ends with their ids or with the refusal', async () => {
  const { system, sends, ends } = stage()
  const places: unknown[] = []
  const add = (given: unknown) => {
    places.push(given)
    return Promise.resolve([{ number: 7 }, { number: 8 }])
  }
  const error = new Error('busy')

  expect(await tracedSend(system, 'mails', 2, add)).toHaveLength(2)
  await expect(tracedSend(system, 'mails', 1, () => Promise.reject(error))).rejects.toBe(error)
  await tracedSend(stage(false).system, 'mails', 1, add)
  await tracedSend(undefined, 'mails', 1, add)

  expect(sends).toEqual([
    { queue: 'mails', count: 2 },
    { queue: 'mails', count: 1 },
  ])
  expect(ends).toEqual([['7', '8'], { error }])
  expect(places).toEqual([trace, undefined, undefined])
})

test('an activation is a part of the trace of its start, however late it is', () => {
  const { system, asked } = stage()
  tracedRun(system, run, trace)
  tracedRun(system, run, undefined)
  expect(asked.map(({ origin }) => origin)).toEqual([{ trace, isLate: false }, undefined])
})

test('a try of a step ends with its error', async () => {
  const { ends, activation } = stage()
  const error = new Error('failed')
  const tried = (outcome: { kind: 'ok' | 'error' } | undefined) =>
    tracedTry(activation, { key: 'charge', attempt: 1 }, async () => outcome && { outcome, error })
  await tried({ kind: 'ok' })
  await tried({ kind: 'error' })
  await tried(undefined)
  expect(ends).toEqual(['ok', { error }, 'ok'])
})

test.each([
  [61_000, false],
  [61_001, true],
])('a job that was added at 1,000 and begins at %i is late: %s', (since, isLate) => {
  const { system, asked } = stage()
  tracedJob(system, { name: 'mails', takesRuns: false }, jobOf(since))
  expect(asked.map(({ origin }) => origin)).toEqual([{ trace, isLate }])
})

test('a run that waits in a queue has no span of a job', () => {
  const { system, asked } = stage()
  expect(tracedJob(system, { name: 'mails', takesRuns: true }, jobOf(1_000))).toBeUndefined()
  expect(asked).toEqual([])
})

test('a try of a job ends once, after the event of its retry', () => {
  const { system, ends, traced } = stage()
  const error = { thrown: new Error('failed') }
  const job = jobOf(1_000, traced)
  endTrace({ job, error, retryAt: system.clock.now() + 1_000 }, system)
  endTrace({ job, error }, system)
  expect(ends).toEqual(['retry 7 1', { error: error.thrown }])
})
