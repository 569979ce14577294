/** An orderly close and the promises of durable machines: they have time to end, as steps have. */

import { expect, test } from 'vitest'
import { assign, fromPromise, setup, spawnChild, stopChild } from 'xstate'
import { entity, name, supervisor, worker } from '../../../src/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Ms = number

/** Orders that are charged and then shipped, by promises that take some ms. */
const world = async ({ fails = false } = {}) => {
  const seen: string[] = []
  const takes = (what: string) =>
    fromPromise<string, Ms>(async ({ input, self, signal }) => {
      const step = StateMachine.stepOf(self).split('/').slice(-2).join('/')
      seen.push(`${what} begins ${step}`)
      signal.addEventListener('abort', () => seen.push(`${what} aborted`))
      await new Promise<void>((resolve) => s.clock.after(input, resolve))
      seen.push(`${what} ends`)
      if (fails) throw new Error(`no ${what}`)
      return what
    })
  const machine = setup({
    types: {} as {
      context: { ms: Ms; got: readonly string[] }
      events: { type: 'pay'; ms: Ms } | { type: 'race'; ms: Ms } | { type: 'flash' }
    },
    actors: { charge: takes('charge'), ship: takes('ship'), slow: takes('slow') },
    actions: {
      got: assign({
        got: ({ context, event }) => {
          const { output, error } = event as { output?: string; error?: Error }
          return [...context.got, output ?? error?.message ?? 'nothing']
        },
      }),
      told: () => void seen.push('told'),
    },
  }).createMachine({
    id: 'order',
    context: { ms: 0, got: [] },
    initial: 'new',
    on: {
      pay: { target: '.paying', actions: assign({ ms: ({ event }) => event.ms }) },
      race: { target: '.racing', actions: assign({ ms: ({ event }) => event.ms }) },
      flash: { target: '.flash' },
    },
    states: {
      new: {},
      paying: {
        invoke: {
          ...{ id: 'bank', src: 'charge', input: ({ context }) => context.ms },
          onDone: { target: 'shipping', actions: ['got', 'told'] },
          onError: { target: 'new', actions: 'got' },
        },
      },
      shipping: {
        invoke: { src: 'ship', input: 10, onDone: { target: 'new', actions: 'got' } },
      },
      racing: {
        invoke: [
          { src: 'slow', input: 1_000_000 },
          {
            ...{ src: 'charge', input: ({ context }) => context.ms },
            onDone: { target: 'new', actions: 'got' },
          },
        ],
      },
      flash: {
        entry: [spawnChild('slow', { id: 'flash', input: 1_000_000 }), stopChild('flash')],
      },
    },
  })
  const server = StateMachine.durable(machine)
  const kind = entity('order', server)
  const s = await simulated({
    app: supervisor('app', {}, [kind, worker('clerk', server, { durable: true })]),
  })
  return {
    ...{ s, seen },
    ref: (id: string) => s.app.entity(kind).ref(id),
    clerk: () => s.system.to(name<MessagesOf<typeof server>>('clerk')),
    state: (id: string) => s.app.entity(kind).state(id),
    got: (id: string) => s.app.entity(kind).state(id)?.context.got,
    close: async (deadlineMs: number) => {
      const at = s.clock.monotonic()
      const { cutOff } = await s.during(s.app.close({ deadlineMs }))
      return { cutOff, ms: s.clock.monotonic() - at }
    },
  }
}

test('close waits for an invoked promise and its onDone turn, which lets no other begin', async () => {
  const w = await world()
  StateMachine.send(w.ref('a'), { type: 'pay', ms: 3_000 })
  await w.s.advance(10)
  const { cutOff, ms } = await w.close(30_000)
  expect([cutOff, w.seen]).toEqual([[], ['charge begins 2/0', 'charge ends']])
  expect(ms).toBeGreaterThan(2_900)
  expect(ms).toBeLessThan(3_100)

  await w.s.start()
  expect([w.state('a')?.value, w.got('a')]).toEqual(['shipping', ['charge']])
  await w.s.advance(2_000)
  expect(w.seen.slice(2)).toEqual(['told', 'ship begins 3/1', 'ship ends'])
  expect([w.state('a')?.value, w.got('a')]).toEqual(['new', ['charge', 'ship']])
})

test('a promise that is rejected in a close has its onError turn', async () => {
  const w = await world({ fails: true })
  StateMachine.send(w.ref('a'), { type: 'pay', ms: 3_000 })
  await w.s.advance(10)
  const { cutOff, ms } = await w.close(30_000)
  expect(cutOff).toEqual([])
  expect(ms).toBeLessThan(3_100)
  await w.s.start()
  expect([w.state('a')?.value, w.got('a')]).toEqual(['new', ['no charge']])
})

test('a promise that does not end is named and aborted, and begins anew after the next start', async () => {
  const w = await world()
  StateMachine.send(w.ref('a'), { type: 'pay', ms: 900 })
  StateMachine.send(w.clerk(), { type: 'pay', ms: 700 })
  await w.s.advance(10)
  const { cutOff, ms } = await w.close(1_000)
  expect(cutOff).toEqual([{ part: 'work', actor: 'order/a', what: 'promise charge' }])
  expect(ms).toBeGreaterThan(799)
  expect(ms).toBeLessThan(1_000)
  expect(w.seen.filter((what) => what.endsWith('aborted'))).toEqual(['charge aborted'])
  const line = w.s.log.lines.find(({ message }) => message.includes('work undone'))
  expect(line?.message).toContain('promise charge of order/a was cut off')

  w.seen.length = 0
  await w.s.start()
  await w.s.advance(3_000)
  expect(w.seen).toContain('charge begins 2/0')
  expect(w.got('a')).toEqual(['charge', 'ship'])
})

test('close does not wait for a promise that its machine has stopped', async () => {
  const w = await world()
  StateMachine.send(w.ref('a'), { type: 'race', ms: 2_000 })
  StateMachine.send(w.ref('b'), { type: 'flash' })
  await w.s.advance(10)
  const { cutOff, ms } = await w.close(30_000)
  expect(cutOff).toEqual([])
  expect(ms).toBeLessThan(2_100)
  expect(w.seen.slice(1)).toEqual(['charge begins 2/1', 'charge ends', 'slow aborted'])
  await w.s.start()
  expect([w.state('a')?.value, w.got('a')]).toEqual(['new', ['charge']])
})

test('a promise whose turn becomes durable in a close does not begin', async () => {
  const w = await world()
  w.s.syncMs = 100
  StateMachine.send(w.ref('a'), { type: 'pay', ms: 10 })
  await w.s.advance(20)
  const { cutOff } = await w.close(30_000)
  expect([cutOff, w.seen]).toEqual([[], []])
  w.s.syncMs = 1
  await w.s.start()
  expect(w.state('a')?.value).toBe('paying')
  await w.s.advance(3_000)
  expect(w.got('a')).toEqual(['charge', 'ship'])
})
