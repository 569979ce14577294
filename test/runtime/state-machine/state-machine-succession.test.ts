/**
 * Actors inside a machine that follow one another: names that are free again in the same step, and
 * the last events of an actor that has ended.
 */
import { describe, expect, test } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  createActor,
  createMachine,
  fromCallback,
  fromPromise,
  sendParent,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { started } from './machine-process.ts'

/** What XState's own actor makes of `machine` after `go`. */
const byXState = (machine: AnyStateMachine): unknown => {
  const actor = createActor(machine).start()
  actor.send({ type: 'go' })
  const { value, context } = actor.getSnapshot()
  return { value, context }
}

/** What the process makes of it. */
const byProcess = async (machine: AnyStateMachine): Promise<unknown> => {
  const { clock, ref } = await started(StateMachine.server(machine))
  StateMachine.send(ref as never, { type: 'go' } as never)
  await clock.settle()
  const { value, context } = await StateMachine.snapshot(ref as never)
  return { value, context }
}

const ticker = fromCallback(() => () => {})

describe('a name of the whole machine', () => {
  const invoke = { src: 'ticker', systemId: 'ticker' } as const
  const base = setup({ actors: { ticker } })

  test.each<[string, AnyStateMachine, unknown]>([
    [
      'a state that is entered anew',
      base.createMachine({
        initial: 'a',
        states: { a: { invoke, on: { go: { target: 'a', reenter: true } } } },
      }),
      'a',
    ],
    [
      'two states that follow each other',
      base.createMachine({
        initial: 'a',
        states: { a: { invoke, on: { go: 'b' } }, b: { invoke } },
      }),
      'b',
    ],
    [
      'a step that stops one and spawns another',
      base.createMachine({
        initial: 'a',
        entry: spawnChild('ticker', { id: 't', systemId: 'ticker' }),
        states: {
          a: {
            on: {
              go: {
                target: 'b',
                actions: [stopChild('t'), spawnChild('ticker', { id: 't', systemId: 'ticker' })],
              },
            },
          },
          b: {},
        },
      }),
      'b',
    ],
  ])('is free again within the step: %s', async (_, machine, value) => {
    expect(await byProcess(machine)).toMatchObject({ value })
  })
})

describe('the last event of an actor inside', () => {
  test('reaches the machine that stopped it in the same step, as in W3C’s test 236', async () => {
    const child = createMachine({
      id: 'child',
      initial: 'a',
      states: { a: { always: 'b' }, b: { type: 'final', entry: sendParent({ type: 'told' }) } },
    })
    const parent = setup({
      types: {} as { context: { seen: string[] }; events: { type: 'go' } | { type: 'told' } },
      actors: { child },
      actions: {
        saw: assign({ seen: ({ context, event }) => [...context.seen, event.type] }),
      },
    }).createMachine({
      context: { seen: [] },
      initial: 'idle',
      on: { 'xstate.done.actor.child': { actions: 'saw' } } as never,
      states: {
        idle: { on: { go: 'asking' } },
        asking: { invoke: { src: 'child', id: 'child' }, on: { told: 'after' } },
        after: {},
      },
    })
    const expected = { value: 'after', context: { seen: ['xstate.done.actor.child'] } }

    expect(byXState(parent)).toEqual(expected)
    expect(await byProcess(parent)).toEqual(expected)
  })

  test('never counts as one of its successor', async () => {
    const settle: (() => void)[] = []
    const machine = setup({
      types: {} as { context: { done: number } },
      actors: { load: fromPromise(() => new Promise<void>((resolve) => settle.push(resolve))) },
    }).createMachine({
      context: { done: 0 },
      initial: 'a',
      states: {
        a: {
          invoke: {
            src: 'load',
            id: 'load',
            onDone: { actions: assign({ done: ({ context }) => context.done + 1 }) },
          },
          on: { go: { target: 'a', reenter: true } },
        },
      },
    })
    const { clock, ref } = await started(StateMachine.server(machine))
    settle[0]?.()
    StateMachine.send(ref as never, { type: 'go' } as never)
    await clock.settle()
    const { done } = (await StateMachine.snapshot(ref)).context
    settle[1]?.()
    await clock.settle()

    // The first came in time or not at all; the second is its own.
    expect((await StateMachine.snapshot(ref)).context.done).toBe(done + 1)
  })
})
