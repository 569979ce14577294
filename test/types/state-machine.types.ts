/** Compiled, never run: what the types of a state machine let through, and what they refuse. */
import { assign, createMachine, emit, setup } from 'xstate'
import {
  type ChildSpec,
  type Context,
  cast,
  type GenServer,
  getState,
  name,
  type Ref,
  type System,
  worker,
} from '../../src/runtime/index.ts'
import {
  type MachineRef,
  type MessagesOf,
  type SavedMachine,
  StateMachine,
} from '../../src/runtime/state-machine/state-machine.ts'

const door = setup({
  types: {} as {
    input: { code: string }
    context: { code: string; opened: number }
    events: { type: 'push'; force: number } | { type: 'lock' } | { type: 'count' }
    output: { opened: number }
    emitted: { type: 'opened'; times: number }
    tags: 'safe'
  },
}).createMachine({
  id: 'door',
  context: ({ input }) => ({ code: input.code, opened: 0 }),
  initial: 'shut',
  output: ({ context }) => ({ opened: context.opened }),
  states: {
    shut: {
      tags: 'safe',
      initial: 'free',
      states: { free: {}, locked: {} },
      on: {
        push: {
          target: 'open',
          actions: [
            assign({ opened: ({ context }) => context.opened + 1 }),
            emit(({ context }) => ({ type: 'opened' as const, times: context.opened })),
          ],
        },
      },
    },
    open: { on: { lock: 'gone' } },
    gone: { type: 'final' },
  },
})
const lamp = setup({
  types: {} as { events: { type: 'push' }; context: { lit: boolean } },
}).createMachine({ id: 'lamp', context: { lit: false } })

const server = StateMachine.server(door, {
  answers: {
    push: ({ value, context }, { force }) => ({
      value,
      by: force.toFixed(),
      times: context.opened,
    }),
    count: ({ context }) => context.opened,
  },
  postpone: { open: ['push'], 'shut.locked': ['push', 'lock'] },
  unknownEvents: 'exit',
  postponedMax: 5,
  save: (saved) => void saved.context.code.trim(),
  restore: ({ code }) => (code === '' ? undefined : saved),
  emitted: ({ times }, context) => void context.sendAfter(times, 'timer', undefined as never),
  down: ({ reason }) => (reason === 'normal' ? undefined : { type: 'lock' }),
  exit: () => ({ type: 'push', force: 1 }),
  info: ({ name }) => (name === 'lock' ? { type: 'lock' } : undefined),
  terminate: (snapshot, reason, context) =>
    void [snapshot.context.opened.toFixed(), reason, context.self],
})
const plain = StateMachine.server(lamp)

declare const system: System
declare const context: Context
declare const saved: SavedMachine<typeof door>
declare const lampSaved: SavedMachine<typeof lamp>
declare const ref: MachineRef<typeof server>
declare const lampRef: MachineRef<typeof plain>

/** What must compile. */
export const allowed = async (): Promise<unknown> => {
  const started: Ref<MessagesOf<typeof server>> = await system.start(server, { code: 'a' })
  const linked = await context.startLink(server, { code: 'a' }, { name: name('door') })
  await system.start(plain)
  const child: ChildSpec = worker('door', server, { code: 'a' }, { restart: 'transient' })
  const lampChild: ChildSpec = worker('lamp', plain)
  const named = name<MessagesOf<typeof server>>('door')
  const admitted: boolean = StateMachine.send(system.to(named), { type: 'lock' })
  StateMachine.send(context.to(started), { type: 'push', force: 2 })
  StateMachine.send(linked, { type: 'count' })
  const times: number = await StateMachine.call(ref, { type: 'count' }, { timeoutMs: 5 })
  const pushed: { by: string; times: number } = await StateMachine.call(ref, {
    type: 'push',
    force: 1,
  })
  const snapshot = await StateMachine.snapshot(ref)
  const opened: number = snapshot.context.opened
  const value: 'open' | 'gone' | { shut: 'free' | 'locked' } = snapshot.value
  const output: { opened: number } = await StateMachine.output(ref)
  const open = await StateMachine.waitFor(ref, (found) => found.matches('open'), { timeoutMs: 5 })
  const openedAt: number = open.context.opened
  const cancel: () => void = StateMachine.subscribe(
    ref,
    ({ value: at, context: { opened: times } }) => [at, times.toFixed()],
    (reason) => reason === 'normal',
  )
  const seen: number = (await getState(linked)).context.opened
  cancel()
  void [openedAt, seen]
  const actor = StateMachine.actorOf(ref)
  actor.send({ type: 'push', force: 1 })
  const picture: string = StateMachine.mermaid(door)
  const step: string = StateMachine.stepOf(actor)
  const { run, actions } = snapshot
  const places: readonly (string | undefined)[] = [run, step, ...actions.map(({ name }) => name)]
  const any: GenServer<MessagesOf<typeof plain>, never> = plain as never
  StateMachine.server(door, { restore: saved })
  StateMachine.server(door, {
    restore: async () => saved,
    postpone: ({ context }, { type }) => context.opened > 1 && type === 'push',
  })
  StateMachine.server(createMachine({}), {})
  return [child, lampChild, admitted, times, pushed, opened, value, output, picture, any, places]
}

