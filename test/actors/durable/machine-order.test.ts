/** The events of a durable machine keep XState's order, also when one turn takes several. */
import { expect, onTestFinished, test } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  createActor,
  fromCallback,
  SimulatedClock,
  sendTo,
  setup,
} from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { startSimulated } from '../../../src/testing/index.ts'

type Log = (what: string) => void

/** Each state starts a callback, and sends the machine an event that leaves it. */
const machineOf = (log: Log): AnyStateMachine => {
  const work = fromCallback(() => {
    log('up')
    return () => log('down')
  })
  const leaves = {
    entry: sendTo(({ self }) => self, { type: 'out' }),
    invoke: { src: 'work' as const },
  }
  return setup({ actors: { work } }).createMachine({
    id: 'm',
    initial: 'begins',
    states: {
      begins: { ...leaves, on: { out: 'idle', go: { actions: () => log('too early') } } },
      idle: { on: { go: 'waits' } },
      waits: {
        type: 'parallel',
        states: {
          one: {
            initial: 'a',
            states: { a: { after: { 10: 'b' } }, b: { ...leaves, on: { out: 'c' } }, c: {} },
          },
          two: {
            initial: 'a',
            states: { a: { after: { 10: 'b' } }, b: { entry: () => log('second timer') } },
          },
        },
      },
    },
  } as never) as unknown as AnyStateMachine
}

test('a first event comes after those of the beginning, and a timer after those of the one before', async () => {
  const [theirs, ours]: [string[], string[]] = [[], []]
  const xstates = new SimulatedClock()
  const actor = createActor(
    machineOf((what) => theirs.push(what)),
    { clock: xstates },
  ).start()
  actor.send({ type: 'go' } as never)
  xstates.increment(20)

  const kind = entity('m', StateMachine.durable(machineOf((what) => ours.push(what))) as never)
  const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  StateMachine.send(s.app.entity('m').ref('1') as never, { type: 'go' } as never)
  await s.advance(5)
  await s.advance(20)
  expect(theirs).toEqual(['up', 'down', 'up', 'down', 'second timer'])
  expect(ours).toEqual(theirs)
})

/** A callback says that it is ready as it starts; then the machine can go. */
const readyMachine = (initial: string, log: Log): AnyStateMachine => {
  const work = fromCallback(({ sendBack }) => {
    log('up')
    sendBack({ type: 'ready' })
    return () => log('down')
  })
  return setup({ actors: { work } }).createMachine({
    id: 'm',
    initial,
    states: {
      idle: { on: { begin: 'begins' } },
      begins: { invoke: { src: 'work' }, on: { ready: 'ready', leave: 'idle' } },
      ready: { on: { go: 'runs' } },
      runs: {},
    },
  } as never) as unknown as AnyStateMachine
}

test.each([
  ['begins', ['go']],
  ['begins', ['leave', 'go']],
  ['idle', ['begin', 'go']],
  ['idle', ['begin', 'leave', 'go']],
])(
  'an event comes after what actors inside send as they start (in %s: %j)',
  async (initial, types) => {
    const [theirs, ours]: [string[], string[]] = [[], []]
    const actor = createActor(readyMachine(initial, (what) => theirs.push(what))).start()
    for (const type of types) actor.send({ type } as never)

    const machine = readyMachine(initial, (what) => ours.push(what))
    const kind = entity('m', StateMachine.durable(machine) as never)
    const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
    onTestFinished(() => s.close({ deadlineMs: 10 }))
    const ref = s.app.entity('m').ref('1') as never
    for (const type of types) StateMachine.send(ref, { type } as never)
    await s.advance(20)
    const { value } = await s.during(StateMachine.snapshot(ref))
    expect([value, ours]).toEqual([actor.getSnapshot().value, theirs])
  },
)

test('an event comes after the first one, which waits for an action that is tried again', async () => {
  let isBad = true
  const greet = (): void => {
    if (isBad) throw new Error('not yet')
  }
  const work = fromCallback(() => () => undefined)
  type Seen = { readonly seen: readonly string[] }
  const notes = assign<Seen, { type: string }, undefined, { type: string }, never>({
    seen: ({ context, event }) => [...context.seen, event.type],
  })
  const machine = setup({ actors: { work }, actions: { greet, notes } as never }).createMachine({
    ...{ id: 'm', context: { seen: [] }, entry: 'greet', invoke: { src: 'work' } },
    on: { '*': { actions: 'notes' } },
  } as never) as unknown as AnyStateMachine
  const kind = entity('m', StateMachine.durable(machine) as never)
  const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  const ref = s.app.entity('m').ref('1') as never
  for (const type of ['one', 'two']) StateMachine.send(ref, { type } as never)
  await s.advance(20)
  isBad = false
  await s.advance(60_000)
  const { context } = (await s.during(StateMachine.snapshot(ref))) as { readonly context: Seen }
  expect(context.seen).toEqual(['one', 'two'])
})

test('a delayed transition comes after the first event, which waits for an action that is tried again', async () => {
  let isBad = true
  const greet = (): void => {
    if (isBad) throw new Error('not yet')
  }
  const work = fromCallback(() => () => undefined)
  const machine = setup({ actors: { work }, actions: { greet } as never }).createMachine({
    id: 'm',
    entry: 'greet',
    initial: 'a',
    states: {
      a: { invoke: { src: 'work' }, after: { 500: 'b' }, on: { one: 'c' } },
      b: {},
      c: { after: { 100: 'd' } },
      d: {},
    },
  } as never) as unknown as AnyStateMachine
  const kind = entity('m', StateMachine.durable(machine) as never)
  const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  const value = async (id: string): Promise<unknown> =>
    (await s.during(StateMachine.snapshot(s.app.entity('m').ref(id) as never))).value
  StateMachine.send(s.app.entity('m').ref('1') as never, { type: 'one' } as never)
  // No state has a use for it: the delayed transition comes as soon as it need not wait.
  StateMachine.send(s.app.entity('m').ref('2') as never, { type: '*' } as never)
  await s.advance(600)
  expect([await value('1'), await value('2')]).toEqual(['a', 'a'])

  isBad = false
  await s.advance(1_000)
  expect([await value('1'), await value('2')]).toEqual(['d', 'b'])
})
