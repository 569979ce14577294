/** Handlers of durable actors that answer something else than they may, as only JavaScript can. */
import { afterEach, describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  type Failed,
  noReply,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { work: () => void; ring: (inMs: number) => void; look: () => number }
  casts: { write: (key: string) => void; odd: () => void }
  continues: { work: () => void }
  alarms: { ring: () => void }
}

/** What the handlers of tries answer. */
let answers: (state: number) => unknown = () => undefined
/** When they ran. */
let tries: number[] = []
/** What a cast answers when it is handled again. */
let again: unknown
let handled = 0

afterEach(() => {
  tries = []
  handled = 0
})

const tried = (state: number, { now }: { now(): number }): unknown => {
  tries.push(now())
  // A defect that runs them without a pause must not run for ever.
  if (tries.length > 20) throw new Error('too often')
  return answers(state)
}

const server: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    work: (state) => reply(undefined, state + 1, { continue: ['work'] }),
    ring: (state, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, state + 1)
    },
    look: (state) => reply(state, state),
  },
  casts: {
    write: (state, key, context) => {
      context.writes.put(key, 1)
      return noReply(state + 1)
    },
    odd: (state) => (handled++ === 0 ? noReply(state + 1) : again) as never,
  },
  retry: { jitter: 0 },
  continues: { work: (state, _, context) => tried(state, context) as never },
  alarms: { ring: (state, _, context) => tried(state, context) as never },
}

const world = async (more: Partial<DurableServer<Messages, number>> = {}) => {
  const kind = entity('thing', { ...server, ...more })
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const ends: unknown[] = []
  const failures: (readonly [what: string, tries: number])[] = []
  const events = telemetry<StorageEvents>(s.system)
  events.on('entity.ended', ({ reason }) => ends.push(reason))
  events.on('entity.failed', ({ what, tries: count }) => failures.push([what, count]))
  return { s, ends, failures, handle: s.app.entity(kind), ref: s.app.entity(kind).ref('1') }
}

describe.each<[string, (state: number) => unknown]>([
  ['answers nothing', () => undefined],
  ['answers a call that nobody made', (state) => reply(1, state)],
  ['answers nothing later', async () => undefined],
])('a try that %s', (_, answer) => {
  test.each(['work', 'ring'] as const)(
    'has failed, and the next one is later: %s',
    async (what) => {
      answers = answer
      const { s, ref, ends, failures } = await world()
      await s.during(what === 'work' ? call(ref, 'work') : call(ref, 'ring', 10))
      await s.advance(5_000)
      const shown = what === 'work' ? 'continue work' : 'alarm ring'
      expect(failures).toEqual([1, 2, 3].map((count) => [shown, count]))
      expect(tries).toHaveLength(3)

      answers = (state) => noReply(state + 10)
      await s.advance(5_000)
      expect(await s.during(call(ref, 'look'))).toBe(11)
      expect(ends).toEqual([])
    },
  )
})

test('onFailed gets what a try answered, and one that answers nothing itself parks the step', async () => {
  answers = () => undefined
  const failed: Failed<Messages>[] = []
  const onFailed = (_: number, last: Failed<Messages>): never => failed.push(last) as never
  const { s, ref, ends, handle } = await world({ retry: { max: 2 }, onFailed })
  await s.during(call(ref, 'work'))
  await s.advance(10_000)

  const message = 'continue work: expected noReply or stop as its answer, found undefined'
  expect(failed).toMatchObject([{ tries: 2, error: { code: 'INVALID_ARGUMENT', message } }])
  expect(handle.blocked().get('1')?.message).toContain('parked continue work')
  expect([await s.during(call(ref, 'look')), ends]).toEqual([1, []])
})

test.each([undefined, { kind: 'none' }, reply(1, 1)])(
  'a message that answers %j when it is handled again ends its actor',
  async (answer) => {
    const { s, ref, ends } = await world()
    await s.during(s.app.store.lock(['{thing/1}:locked'], { owner: 'other', leaseMs: 60_000 }))
    again = answer
    cast(ref, 'write', '{thing/1}:locked')
    cast(ref, 'odd')
    await s.advance(1_000)
    expect([handled, ends]).toEqual([2, [['bad_return_value', answer]]])
    expect(await s.during(call(ref, 'look'))).toBe(0)
  },
)
