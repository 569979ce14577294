/** An observable inside a durable machine: what it has told is saved without its subscription. */

import { expect, test } from 'vitest'
import { assign, fromObservable, setup } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Observer = { next(value: number): void }

test('onSnapshot of an observable is saved with each value, and the observable begins again after a crash', async () => {
  const told: unknown[] = []
  const machine = setup({
    types: {} as { context: { sum: number }; events: { type: 'go' } },
    actors: {
      values: fromObservable((() => ({
        subscribe: (observer: Observer) => {
          told.push('begins')
          observer.next(1)
          s.clock.after(50, () => observer.next(2))
          return { unsubscribe: () => {} }
        },
      })) as never),
    },
  }).createMachine({
    id: 'm',
    context: { sum: 0 },
    initial: 'idle',
    states: {
      idle: { on: { go: 'adding' } },
      adding: {
        invoke: {
          src: 'values',
          onSnapshot: {
            actions: [
              assign({
                sum: ({ context, event }) => context.sum + Number(event.snapshot.context ?? 0),
              }),
              ({ event }: { event: { snapshot: { context?: unknown } } }) =>
                told.push(event.snapshot.context),
            ],
          },
        },
      },
    },
  })
  const kind = entity('m', StateMachine.durable(machine))
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const state = () => s.app.entity(kind).state('1')
  StateMachine.send(s.app.entity(kind).ref('1'), { type: 'go' })
  await s.advance(500)
  expect(told).toEqual(['begins', undefined, 1, 2])
  expect(state()).toMatchObject({ context: { sum: 3 }, actions: [] })

  await s.powerCut()
  await s.start()
  await s.advance(3_000)
  expect(told.slice(4)).toEqual(['begins', 1, 2])
  expect(state()).toMatchObject({ context: { sum: 6 }, actions: [] })
})
