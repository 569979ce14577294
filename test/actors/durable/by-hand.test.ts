/** Steps and alarms of durable actors that an operator runs or cancels by hand. */
import { beforeEach, expect, test } from 'vitest'
import { call, type DurableServer, entity, noReply, reply, supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type State = readonly string[]
type Messages = {
  calls: { charge: () => void; remind: () => void; end: () => void; done: () => State }
  continues: { charge: () => void }
  alarms: { remind: () => void }
}

let isAway = true
let tries = 0

const server: DurableServer<Messages, State> = {
  retry: { baseMs: 60_000, max: 2, jitter: 0 },
  init: () => [],
  calls: {
    charge: (state) => reply(undefined, [...state], { continue: ['charge'] }),
    remind: (state, _, context) => {
      context.setAlarm('remind', { inMs: 60_000 })
      return reply(undefined, [...state])
    },
    end: (state, _, context) => {
      context.end({ keepMs: 60_000 })
      return reply(undefined, state)
    },
    done: (state) => reply(state, state),
  },
  continues: {
    charge: (state) => {
      tries++
      if (isAway) throw new Error('the bank is away')
      return noReply([...state, 'charged'])
    },
  },
  alarms: { remind: (state) => noReply([...state, 'reminded']) },
}

const order = entity('order', server, { idleMs: 5_000 })

const world = async () => {
  const s = await simulated({ seed: 1, app: supervisor('app', {}, [order]) })
  const handle = s.app.entity(order)
  const ask = (name: 'charge' | 'remind' | 'end' | 'done', id = '1') =>
    s.during(call(s.app.entity(order).ref(id), name))
  return { s, ask, handle }
}

beforeEach(() => {
  isAway = true
  tries = 0
})

test('a step that waits for its next try runs at once, also of an actor at rest', async () => {
  const { s, ask, handle } = await world()
  await ask('charge')
  await s.advance(10_000)
  expect([tries, handle.ref('1').pid]).toEqual([1, undefined])

  isAway = false
  expect(await s.during(handle.retryStep('1', 'charge'))).toBe(true)
  await s.advance(10)
  expect([tries, await ask('done')]).toEqual([2, ['charged']])
  expect(await s.during(handle.retryStep('1', 'charge'))).toBe(false)
})

test('a try by hand that fails counts, and a parked step has all its tries again', async () => {
  const { s, ask, handle } = await world()
  await ask('charge')
  await s.advance(10)
  await s.during(handle.retryStep('1', 'charge'))
  await s.advance(10)
  expect([tries, handle.blocked().size]).toEqual([2, 1])

  await s.during(handle.retryStep('1', 'charge'))
  await s.advance(100_000)
  expect([tries, handle.blocked().size]).toEqual([4, 1])
})

test('an alarm fires now, or never, and both outlast a power cut', async () => {
  const { s, ask, handle } = await world()
  for (const id of ['1', '2']) await ask('remind', id)
  expect(await s.during(handle.fireAlarm('1', 'remind'))).toBe(true)
  expect(await s.during(handle.cancelAlarm('2', 'remind'))).toBe(true)
  await s.powerCut()
  await s.start()
  await s.advance(100_000)

  expect(await ask('done', '1')).toEqual(['reminded'])
  expect(await ask('done', '2')).toEqual([])
  expect(await s.during(s.app.entity(order).cancelAlarm('2', 'remind'))).toBe(false)
})

test('the end of an actor is no alarm of its own, and an unborn one is not woken', async () => {
  const { s, ask, handle } = await world()
  await ask('end')
  expect(await s.during(handle.fireAlarm('1', '$end'))).toBe(false)
  expect(await s.during(handle.cancelAlarm('1', '$end'))).toBe(false)
  expect(handle.endsAt('1')).toBeDefined()

  expect(await handle.retryStep('none', 'charge')).toBe(false)
  expect(handle.ref('none').pid).toBeUndefined()
  await expect(handle.fireAlarm('1', '')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
