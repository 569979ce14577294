/** Turns of durable actors on the simulated machine. */
import { afterEach, describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  ok,
  type Ref,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
} from '../../../src/index.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'

type Order = { readonly cents: number; readonly status: 'placed' | 'paid' | 'cancelled' }

type Messages = {
  calls: {
    place: (order: { cents: number }) => 'placed' | 'exists'
    status: () => string
    fail: () => void
    pay: () => string
    flood: (steps: number) => void
  }
  casts: { cancel: () => void }
  continues: { charge: () => void }
  alarms: { unpaid: () => void }
}

const charged: string[] = []

const order: DurableServer<Messages, Order | undefined> = {
  init: () => ok(undefined),
  calls: {
    place: (state, { cents }, context) => {
      if (state) return reply('exists', state)
      context.setAlarm('unpaid', { inMs: 60_000 })
      return reply('placed', { cents, status: 'placed' })
    },
    status: (state) => reply(state?.status ?? 'none', state),
    fail: () => {
      throw new Error('no')
    },
    flood: (state, steps, context) => {
      for (let step = 0; step < steps; step++) context.addContinue('charge')
      return reply(undefined, state)
    },
    pay: (state) => reply('ok', state, { continue: ['charge'] }),
  },
  casts: { cancel: (state) => noReply(state && { ...state, status: 'cancelled' }) },
  continues: {
    charge: async (state, _, context) => {
      charged.push(context.step)
      return noReply(state && { ...state, status: 'paid' })
    },
  },
  alarms: {
    unpaid: (state) =>
      noReply(state && state.status !== 'paid' ? { ...state, status: 'cancelled' } : state),
  },
  index: (state) => ({ status: state?.status }),
}

const orders = entity('order', order, { idleMs: 1_000 })

let simulation: Simulation | undefined
afterEach(async () => {
  await simulation?.close?.()
  simulation = undefined
  charged.length = 0
})

const started = async () => {
  simulation = await startSimulated({
    app: supervisor('app', {}, [orders]),
  })
  return simulation
}

describe('the process of a kind', () => {
  test('may be killed: its supervisor starts it again, and its entities wake from their rows', async () => {
    const s = await started()
    const ref = s.app.entity(orders).ref('9')
    expect(await s.during(call(ref, 'place', { cents: 5 }))).toBe('placed')
    for (let kill = 0; kill < 3; kill++) {
      const kind = s.system.processes().find(({ label }) => label === 'order')
      if (kind) s.system.kill(kind.ref)
      await s.advance(6_000)
      expect(await s.during(call(ref, 'status'))).toBe('placed')
    }
    expect(s.app.health().shards[0]?.phase).toBe('open')
  })
})

describe('an entity', () => {
  test('records many steps in one turn in linear time', async () => {
    const s = await started()
    const ref = s.app.entity(orders).ref('8')
    await expect(s.during(call(ref, 'flood', 100_000))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(await s.during(call(ref, 'status'))).toBe('none')
  })

  test('runs every step that one turn recorded, each under a name of its own', async () => {
    const s = await started()
    const ref = s.app.entity(orders).ref('6')
    await s.during(call(ref, 'flood', 3))
    expect(await s.during(call(ref, 'status'))).toBe('none')
    expect(charged).toHaveLength(3)
    expect(new Set(charged).size).toBe(3)
  })

  test('at rest is woken by an info too, and tells when it woke and when it rests', async () => {
    const s = await started()
    const told: unknown[] = []
    const events = telemetry<StorageEvents>(s.system)
    events.on('entity.woke', ({ entity: who }) => told.push(['woke', who]))
    events.on('entity.ended', ({ entity: who, reason }) => told.push(['ended', who, reason]))
    const ref = s.app.entity(orders).ref('7')
    s.system.spawn((context) =>
      context.send(ref as Ref<unknown> as Ref<{ infos: { hello: () => void } }>, 'hello'),
    )
    await s.advance(5_000)
    expect(told).toEqual([
      ['woke', 'order/7'],
      ['ended', 'order/7', 'normal'],
    ])
  })

  test('has its state after the machine crashed', async () => {
    const s = await started()
    const { app } = s
    const ref = app.entity(orders).ref('42')
    expect(await s.during(call(ref, 'status'))).toBe('none')
    expect(await s.during(call(ref, 'place', { cents: 5 }))).toBe('placed')
    expect(await s.during(call(ref, 'status'))).toBe('placed')
    expect(app.entity(orders).state('42')).toEqual({ cents: 5, status: 'placed' })
    cast(ref, 'cancel')
    expect(await s.during(call(ref, 'status'))).toBe('cancelled')
    await expect(s.during(call(ref, 'fail'))).rejects.toMatchObject({ code: 'EXITED' })
    expect(await s.during(call(ref, 'status'))).toBe('cancelled')
    expect(await s.during(call(ref, 'pay'))).toBe('ok')
    expect(await s.during(call(ref, 'status'))).toBe('paid')
    expect(charged).toHaveLength(1)
  })
})
