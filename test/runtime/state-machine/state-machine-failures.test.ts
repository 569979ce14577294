/**
 * Asynchronous failures in a machine end its process with their error, and nothing else: no
 * rejection is unhandled, and no error is thrown past the process.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type AnyActorRef,
  type AnyStateMachine,
  assign,
  createMachine,
  emit,
  fromCallback,
  sendTo,
  setup,
} from 'xstate'
import { systemClock } from '../../../src/clock.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { boom } from '../machine/lamp.ts'
import { reasonsOfEnds, started } from './machine-process.ts'

const rejecting = async (): Promise<never> => {
  await undefined
  throw boom
}

const child = (config: object) =>
  createMachine({ id: 'child', initial: 'a', states: { a: {} }, ...config } as never)

const within = (src: unknown) =>
  createMachine({
    id: 'outer',
    invoke: { id: 'inner', src: src as never },
    on: { go: { actions: sendTo('inner', { type: 'go' }) } },
  } as never) as AnyStateMachine

/** A machine that subscribes to its child, which then takes an event. */
const subscribing = (subscribe: (child: AnyActorRef) => unknown) =>
  createMachine({
    invoke: { id: 'inner', src: child({ on: { go: {} } }) },
    on: {
      go: {
        actions: ({ self }: { self: AnyActorRef }) => {
          const inner = self.getSnapshot().children.inner as AnyActorRef
          subscribe(inner)
          inner.send({ type: 'go' })
        },
      },
    },
  } as never) as AnyStateMachine

const emitting = setup({ types: {} as { emitted: { type: 'rang' } } }).createMachine({
  on: { go: { actions: emit({ type: 'rang' }) } },
})

describe('a failure that comes later', () => {
  const unhandled: unknown[] = []
  const keep = (error: unknown): void => void unhandled.push(error)
  beforeAll(() => void process.on('unhandledRejection', keep).on('uncaughtException', keep))
  afterAll(() => void process.off('unhandledRejection', keep).off('uncaughtException', keep))

  test.each<[string, AnyStateMachine, object?]>([
    ['of the option emitted', emitting as never, { emitted: rejecting }],
    ['of an action of a machine inside', within(child({ on: { go: { actions: rejecting } } }))],
    ['of an entry action of a machine inside', within(child({ entry: rejecting }))],
    ['of a callback', within(fromCallback(rejecting as never))],
    [
      'of a listener of a callback',
      within(fromCallback(({ receive }) => receive(rejecting as never))),
    ],
    [
      'of a listener to what an actor inside emits',
      within(
        child({
          entry: ({ self }: { self: { on(type: string, listener: () => unknown): void } }) =>
            self.on('rang', rejecting),
          on: { go: { actions: emit({ type: 'rang' } as never) } },
        }),
      ),
    ],
    [
      'thrown by a subscriber of an actor inside',
      subscribing((child) =>
        child.subscribe(() => {
          throw boom
        }),
      ),
    ],
    [
      'of a subscriber of an actor inside',
      subscribing((child) => child.subscribe({ next: rejecting })),
    ],
    [
      'thrown by a listener to what an actor inside emits',
      within(
        child({
          entry: ({ self }: { self: { on(type: string, listener: () => unknown): void } }) =>
            self.on('*', () => {
              throw boom
            }),
          on: { go: { actions: emit({ type: 'rang' } as never) } },
        }),
      ),
    ],
  ])('%s ends the process with its error', async (_, machine, options = {}) => {
    const { system, clock } = testSystem()
    const reasons = reasonsOfEnds(system)
    const ref = await system.start(StateMachine.server(machine, options))

    StateMachine.send(ref as never, { type: 'go' } as never)
    await clock.settle()
    await new Promise((resolve) => setImmediate(resolve))

    expect(reasons).toEqual([boom])
    expect(unhandled).toEqual([])
  })

  test('of an actor inside that somebody subscribed to is left to onError', async () => {
    const told: string[] = []
    const machine = createMachine({
      initial: 'on',
      on: {
        go: {
          actions: ({ self }: { self: AnyActorRef }) => {
            const inner = self.getSnapshot().children.inner as AnyActorRef
            inner.subscribe(({ value }: { value: string }) => void told.push(value))
            inner.send({ type: 'fail' })
          },
        },
      },
      states: {
        on: {
          invoke: {
            id: 'inner',
            src: child({
              on: {
                fail: {
                  actions: () => {
                    throw boom
                  },
                },
              },
            }),
            onError: 'hurt',
          },
        },
        hurt: {},
      },
    } as never) as AnyStateMachine
    const { clock, ref } = await started(StateMachine.server(machine))

    StateMachine.send(ref as never, { type: 'go' } as never)
    await clock.settle()
    // XState throws an error that nobody takes in a timer of 0 ms, which is before this one.
    await new Promise<void>((resolve) => void systemClock().after(0, resolve))

    expect((await StateMachine.snapshot(ref as never)).value).toBe('hurt')
    expect([told, unhandled]).toEqual([['a'], []])
  })

  test('of an actor inside that was subscribed to in an assign is left to onError', async () => {
    const told: unknown[] = []
    const failing = child({
      on: {
        fail: {
          actions: assign(() => {
            throw boom
          }),
        },
      },
    })
    const machine = setup({ actors: { failing } }).createMachine({
      initial: 'on',
      context: {},
      states: {
        on: {
          entry: assign(({ spawn }) => {
            const inner = spawn('failing', { id: 'inner' })
            inner.subscribe(() => void told.push('next'))
            const ignore = () => {}
            inner.subscribe(ignore, (error: unknown) => void told.push(error))
            return {}
          }),
          on: {
            go: { actions: sendTo('inner', { type: 'fail' }) },
            'xstate.error.actor.inner': 'hurt',
          },
        },
        hurt: {},
      },
    } as never) as unknown as AnyStateMachine
    const { clock, ref } = await started(StateMachine.server(machine))

    StateMachine.send(ref as never, { type: 'go' } as never)
    await clock.settle()
    await new Promise<void>((resolve) => void systemClock().after(0, resolve))

    expect((await StateMachine.snapshot(ref as never)).value).toBe('hurt')
    expect([told, unhandled]).toEqual([['next', boom], []])
  })

  test('of a callback leaves no clean-up to do: its promise is none', async () => {
    const { system, clock, ref } = await started(
      StateMachine.server(within(fromCallback((async () => undefined) as never))),
    )
    const reasons = reasonsOfEnds(system)

    system.kill(ref)
    await clock.settle()

    expect(reasons).toEqual(['killed'])
    expect(unhandled).toEqual([])
  })
})
