/** A machine that is killed at each of its saves does what XState's own actor does. */
import { expect, onTestFinished, test } from 'vitest'
import {
  type AnyStateMachine,
  createActor,
  enqueueActions,
  SimulatedClock,
  sendParent,
  sendTo,
  setup,
  stopChild,
} from 'xstate'
import type { Ref } from '../../../src/runtime/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { throughJson } from '../state-machine/machine-process.ts'

type Log = (what: string, self: object) => void

/** Its child tells what it hears, answers a poke, and is done 10 ms after it. */
const base = (log: Log) => {
  const child = setup({}).createMachine({
    initial: 'idle',
    entry: ({ self }) => log('child begins', self),
    states: {
      idle: { on: { poke: 'poked' } },
      poked: {
        entry: [({ self }) => log('child poked', self), sendParent({ type: 'answer' })],
        after: { 10: 'done' },
      },
      done: { type: 'final', entry: ({ self }) => log('child done', self) },
    },
  })
  const answering = setup({}).createMachine({
    entry: [({ self }) => log('child begins', self), sendParent({ type: 'answer' })],
  })
  const tell = ({ self, event }: { self: object; event: { type: string } }): void =>
    log(`told ${event.type}`, self)
  return setup({ actors: { child, answering }, actions: { tell } })
}

const machines: Record<string, (log: Log) => AnyStateMachine> = {
  'events of actors that begin wait until all of them have begun': (log) =>
    base(log).createMachine({
      initial: 'idle',
      on: { answer: { actions: 'tell' } },
      states: {
        idle: { on: { go: 'works' } },
        works: {
          entry: 'tell',
          invoke: [
            { id: 'one', src: 'answering' },
            { id: 'two', src: 'child' },
          ],
        },
      },
    }),
  'an actor handles the events that were sent to it before it was stopped': (log) =>
    base(log).createMachine({
      initial: 'works',
      on: { answer: { actions: 'tell' } },
      states: {
        works: {
          invoke: { id: 'one', src: 'child' },
          on: { go: 'left' },
          exit: ['tell', sendTo('one', { type: 'poke' })],
        },
        left: { entry: 'tell' },
      },
    }),
  'so does an actor that an action stops': (log) =>
    base(log).createMachine({
      entry: enqueueActions(({ enqueue }) => enqueue.spawnChild('child', { id: 'one' })),
      on: {
        answer: { actions: 'tell' },
        go: { actions: ['tell', sendTo('one', { type: 'poke' }), stopChild('one')] },
      },
    }),
  'the snapshot of an actor inside can be asked, in guards and in actions': (log) =>
    base(log).createMachine({
      initial: 'idle',
      states: {
        idle: { on: { go: 'works' } },
        works: {
          entry: 'tell',
          invoke: {
            id: 'one',
            src: 'child',
            onSnapshot: {
              guard: ({ event }) => event.snapshot.matches('idle'),
              target: 'left',
              actions: ({ event, self }) =>
                log(`can be poked: ${event.snapshot.can({ type: 'poke' })}`, self),
            },
          },
        },
        left: { entry: 'tell' },
      },
    }),
  'timers of one instant keep the order in which they were set': (log) =>
    base(log).createMachine({
      initial: 'works',
      invoke: { id: 'one', src: 'child' },
      on: { answer: { actions: 'tell' } },
      states: {
        works: { on: { go: 'left' }, exit: ['tell', sendTo('one', { type: 'poke' })] },
        left: { invoke: { id: 'two', src: 'child' }, entry: 'tell', after: { 10: 'end' } },
        end: { entry: 'tell' },
      },
    }),
}

const cases = Object.entries(machines).flatMap(([claim, make]) =>
  [1, 2, 3].map((nth) => [claim, nth, make] as const),
)

test.each(cases)('%s (killed at each save %i)', async (_, nth, make) => {
  const [theirs, ours]: [string[], string[]] = [[], []]
  const xstates = new SimulatedClock()
  const actor = createActor(
    make((what) => theirs.push(what)),
    { clock: xstates },
  ).start()
  actor.send({ type: 'go' })
  xstates.increment(20)

  const { system, clock, close } = testSystem()
  onTestFinished(() => close())
  const steps = new Set<string>()
  let [saves, kept]: [number, SavedMachine | undefined] = [0, undefined]
  let ref: Ref<never> | undefined
  const machine = make((what, self) => {
    const step = StateMachine.stepOf(self as never)
    if (!steps.has(step)) ours.push(what)
    steps.add(step)
  })
  const server = StateMachine.server(machine, {
    restore: () => kept,
    save: (saved) => {
      kept = throughJson(saved)
      if (ref !== undefined && ++saves % nth === 0) system.kill(ref)
    },
  })
  const live = async (): Promise<void> => {
    while (ref === undefined || system.info(ref) === undefined) {
      ref = (await system.start(server as never, undefined as never)) as Ref<never>
      await clock.settle()
    }
  }
  await live()
  StateMachine.send(ref as never, { type: 'go' } as never)
  for (let ms = 0; ms < 20; ms++) {
    await clock.settle()
    await live()
    await clock.advance(1)
  }
  await live()
  expect(ours).toEqual(theirs)
})