/** What must not. */
export const refused = async (): Promise<void> => {
  // @ts-expect-error the machine has no such state
  await StateMachine.waitFor(ref, (found) => found.matches('ajar'))
  // @ts-expect-error the context has no such field
  StateMachine.subscribe(ref, ({ context: { closed } }) => closed)
  // @ts-expect-error the machine has no such event
  StateMachine.send(ref, { type: 'pull' })
  // @ts-expect-error the payload is missing
  StateMachine.send(ref, { type: 'push' })
  // @ts-expect-error the payload is of another type
  StateMachine.send(ref, { type: 'push', force: 'hard' })
  // @ts-expect-error an event is an object
  StateMachine.send(ref, 'lock')
  // @ts-expect-error the event of another machine
  StateMachine.send(lampRef, { type: 'lock' })
  // @ts-expect-error the event has no answer
  await StateMachine.call(ref, { type: 'lock' })
  // @ts-expect-error no event of this machine has an answer
  await StateMachine.call(lampRef, { type: 'push' })
  // @ts-expect-error the answer is a number
  const text: string = await StateMachine.call(ref, { type: 'count' })
  // @ts-expect-error the machine takes an input
  await system.start(server)
  // @ts-expect-error the input is of another type
  await system.start(server, { code: 7 })
  // @ts-expect-error the machine takes no input
  await system.start(plain, { code: 'a' })
  // @ts-expect-error a child needs its input as well
  worker('door', server)
  // @ts-expect-error the snapshot of another machine
  StateMachine.server(door, { restore: lampSaved })
  // @ts-expect-error the snapshot of another machine, answered by a function
  StateMachine.server(door, { restore: () => lampSaved })
  // @ts-expect-error no such state
  StateMachine.server(door, { postpone: { ajar: ['push'] } })
  // @ts-expect-error no such event
  StateMachine.server(door, { postpone: { open: ['pull'] } })
  // @ts-expect-error no such way
  StateMachine.server(door, { unknownEvents: 'shout' })
  // @ts-expect-error no such option
  StateMachine.server(door, { speed: 1 })
  // @ts-expect-error the context has no such field
  StateMachine.server(door, { answers: { count: ({ context }) => context.closed } })
  // @ts-expect-error a down message must become an event of this machine
  StateMachine.server(door, { down: () => ({ type: 'pull' }) })
  // @ts-expect-error the output has no such field
  const closed: number = (await StateMachine.output(ref)).closed
  // @ts-expect-error the value is no such state
  if ((await StateMachine.snapshot(ref)).value === 'ajar') return
  // @ts-expect-error an actor takes the events of its machine
  StateMachine.actorOf(ref).send({ type: 'pull' })
  // @ts-expect-error not every process is a machine
  StateMachine.send(context.self, { type: 'push' })
  // @ts-expect-error no machine
  StateMachine.server({ states: {} })
  // @ts-expect-error the messages of a machine have no such cast
  cast(ref, 'push')
  void [text, closed]
}
