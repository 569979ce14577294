/** The first snapshot of an actor inside comes behind the beginning of its work, as in XState's own actor. */
import { expect, onTestFinished, test } from 'vitest'
import {
  type AnyActorLogic,
  createActor,
  fromCallback,
  fromObservable,
  fromPromise,
  sendTo,
  setup,
} from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Log = (what: string) => void

const logics = {
  callback: (log: Log) =>
    fromCallback(({ sendBack }) => {
      log('work')
      sendBack({ type: 'cb' })
      return () => log('clean')
    }),
  observable: (log: Log) =>
    fromObservable((() => ({
      subscribe: (observer: { next(value: number): void }) => {
        log('work')
        observer.next(1)
        return { unsubscribe: () => log('clean') }
      },
    })) as never),
  promise: (log: Log) =>
    fromPromise(async ({ signal }) => {
      log('work')
      signal.addEventListener('abort', () => log('clean'))
      return 1
    }),
}

/** `leaves`: the first snapshot leaves the state; `asks`: the entry sends itself an event first. */
const machineOf = (of: (log: Log) => AnyActorLogic, log: Log, leaves: boolean, asks: boolean) =>
  setup({ actors: { inner: of(log) } }).createMachine({
    id: 'm',
    initial: 'idle',
    states: {
      idle: { on: { go: 'a' } },
      a: {
        entry: asks ? sendTo(({ self }) => self, { type: 'asked' }) : [],
        invoke: {
          id: 'inner',
          src: 'inner',
          onDone: { actions: () => log('done') },
          onSnapshot: {
            ...(leaves ? { target: 'b' } : {}),
            actions: ({ event }) => {
              const { context, status } = event.snapshot as { context?: unknown; status: string }
              log(`snapshot ${context ?? status}`)
            },
          },
        },
        on: {
          cb: { actions: () => log('cb') },
          asked: { actions: () => log('asked') },
        },
      },
      b: {},
    },
  })

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const cases = Object.entries(logics).flatMap(([kind, of]) =>
  [false, true].flatMap((leaves) =>
    [false, true].map((asks) => [kind, leaves, asks, of as (log: Log) => AnyActorLogic] as const),
  ),
)

test.each(cases)('%s, onSnapshot leaves: %s, an event before: %s', async (_, leaves, asks, of) => {
  const [byXState, byProcess]: string[][] = [[], []]
  const actor = createActor(machineOf(of, (what) => byXState?.push(what), leaves, asks)).start()
  actor.send({ type: 'go' })
  await turns()

  const { system, clock, close } = testSystem()
  onTestFinished(() => close())
  const machine = machineOf(of, (what) => byProcess?.push(what), leaves, asks)
  const ref = await system.start(StateMachine.server(machine))
  StateMachine.send(ref, { type: 'go' })
  await clock.settle()
  await turns()
  await clock.settle()
  expect(byProcess).toEqual(byXState)
})
