/** The events that a durable machine sends to entities. */
import { expect, onTestFinished, test } from 'vitest'
import { type AnyActorRef, sendTo, setup } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { startSimulated } from '../../../src/testing/index.ts'

const order = setup({ types: {} as { events: { type: 'paid' } } }).createMachine({
  initial: 'open',
  states: { open: { on: { paid: 'paid' } }, paid: {} },
})
const orders = entity('order', StateMachine.durable(order))

const bank = setup({ types: {} as { events: { type: 'pay' } } }).createMachine({
  initial: 'idle',
  states: {
    idle: { on: { pay: 'paid' } },
    paid: {
      entry: sendTo(
        ({ self }) => {
          const { app } = StateMachine.contextOf(self)
          return StateMachine.actorOf(app.entity(orders).ref('7')) as unknown as AnyActorRef
        },
        { type: 'paid' },
      ),
    },
  },
})
const banks = entity('bank', StateMachine.durable(bank))

/** The first write is the turn that records the event. */
const afterTheTurn = {
  at: 2,
  operation: 'write',
  path: '/data/shard-0/wal/',
  fault: { kind: 'halt' },
} as const

test('an event for an entity at rest is sent again after a power cut between its turn and that', async () => {
  // The kind of the sender starts before that of the target.
  const s = await startSimulated({ app: supervisor('app', {}, [banks, orders]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  const states = () =>
    [s.app.entity(banks).state('1'), s.app.entity(orders).state('7')].map((state) => state?.value)
  s.disk.inject(afterTheTurn)
  StateMachine.send(s.app.entity(banks).ref('1'), { type: 'pay' })
  await s.advance(40)
  expect(s.disk.isHalted).toBe(true)

  await s.powerCut({ unsynced: 'lost' })
  await s.start()
  expect(states()).toEqual(['paid', undefined])
  await s.advance(2_000)

  expect(states()).toEqual(['paid', 'paid'])
})

test('an event for an entity whose kind is in the tree no more stays recorded until it runs', async () => {
  const s = await startSimulated({ app: supervisor('app', {}, [banks, orders]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  const actions = () => s.app.entity(banks).state('1')?.actions
  s.disk.inject(afterTheTurn)
  StateMachine.send(s.app.entity(banks).ref('1'), { type: 'pay' })
  await s.advance(40)
  await s.powerCut({ unsynced: 'lost' })
  await s.start({ app: supervisor('app', {}, [banks]) })
  await s.advance(40)
  expect(actions()).toMatchObject([{ kind: 'send', name: 'order/7', entity: ['order', '7'] }])

  await s.kill()
  await s.start({ app: supervisor('app', {}, [banks, orders]) })
  await s.advance(2_000)
  expect(s.app.entity(orders).state('7')?.value).toBe('paid')
  expect(actions()).toEqual([])
})
