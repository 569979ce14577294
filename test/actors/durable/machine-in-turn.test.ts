/** Actions that are part of the turn of their transition: what they write is durable with the new state, or not at all. */

import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { call, entity, supervisor, worker } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import type { startSimulated } from '../../../src/testing/index.ts'
import { codeOf, machine, simulated } from '../../support/worlds/simulated-instance.ts'

type Event = { type: 'pay'; cents: number } | { type: 'fail' } | { type: 'look' } | { type: 'slow' }

const { inTurn } = StateMachine

const inner = setup({
  actions: { note: inTurn((_, turn) => turn.writes.put(`{order/${turn.id}}:inner`, 'ran')) },
}).createMachine({ id: 'inner', initial: 'a', states: { a: { entry: 'note' } } })

let begun = 0

const order = setup({
  types: {} as { context: { readonly cents: number }; events: Event },
  actors: { inner },
  actions: {
    begin: inTurn((_, turn) => {
      begun++
      turn.writes.put(`{order/${turn.id}}:begun`, true)
    }),
    pay: assign({ cents: ({ event }) => (event.type === 'pay' ? event.cents : 0) }),
    book: inTurn(({ context }, turn, params: { readonly currency: string }) => {
      turn.writes.put(`{order/${turn.id}}:paid`, `${context.cents} ${params.currency}`)
      turn.journal({ id: turn.step, type: 'paid', command: context.cents })
    }),
    fail: inTurn((_, turn) => {
      turn.writes.put(`{order/${turn.id}}:failed`, true)
      throw new Error('failed in the turn')
    }),
    slow: inTurn((() => Promise.resolve()) as never),
  },
}).createMachine({
  id: 'order',
  context: { cents: 0 },
  initial: 'open',
  entry: 'begin',
  states: {
    open: {
      on: {
        pay: { target: 'paid', actions: ['pay', { type: 'book', params: { currency: 'EUR' } }] },
        fail: { target: 'paid', actions: 'fail' },
        slow: { target: 'paid', actions: 'slow' },
      },
    },
    paid: { invoke: { src: 'inner' } },
  },
})
const answers = {
  pay: ({ value }: { value: string }) => value,
  fail: ({ value }: { value: string }) => value,
  slow: ({ value }: { value: string }) => value,
  look: ({ value }: { value: string }) => value,
}
const durable = StateMachine.durable(order, { answers: answers as never })
const orders = entity('order', durable as never)
const tree = supervisor('app', {}, [orders])

type Sent = { calls: { event: (event: Event) => string; snapshot: () => unknown } }

const world = async (app: Parameters<typeof startSimulated>[0] = { app: tree }) => {
  const s = await simulated(app)
  const ref = s.app.entity<Sent>('order').ref('1')
  const send = (event: Event) => s.during(call(ref, 'event', event, { position: true }))
  return { s, ref, send, get: (key: string) => s.app.store.get(`{order/1}:${key}`) }
}

test('an action in its turn writes and journals with the transition, in one frame', async () => {
  const { s, send, get } = await world()
  const { value, position } = await send({ type: 'pay', cents: 5 })

  expect(value).toBe('paid')
  expect([get('begun'), get('paid'), get('inner')]).toEqual([true, '5 EUR', 'ran'])
  const read = async (): Promise<unknown[]> => {
    const found = []
    for await (const each of s.app.journal.entries()) found.push([each.type, each.lsn])
    return found
  }
  const entries = await s.during(read())
  expect(entries).toEqual([['paid', position.lsn]])
  // There is no step to follow: nothing of it was recorded.
  expect(s.app.entity<Sent, { actions: unknown[] }>('order').state('1')?.actions).toEqual([])
})

test('a look at an unborn machine runs no action', async () => {
  const { s, ref, get } = await world()
  const before = begun
  await s.during(call(ref, 'snapshot'))
  expect([begun - before, get('begun')]).toEqual([0, undefined])
})

test('a throw fails the turn: nothing of it is there, and the next event finds the state before', async () => {
  const { s, send, get } = await world()
  await send({ type: 'look' })
  for (const type of ['fail', 'slow'] as const) expect(await codeOf(send({ type }))).toBe('EXITED')
  expect(get('failed')).toBeUndefined()
  expect(s.app.entity<Sent, { value: string }>('order').state('1')?.value).toBe('open')
  expect((await send({ type: 'pay', cents: 7 })).value).toBe('paid')
  expect(get('paid')).toBe('7 EUR')
})

test('a refused turn leaves nothing, and is made anew with the next event', async () => {
  const { s, send, get } = await world()
  const lock = { owner: 'other', leaseMs: 1_000 }
  await s.during(s.app.store.lock(['{order/1}:paid'], lock))
  expect(await codeOf(send({ type: 'pay', cents: 5 }))).toBe('LOCKED')
  expect([get('begun'), get('paid')]).toEqual([undefined, undefined])
  await s.during(s.app.store.unlock(['{order/1}:paid'], { owner: 'other' }))
  expect((await send({ type: 'pay', cents: 6 })).value).toBe('paid')
  expect([get('begun'), get('paid'), get('inner')]).toEqual([true, '6 EUR', 'ran'])
})

test('after a crash at any I/O operation the writes are there exactly with the state', {
  tags: ['slow'],
}, async () => {
  const outcomes = new Set<string>()
  for (let at = 1; at <= 61; at += 5) {
    const m = machine({ seed: at })
    const first = await m.start({ app: tree })
    m.disk.inject({ at, fault: { kind: 'halt' } })
    const paid = call(first.entity<Sent>('order').ref('1'), 'event', { type: 'pay', cents: at })
    await m.during(paid, 300).catch(() => undefined)
    m.disk.halt()
    await m.during(first.close({ deadlineMs: 0 })).catch(() => undefined)
    m.disk.crash()
    m.disk.clearFaults()
    await m.during(first.system.stop()).catch(() => undefined)
    m.disk.killProcess()

    const second = await m.start({ app: tree })
    const state = second.entity<Sent, { value: string }>('order').state('1')?.value
    const keys = ['begun', 'paid', 'inner'].map((key) => second.store.get(`{order/1}:${key}`))
    expect(keys).toEqual(state === 'paid' ? [true, `${at} EUR`, 'ran'] : Array(3).fill(undefined))
    outcomes.add(`${state}`)
    await m.during(second.close())
    await m.during(second.system.stop())
  }
  expect(outcomes).toEqual(new Set(['undefined', 'paid']))
})

test('a durable worker does it as its machine begins; a machine that is not durable refuses', async () => {
  const app = supervisor('app', {}, [
    worker('single', durable as never, { durable: true, arg: undefined as never }),
  ])
  const s = await simulated({ app })
  await s.clock.advance(100)
  expect(s.app.store.get('{order/single}:begun')).toBe(true)
  const plain = s.during(s.app.system.start(StateMachine.server(inner)))
  await expect(plain).rejects.toMatchObject({ code: 'EXITED' })
})
