/**
 * A machine that another machine invokes or spawns: its time, its end, and its part of the other's
 * snapshot.
 */
import { describe, expect, test } from 'vitest'
import {
  type ActorRefFrom,
  assign,
  createActor,
  createMachine,
  emit,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { started, throughJson } from '../state-machine/machine-process.ts'

const boom = new Error('boom')
const own = { type: 'own' }

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
    const { clock, ref } = await started(StateMachine.server(parent))
    await clock.advance(99)
    expect((await StateMachine.snapshot(ref)).value).toBe('busy')

    await clock.advance(1)

    expect(await StateMachine.snapshot(ref)).toMatchObject({
      value: 'rest',
      context: { seen: ['began', 'waited 100'] },
    })
  })

  test('that fails takes onError of its parent', async () => {
    const { clock, ref } = await started(StateMachine.server(parent))
    StateMachine.send(ref, { type: 'fail' })
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).value).toBe('hurt')
  })

  test('that was spawned ends when it is stopped, its timers with it', async () => {
    const { clock, ref } = await started(StateMachine.server(parent))
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

  test('that is stopped after two events handles all that comes of the first before the second', async () => {
    const told: string[] = []
    const tell = ({ event }: { event: { type: string } }) => void told.push(event.type)
    const echo = createMachine({ on: { ask: { actions: sendParent({ type: 'answer' }) } } })
    const kid = setup({ actors: { echo }, actions: { tell } }).createMachine({
      invoke: { src: 'echo', id: 'echo' },
      on: {
        first: {
          actions: ['tell', sendTo('echo', { type: 'ask' }), sendTo(({ self }) => self, own)],
        },
        '*': { actions: 'tell' },
      },
    })
    const machine = setup({ actors: { kid } }).createMachine({
      invoke: { src: 'kid', id: 'kid' },
      on: {
        go: {
          actions: [
            sendTo('kid', { type: 'first' }),
            sendTo('kid', { type: 'second' }),
            stopChild('kid'),
          ],
        },
      },
    })
    createActor(machine).start().send({ type: 'go' })
    const byXState = told.splice(0)

    for (const save of [undefined, () => {}]) {
      const { clock, ref } = await started(StateMachine.server(machine, { save }))
      StateMachine.send(ref, { type: 'go' })
      await clock.settle()

      expect(told.splice(0)).toEqual(byXState)
    }
    expect(byXState).toEqual(['first', 'answer', 'own', 'second'])
  })

  test('ends with the process, its timers with it', async () => {
    const { system, clock, ref } = await started(StateMachine.server(parent))

    system.kill(ref)
    await clock.settle()

    expect(clock.untilNext()).toBe(undefined)
  })

  test('goes on where it was when the parent is restored, with the time that was left', async () => {
    const { system, clock, ref: first } = await started(StateMachine.server(parent))
    await clock.advance(40)
    const saved = throughJson(await StateMachine.snapshot(first))
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

  test('that was spawned without an id stays when another one is, after a restart', async () => {
    const spawner = setup({
      types: {} as { context: { byNumber: readonly unknown[] } },
      actors: { child },
    }).createMachine({
      id: 'spawner',
      context: { byNumber: [] },
      on: {
        spawn: {
          actions: assign(({ context, spawn }) => ({
            byNumber: [...context.byNumber, spawn('child', { input: { ms: 1_000 } })],
          })),
        },
      },
    })
    const server = StateMachine.server(spawner)
    const { system, ref: first } = await started(server)
    StateMachine.send(first, { type: 'spawn' } as never)
    const saved = throughJson(await StateMachine.snapshot(first))
    const [born] = Object.values(saved.children)
    // XState numbers the sessions of a Node process. The root of the next machine is `at`.
    const at = Number(createActor(spawner).sessionId.slice(2)) + 1
    const children = { [`x:${at + 2}`]: born as never }

    let restore: typeof saved = { ...saved, children, timers: [] }
    for (const count of [2, 3]) {
      const ref = await system.start(StateMachine.server(spawner, { restore }))
      StateMachine.send(ref, { type: 'spawn' } as never)
      restore = throughJson(await StateMachine.snapshot(ref))
      expect(Object.keys(restore.children).length).toBe(count)
    }
  })

  test.each(['final', 'atomic'] as const)(
    'is heard by its listeners when it emits as it enters a state that is %s',
    async (type) => {
      const heard: string[] = []
      const emitting = setup({
        types: {} as { events: { type: 'go' }; emitted: { type: 'rang' } },
      }).createMachine({
        entry: ({ self }) => self.on('rang', () => void heard.push('from before')),
        initial: 'on',
        states: {
          on: { on: { go: 'off' } },
          off: {
            type,
            entry: [
              ({ self }) => self.on('*', () => void heard.push('from this step')),
              emit({ type: 'rang' }),
            ],
          },
        },
      })
      const outer = setup({ actors: { emitting } }).createMachine({
        invoke: { id: 'inner', src: 'emitting' },
        on: { go: { actions: sendTo('inner', { type: 'go' }) } },
      })
      const { clock, ref } = await started(StateMachine.server(outer))

      StateMachine.send(ref, { type: 'go' } as never)
      await clock.settle()

      expect(heard).toEqual(['from before', 'from this step'])
    },
  )
})
