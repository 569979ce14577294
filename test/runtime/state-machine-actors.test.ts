/** Actors inside a machine: what it invokes and spawns, as XState defines it, in a process. */
import { describe, expect, test } from 'vitest'
import {
  type ActorRefFrom,
  assign,
  createMachine,
  type EventObject,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import { getState, resume, suspend } from '../../src/runtime/index.ts'
import { StateMachine } from '../../src/runtime/state-machine.ts'
import { testSystem } from '../../src/testing/index.ts'

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
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(loader(async () => 'data')))
    await clock.settle()

    expect(await StateMachine.snapshot(ref)).toMatchObject({
      value: 'ready',
      context: { found: 'data from disk' },
    })
  })

  test('that is rejected takes onError', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(loader(() => Promise.reject(boom))))
    await clock.settle()

    expect((await getState<{ value: string; context: unknown }>(ref)).value).toBe('failed')
    expect((await StateMachine.snapshot(ref)).context.error).toBe(boom)
  })

  test('that is rejected without onError ends the process with its error', async () => {
    const { system } = testSystem()
    const careless = createMachine({ invoke: { src: fromPromise(() => Promise.reject(boom)) } })
    const reasons: unknown[] = []
    system.events.on('process.exited', ({ reason }) => reasons.push(reason))

    await system.start(StateMachine.server(careless))

    expect(reasons).toEqual([boom])
  })

  test('is aborted when its state is left, and what it brings then is nobody’s', async () => {
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

  test('sends back, hears what it is sent, and is cleaned up when its state is left or the process dies', async () => {
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

  test('whose clean-up throws disturbs nobody when the process dies', async () => {
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
})

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
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(machine))
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
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(machine))
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['done', 1])
  })
})

describe('a machine inside a machine', () => {
  const child = setup({
    types: {} as {
      input: { ms: number }
      context: { ms: number }
      events: { type: 'hurry' } | { type: 'fail' }
      output: string
    },
    delays: { wait: ({ context }) => context.ms },
    actions: {
      fail: () => {
        throw boom
      },
      tell: sendParent({ type: 'began' }),
    },
  }).createMachine({
    id: 'child',
    context: ({ input }) => ({ ms: input.ms }),
    initial: 'waiting',
    output: ({ context }) => `waited ${context.ms}`,
    states: {
      waiting: {
        entry: 'tell',
        after: { wait: 'over' },
        on: { hurry: 'over', fail: { actions: 'fail' } },
      },
      over: { type: 'final' },
    },
  })
  const parent = setup({
    types: {} as {
      context: { seen: string[]; spawned: ActorRefFrom<typeof child> | undefined }
      events:
        | { type: 'began' }
        | { type: 'hurry' }
        | { type: 'fail' }
        | { type: 'spawn' }
        | { type: 'drop' }
    },
    actors: { child },
    actions: {
      saw: assign({ seen: ({ context }, what: string) => [...context.seen, what] }),
    },
  }).createMachine({
    id: 'parent',
    context: { seen: [], spawned: undefined },
    initial: 'busy',
    on: {
      began: { actions: { type: 'saw', params: 'began' } },
      spawn: { actions: spawnChild('child', { id: 'second', input: { ms: 5 } }) },
      drop: { actions: stopChild('second') },
    },
    states: {
      busy: {
        invoke: {
          id: 'child',
          src: 'child',
          input: { ms: 100 },
          onDone: { target: 'rest', actions: { type: 'saw', params: ({ event }) => event.output } },
          onError: { target: 'hurt', actions: { type: 'saw', params: 'error' } },
        },
        on: {
          hurry: { actions: sendTo('child', { type: 'hurry' }) },
          fail: { actions: sendTo('child', { type: 'fail' }) },
        },
      },
      rest: {},
      hurt: {},
    },
  })

  test('waits by the clock of the system, tells its parent, and brings its output', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(parent))
    await clock.advance(99)
    expect((await StateMachine.snapshot(ref)).value).toBe('busy')

    await clock.advance(1)

    expect(await StateMachine.snapshot(ref)).toMatchObject({
      value: 'rest',
      context: { seen: ['began', 'waited 100'] },
    })
  })

  test('that fails takes onError of its parent', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(parent))
    StateMachine.send(ref, { type: 'fail' })
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).value).toBe('hurt')
  })

  test('that was spawned ends when it is stopped, its timers with it', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(parent))
    StateMachine.send(ref, { type: 'spawn' })
    await clock.settle()
    expect((await StateMachine.snapshot(ref)).timers.map(({ target }) => target)).toEqual([
      ['second'],
      ['child'],
    ])

    StateMachine.send(ref, { type: 'drop' })
    await clock.advance(10)

    expect((await StateMachine.snapshot(ref)).timers.map(({ target }) => target)).toEqual([
      ['child'],
    ])
    expect(Object.keys((await StateMachine.snapshot(ref)).children)).toEqual(['child'])
  })

  test('ends with the process, its timers with it', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(parent))

    system.kill(ref)
    await clock.settle()

    expect(clock.untilNext()).toBe(undefined)
  })

  test('goes on where it was when the parent is restored, with the time that was left', async () => {
    const { system, clock } = testSystem()
    const first = await system.start(StateMachine.server(parent))
    await clock.advance(40)
    const saved = JSON.parse(JSON.stringify(await StateMachine.snapshot(first)))
    system.kill(first)
    await clock.advance(10)

    const second = await system.start(StateMachine.server(parent, { restore: saved }))
    await clock.advance(49)
    expect((await StateMachine.snapshot(second)).value).toBe('busy')
    await clock.advance(1)

    expect(await StateMachine.snapshot(second)).toMatchObject({
      value: 'rest',
      context: { seen: ['began', 'waited 100'] },
    })
  })
})
