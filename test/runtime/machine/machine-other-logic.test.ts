/**
 * Transition functions and observables that a machine invokes: what they tell comes to it as XState
 * defines it.
 */
import { describe, expect, test } from 'vitest'
import {
  assign,
  type EventObject,
  fromEventObservable,
  fromObservable,
  fromTransition,
  sendTo,
  setup,
} from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { started } from '../state-machine/machine-process.ts'

describe('other logic', () => {
  test('a transition function keeps its state, and tells each change', async () => {
    const counter = fromTransition(
      (count: number, event: { type: 'add'; by: number }) => count + event.by,
      0,
    )
    const machine = setup({
      types: {} as { context: { seen: unknown[] }; events: { type: 'add'; by: number } },
      actors: { counter },
    }).createMachine({
      context: { seen: [] },
      invoke: {
        id: 'counter',
        src: 'counter',
        onSnapshot: {
          actions: assign({
            seen: ({ context, event }) => [...context.seen, event.snapshot.context],
          }),
        },
      },
      on: { add: { actions: sendTo('counter', ({ event }) => event) } },
    })
    const { clock, ref } = await started(StateMachine.server(machine))
    StateMachine.send(ref, { type: 'add', by: 2 })
    StateMachine.send(ref, { type: 'add', by: 3 })
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual([0, 2, 5])
  })

  const observable = <T>(values: readonly T[]) => ({
    subscribe(observer: { next?: (value: T) => void; complete?: () => void }) {
      for (const value of values) observer.next?.(value)
      observer.complete?.()
      return { unsubscribe: () => {} }
    },
  })

  test('observables bring values or events', async () => {
    const machine = setup({
      types: {} as {
        context: { seen: unknown[] }
        events: { type: 'came'; at: number }
      },
      actors: {
        values: fromObservable(() => observable([1, 2]) as never),
        events: fromEventObservable(
          () => observable([{ type: 'came', at: 1 } as EventObject]) as never,
        ),
      },
    }).createMachine({
      context: { seen: [] },
      invoke: [
        {
          src: 'values',
          onDone: { actions: assign({ seen: ({ context }) => [...context.seen, 'done'] }) },
        },
        { src: 'events' },
      ],
      on: {
        came: { actions: assign({ seen: ({ context, event }) => [...context.seen, event.at] }) },
      },
    })
    const { clock, ref } = await started(StateMachine.server(machine))
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['done', 1])
  })
})
