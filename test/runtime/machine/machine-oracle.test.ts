/**
 * The same machine, the same events and the same time in a process and in XState's own actor: both
 * do the same.
 */
import { expect, test } from 'vitest'
import {
  and,
  assign,
  cancel,
  createActor,
  enqueueActions,
  initialTransition,
  not,
  raise,
  SimulatedClock,
  setup,
  stateIn,
  transition,
} from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { seededRandom, testSystem } from '../../../src/testing/index.ts'

type Done = (what: string) => void
type Event =
  | { type: 'a' }
  | { type: 'b' }
  | { type: 'c'; by: number }
  | { type: 'd' }
  | { type: 'e' }

/**
 * A bit of everything: parallel regions, history, guards, always, raised and delayed events, entry
 * and exit actions.
 */
const machineWith = (done: Done) =>
  setup({
    types: {} as { context: { n: number }; events: Event },
    actions: {
      did: ({ context }, what: string) => done(`${what} ${context.n}`),
      add: assign({
        n: ({ context, event }) => context.n + (event.type === 'c' ? event.by : 1),
      }),
    },
    guards: {
      isEven: ({ context }) => context.n % 2 === 0,
      isBig: ({ context }, than: number) => context.n > than,
    },
    delays: { varied: ({ context }) => (context.n % 5) * 10 },
  }).createMachine({
    id: 'all',
    context: { n: 0 },
    initial: 'work',
    on: { d: { target: '.rest', actions: { type: 'did', params: 'to rest' } } },
    states: {
      work: {
        type: 'parallel',
        entry: { type: 'did', params: 'enter work' },
        exit: { type: 'did', params: 'leave work' },
        states: {
          left: {
            initial: 'one',
            states: {
              one: { on: { a: { target: 'two', actions: 'add' } }, after: { 30: 'two' } },
              two: {
                entry: [{ type: 'did', params: 'enter two' }, raise({ type: 'e' })],
                on: { a: { guard: 'isEven', target: 'three' }, b: 'one' },
              },
              three: {
                always: { guard: { type: 'isBig', params: 7 }, target: 'one', actions: 'add' },
                after: { varied: { target: 'one', actions: { type: 'did', params: 'varied' } } },
                on: { a: { target: 'three', reenter: true, actions: 'add' } },
              },
            },
          },
          right: {
            initial: 'off',
            states: {
              off: {
                on: {
                  e: { target: 'on', actions: { type: 'did', params: 'e' } },
                  c: {
                    actions: raise(
                      { type: 'e' },
                      { delay: ({ event }) => event.by * 7, id: 'later' },
                    ),
                  },
                },
              },
              on: {
                exit: cancel('later'),
                on: {
                  b: {
                    guard: and([not('isEven'), stateIn({ work: { left: 'one' } })]),
                    target: 'off',
                  },
                  c: {
                    actions: enqueueActions(({ enqueue, check }) => {
                      enqueue('add')
                      if (check('isEven')) enqueue({ type: 'did', params: 'even' })
                    }),
                  },
                },
              },
            },
          },
          memory: { type: 'history', history: 'deep' },
        },
      },
      rest: {
        entry: { type: 'did', params: 'enter rest' },
        on: { b: 'work.memory', a: 'work' },
        after: { 50: { target: 'work.memory', actions: 'add' } },
      },
    },
  })

const eventOf = (random: () => number): Event => {
  const drawn = Math.floor(random() * 6)
  if (drawn === 0 || drawn === 5) return { type: 'a' }
  if (drawn === 1) return { type: 'b' }
  if (drawn === 2) return { type: 'c', by: Math.floor(random() * 4) }
  return { type: drawn === 3 ? 'd' : 'e' }
}

test('200 drawn histories end in the same states by the same actions as with XState alone', async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = seededRandom(seed)
    const [ours, theirs]: [string[], string[]] = [[], []]
    const { system, clock } = testSystem({ seed })
    const ref = await system.start(StateMachine.server(machineWith((what) => ours.push(what))))
    const simulated = new SimulatedClock()
    const actor = createActor(
      machineWith((what) => theirs.push(what)),
      { clock: simulated },
    ).start()

    for (let step = 0; step < 40; step++) {
      if (random() < 0.3) {
        const ms = Math.floor(random() * 40)
        await clock.advance(ms)
        // Its timers count from where it was moved to, so it is moved millisecond by millisecond.
        for (let moved = 0; moved <= ms; moved++) simulated.increment(moved === 0 ? 0 : 1)
      } else {
        const event = eventOf(random)
        StateMachine.send(ref, event)
        actor.send(event)
        await clock.settle()
        // A timer that is due needs no time to pass.
        simulated.increment(0)
      }
    }

    const snapshot = await StateMachine.snapshot(ref)
    const { value, context } = actor.getSnapshot()
    expect({ seed, value: snapshot.value, context: snapshot.context, done: ours }).toEqual({
      seed,
      value,
      context,
      done: theirs,
    })
    await system.stop()
  }
})

test('a step computes what XState’s transition function does, without its actor for each event', async () => {
  const random = seededRandom(7)
  const machine = machineWith(() => {})
  const { system } = testSystem()
  const ref = await system.start(StateMachine.server(machine))
  let [pure] = initialTransition(machine)

  for (let step = 0; step < 300; step++) {
    const event = eventOf(random)
    StateMachine.send(ref, event)
    ;[pure] = transition(machine, pure, event)
    const snapshot = await StateMachine.snapshot(ref)
    expect([step, snapshot.value, snapshot.context]).toEqual([step, pure.value, pure.context])
  }
})
