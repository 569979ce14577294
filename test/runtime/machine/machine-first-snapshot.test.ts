/** The first snapshot of an actor inside comes behind the beginning of its work, as in XState's own actor. */
import { expect, onTestFinished, test } from 'vitest'
import {
  type AnyActorLogic,
  type AnyStateMachine,
  createActor,
  createMachine,
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

type Make = (log: Log) => AnyStateMachine

const byXState = async (make: Make): Promise<string[]> => {
  const told: string[] = []
  createActor(make((what) => told.push(what)))
    .start()
    .send({ type: 'go' })
  await turns()
  return told
}

const byProcess = async (make: Make): Promise<string[]> => {
  const told: string[] = []
  const { system, clock, close } = testSystem()
  onTestFinished(() => close())
  const ref = await system.start(StateMachine.server(make((what) => told.push(what))))
  StateMachine.send(ref, { type: 'go' } as never)
  await clock.settle()
  await turns()
  await clock.settle()
  return told
}

test.each(cases)('%s, onSnapshot leaves: %s, an event before: %s', async (_, leaves, asks, of) => {
  const make: Make = (log) => machineOf(of, log, leaves, asks)
  expect(await byProcess(make)).toEqual(await byXState(make))
})

test('first snapshots of actors that begin together keep their order', async () => {
  const inner = createMachine({ id: 'inner', initial: 'x', states: { x: {} } })
  const make: Make = (log) => {
    const invoke = ['one', 'two', 'three'].map((id) => ({
      ...{ id, src: id === 'two' ? 'machine' : 'observable' },
      onSnapshot: { actions: () => log(id) },
    }))
    return setup({ actors: { machine: inner, observable: logics.observable(log) } }).createMachine({
      id: 'm',
      initial: 'idle',
      states: { idle: { on: { go: 'a' } }, a: { invoke: invoke as never } },
    })
  }
  expect(await byProcess(make)).toEqual(await byXState(make))
})
