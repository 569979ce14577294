/**
 * Callbacks that a machine invokes: they send and hear, and are cleaned up, as XState defines it.
 */
import { describe, expect, test } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  createActor,
  createMachine,
  fromCallback,
  sendTo,
  setup,
} from 'xstate'
import { exit } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'

const boom = new Error('boom')

describe('a callback', () => {
  const events: string[] = []
  const ticker = fromCallback<{ type: 'stopTicking' }, { every: string }>(
    ({ sendBack, receive, input }) => {
      events.push(`begins ${input.every}`)
      sendBack({ type: 'tick' })
      receive((event) => {
        events.push(`hears ${event.type}`)
        sendBack({ type: 'tick' })
      })
      return () => void events.push('ends')
    },
  )
  const machine = setup({
    types: {} as {
      context: { ticks: number }
      events: { type: 'tick' } | { type: 'poke' } | { type: 'leave' }
    },
    actors: { ticker },
  }).createMachine({
    context: { ticks: 0 },
    initial: 'on',
    states: {
      on: {
        invoke: { id: 'ticker', src: 'ticker', input: { every: 'day' } },
        on: {
          tick: { actions: assign({ ticks: ({ context }) => context.ticks + 1 }) },
          poke: { actions: sendTo('ticker', { type: 'stopTicking' }) },
          leave: 'off',
        },
      },
      off: {},
    },
  })

  test('sends and receives events, and is cleaned up when its state is left or the process dies', async () => {
    const { system, clock } = testSystem()
    events.length = 0
    const ref = await system.start(StateMachine.server(machine))
    StateMachine.send(ref, { type: 'poke' })
    await clock.settle()
    expect((await StateMachine.snapshot(ref)).context.ticks).toBe(2)
    StateMachine.send(ref, { type: 'leave' })
    await clock.settle()
    expect(events).toEqual(['begins day', 'hears stopTicking', 'ends'])

    events.length = 0
    const killed = await system.start(StateMachine.server(machine))
    system.kill(killed)
    await clock.settle()
    expect(events).toEqual(['begins day', 'ends'])
  })

  test('may send an event as it is cleaned up, as in XState', async () => {
    const { system, clock } = testSystem()
    const parting = setup({
      actors: {
        part: fromCallback(
          ({ sendBack }) =>
            () =>
              sendBack({ type: 'bye' }),
        ),
      },
    }).createMachine({
      initial: 'on',
      states: {
        on: { invoke: { src: 'part' }, on: { leave: 'off' } },
        off: { on: { bye: 'over' } },
        over: {},
      },
    })
    const actor = createActor(parting).start()
    actor.send({ type: 'leave' })
    const ref = await system.start(StateMachine.server(parting))
    StateMachine.send(ref, { type: 'leave' })
    await clock.settle()

    const { value } = await StateMachine.snapshot(ref)
    expect([actor.getSnapshot().value, value]).toEqual(['over', 'over'])
  })

  test('whose clean-up throws disturbs no process when its own dies', async () => {
    const { system, clock } = testSystem()
    const bad = createMachine({
      invoke: {
        src: fromCallback(() => () => {
          throw boom
        }),
      },
    })
    const ref = await system.start(StateMachine.server(bad))

    system.kill(ref)
    await clock.settle()

    expect(system.info(ref)).toBe(undefined)
  })

  const begun = fromCallback(() => {
    events.push('begins')
    return () => void events.push('ends')
  })
  const leaving = (action: () => void) =>
    setup({ actors: { begun } }).createMachine({
      initial: 'on',
      states: {
        on: {
          invoke: { id: 'begun', src: 'begun' },
          exit: sendTo('begun', { type: 'bye' }),
          on: { leave: { target: 'off', actions: action } },
        },
        off: {},
      },
    })
  const failing = setup({ actors: { begun } }).createMachine({
    invoke: { src: 'begun' },
    on: {
      leave: {
        actions: assign(() => {
          throw boom
        }),
      },
    },
  })
  const outer = setup({ actors: { failing } }).createMachine({
    invoke: { id: 'inner', src: 'failing', onError: {} },
    on: { leave: { actions: sendTo('inner', { type: 'leave' }) } },
  })

  test.each<[string, AnyStateMachine]>([
    [
      'that its step stops, when an action of that step throws',
      leaving(() => {
        throw boom
      }),
    ],
    ['that its step stops, when an action of that step exits', leaving(() => exit('over'))],
    ['of a machine inside that failed, when the process is killed', outer],
  ])('%s is cleaned up at the end of the process', async (_, machine) => {
    const { system, clock } = testSystem()
    events.length = 0
    const ref = await system.start(StateMachine.server(machine))

    StateMachine.send(ref as never, { type: 'leave' } as never)
    await clock.settle()
    system.kill(ref)
    await clock.settle()

    expect(events).toEqual(['begins', 'ends'])
  })

  test('that has ended by itself is cleaned up once', async () => {
    const { system, clock } = testSystem()
    events.length = 0
    const ref = await system.start(StateMachine.server(leaving(() => {})))

    StateMachine.send(ref as never, { type: 'leave' } as never)
    await clock.settle()
    expect(events).toEqual(['begins', 'ends'])
    system.kill(ref)
    await clock.settle()

    expect(events).toEqual(['begins', 'ends'])
  })
})
