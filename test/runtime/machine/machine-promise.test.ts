/**
 * Promises that a machine invokes: their output, their error, and their abort when no state needs
 * them.
 */
import { describe, expect, test } from 'vitest'
import { assign, createMachine, fromPromise, setup } from 'xstate'
import { getState, resume, suspend } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { reasonsOfEnds, started } from '../state-machine/machine-process.ts'

const boom = new Error('boom')

/** A promise, and how to settle it. */
const deferred = <T>() => {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Loads something; gives up when told so. */
const loader = (load: (signal: AbortSignal) => Promise<string>) =>
  setup({
    types: {} as {
      context: { found: string | undefined; error: unknown }
      events: { type: 'giveUp' } | { type: 'again' }
    },
    actors: {
      load: fromPromise<string, { from: string }>(({ signal, input }) =>
        load(signal).then((found) => `${found} from ${input.from}`),
      ),
    },
  }).createMachine({
    id: 'loader',
    context: { found: undefined, error: undefined },
    initial: 'loading',
    states: {
      loading: {
        invoke: {
          id: 'load',
          src: 'load',
          input: { from: 'disk' },
          onDone: { target: 'ready', actions: assign({ found: ({ event }) => event.output }) },
          onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
        },
        on: { giveUp: 'idle', again: { target: 'loading', reenter: true } },
      },
      ready: { on: { again: 'loading' } },
      failed: { on: { again: 'loading' } },
      idle: { on: { again: 'loading' } },
    },
  })

describe('an invoked promise', () => {
  test('brings its output', async () => {
    const { clock, ref } = await started(StateMachine.server(loader(async () => 'data')))
    await clock.settle()

    expect(await StateMachine.snapshot(ref)).toMatchObject({
      value: 'ready',
      context: { found: 'data from disk' },
    })
  })

  test('that is rejected takes onError', async () => {
    const { clock, ref } = await started(StateMachine.server(loader(() => Promise.reject(boom))))
    await clock.settle()

    expect(await getState(ref)).toMatchObject({ value: 'failed', context: { error: boom } })
  })

  test('that is rejected without onError ends the process with its error', async () => {
    const { system } = testSystem()
    const careless = createMachine({ invoke: { src: fromPromise(() => Promise.reject(boom)) } })
    const reasons = reasonsOfEnds(system)

    await system.start(StateMachine.server(careless))

    expect(reasons).toEqual([boom])
  })

  test('is aborted when its state is left, and its later result is dropped', async () => {
    const { system, clock } = testSystem()
    const { promise, resolve } = deferred<string>()
    let aborted: AbortSignal | undefined
    const machine = loader((signal) => {
      aborted = signal
      return promise
    })
    const ref = await system.start(StateMachine.server(machine))
    StateMachine.send(ref, { type: 'giveUp' })
    await clock.settle()
    expect(aborted?.aborted).toBe(true)

    resolve('late')
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).value).toBe('idle')
  })

  test('of an earlier entry does not answer for the present one, even when its answer waits in the mailbox', async () => {
    const loads = [deferred<string>(), deferred<string>()]
    let next = 0
    const { system, clock } = testSystem()
    const machine = loader(() => (loads[next++] ?? deferred<string>()).promise)
    const ref = await system.start(StateMachine.server(machine))
    // Suspended, so that the entry anew and the first answer wait in the mailbox in this order.
    await suspend(ref)
    StateMachine.send(ref, { type: 'again' })
    loads[0]?.resolve('first')
    await clock.settle()

    await resume(ref)
    await clock.settle()
    expect((await StateMachine.snapshot(ref)).value).toBe('loading')
    loads[1]?.resolve('second')
    await clock.settle()

    expect(await StateMachine.snapshot(ref)).toMatchObject({
      value: 'ready',
      context: { found: 'second from disk' },
    })
  })

  test('is aborted when the process is killed', async () => {
    const { system, clock } = testSystem()
    let aborted: AbortSignal | undefined
    const machine = loader((signal) => {
      aborted = signal
      return new Promise(() => {})
    })
    const ref = await system.start(StateMachine.server(machine))
    expect(aborted?.aborted).toBe(false)

    system.kill(ref)
    await clock.settle()

    expect(aborted?.aborted).toBe(true)
  })

  test('does not hold the machine up', async () => {
    const { system } = testSystem()
    const machine = loader(() => new Promise(() => {}))
    const ref = await system.start(StateMachine.server(machine))

    StateMachine.send(ref, { type: 'giveUp' })

    expect((await StateMachine.snapshot(ref)).value).toBe('idle')
  })

  test('that is left in the same step never starts', async () => {
    const begun: string[] = []
    const { system, clock } = testSystem()
    const passing = createMachine({
      initial: 'a',
      states: {
        a: { on: { go: 'b' } },
        b: {
          invoke: {
            src: fromPromise(async () => void begun.push('b')),
          },
          always: 'c',
        },
        c: {},
      },
    })
    const ref = await system.start(StateMachine.server(passing))
    StateMachine.send(ref, { type: 'go' })
    await clock.settle()

    expect(begun).toEqual([])
  })
})
