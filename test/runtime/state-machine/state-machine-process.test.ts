/**
 * A machine as a process among processes: its actions reach others, and it obeys signals,
 * supervisors and sys.
 */
import { describe, expect, test } from 'vitest'
import { assign, sendTo, setup } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  cast,
  type DownMessage,
  type GenServer,
  getState,
  name,
  noReply,
  replaceState,
  resume,
  startSupervisor,
  stopProcess,
  supervisor,
  suspend,
  type TraceEvent,
  trace,
  worker,
} from '../../../src/runtime/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { type Events, lamp, note, push, server } from '../machine/lamp.ts'
import { listening, reasonOfEnd, started } from './machine-process.ts'

describe('a machine among processes', () => {
  const echo: GenServer<{ casts: { heard: (text: string) => void } }, string[]> = {
    init: () => [],
    casts: { heard: (heard, text) => noReply([...heard, text]) },
  }

  test('is shown as a machine, unless its start says otherwise', async () => {
    const { system, ref: shown } = await started(server)
    const renamed = await system.start(server, undefined, { kind: 'lamp' })

    expect([system.info(shown)?.kind, system.info(renamed)?.kind]).toEqual(['machine', 'lamp'])
  })

  test('reaches processes from its actions', async () => {
    const { system, clock, ref: ear } = await started(echo)
    const speaker = setup({
      types: {} as { events: { type: 'say' } },
    }).createMachine({
      on: {
        say: {
          actions: ({ self }) => {
            const context = StateMachine.contextOf(self)
            cast(context.to(ear), 'heard', `from ${context.self}`)
          },
        },
      },
    })
    const ref = await system.start(StateMachine.server(speaker))
    StateMachine.send(ref, { type: 'say' })
    await clock.settle()

    expect(await getState(ear)).toEqual([`from ${ref}`])
  })

  test('sends events to another machine, and events to a machine that is gone are lost', async () => {
    const { system, clock, ref: lampRef } = await started(server)
    const remote = setup({
      types: {} as { events: { type: 'press' } },
    }).createMachine({
      on: { press: { actions: sendTo(() => StateMachine.actorOf(lampRef), push) } },
    })
    const ref = await system.start(StateMachine.server(remote))
    StateMachine.send(ref, { type: 'press' })
    await clock.settle()
    expect((await StateMachine.snapshot(lampRef)).value).toBe('on')

    system.kill(lampRef)
    StateMachine.send(ref, { type: 'press' })
    await clock.settle()

    expect(system.info(ref)?.pid).toBe(ref.pid)
  })

  test.each(['stop', 'subscribe', 'on', 'select'] as const)(
    'crashes when an action uses %s of its self, which would have no effect',
    async (way) => {
      const wrong = setup({ types: {} as { events: { type: 'go' } } }).createMachine({
        on: { go: { actions: ({ self }) => (self[way] as () => void)() } },
      })
      const { system, ref } = await started(StateMachine.server(wrong))
      const reason = reasonOfEnd(system, ref)

      StateMachine.send(ref, { type: 'go' })

      expect(isKeelsonError(await reason, 'INVALID_ARGUMENT')).toBe(true)
    },
  )

  test('has no context of a process when XState alone runs it', () => {
    let thrown: unknown
    try {
      StateMachine.contextOf({ system: {} } as never)
    } catch (error) {
      thrown = error
    }
    expect(isKeelsonError(thrown, 'INVALID_ARGUMENT')).toBe(true)
  })

  test('takes downs, exits and infos as events when its options say so', async () => {
    const { system, clock } = testSystem()
    const watcher = setup({
      types: {} as {
        context: { seen: string[] }
        input: undefined
        events: { type: 'saw'; what: string }
      },
    }).createMachine({
      context: { seen: [] },
      on: {
        saw: {
          actions: assign({ seen: ({ context, event }) => [...context.seen, event.what] }),
        },
      },
    })
    const reasonIn = ({ reason }: DownMessage | { reason: unknown }) => String(reason)
    const watching = StateMachine.server(watcher, {
      trapExit: true,
      down: (message) => ({ type: 'saw', what: `down ${reasonIn(message)}` }),
      exit: (message) => ({ type: 'saw', what: `exit ${reasonIn(message)}` }),
      info: ({ name }) => (name === 'odd' ? undefined : { type: 'saw', what: `info ${name}` }),
    })
    const ref = await system.start(watching)
    const talker = await system.start({
      init: (_: undefined, context) => {
        context.send(ref as never, 'hello' as never)
        context.send(ref as never, 'odd' as never)
        context.link(ref)
        return undefined
      },
    } satisfies GenServer<Record<never, never>, undefined>)
    system.exit(talker, 'gone')
    await clock.settle()

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['info hello', 'exit gone'])
  })

  test('runs terminate with its snapshot when its parent ends, and when it is stopped', async () => {
    const { system } = testSystem()
    const ended: unknown[] = []
    const leaving = StateMachine.server(lamp, {
      trapExit: true,
      terminate: (snapshot, reason) => void ended.push([snapshot.value, reason]),
    })
    const parent = await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [worker('lamp', leaving)]),
    )
    await stopProcess(parent, 'shutdown')
    const alone = await system.start(leaving)
    StateMachine.send(alone, push)
    await stopProcess(alone)

    expect(ended).toEqual([
      ['off', 'shutdown'],
      ['on', 'normal'],
    ])
  })

  test('can be suspended: events, timers and actors inside wait until it goes on', async () => {
    const ticking = setup({ types: {} as { events: Events } }).createMachine({
      initial: 'a',
      states: { a: { after: { 10: 'b' } }, b: { on: { push: 'c' } }, c: {} },
    })
    const { clock, ref } = await started(StateMachine.server(ticking))
    await suspend(ref)
    await clock.advance(20)
    StateMachine.send(ref, push)
    await clock.settle()
    expect((await getState<{ value: string }>(ref)).value).toBe('a')

    await resume(ref)

    expect((await StateMachine.snapshot(ref)).value).toBe('c')
  })

  test('goes on from the snapshot that sys.replaceState gives it', async () => {
    const { ref } = await started(server)

    await replaceState(ref, () =>
      lamp.resolveState({ value: 'on', context: { notes: [], pushes: 9 } }),
    )
    StateMachine.send(ref, push)

    expect(await StateMachine.snapshot(ref)).toMatchObject({ value: 'off', context: { pushes: 9 } })
  })

  test('shows its events and transitions to a trace, and its transitions to telemetry', async () => {
    const { system, clock, ref } = await started(server)
    const traced: TraceEvent[] = []
    const transitions: unknown[] = []
    await trace(ref, (event) => void traced.push(event))
    system.events.on('machine.transition', ({ event, from, to, label, pid }) =>
      transitions.push([event.type, from, to, label, pid]),
    )

    StateMachine.send(ref, push)
    StateMachine.send(ref, note('a'))
    await clock.settle()

    expect(traced).toEqual([
      { direction: 'in', what: 'cast event', payload: push },
      { direction: 'step', what: 'push', payload: { event: push, from: 'off', to: 'on' } },
      { direction: 'in', what: 'cast event', payload: note('a') },
      { direction: 'step', what: 'note', payload: { event: note('a'), from: 'on', to: 'on' } },
    ])
    expect(transitions).toEqual([
      ['push', 'off', 'on', 'lamp', ref.pid],
      ['note', 'on', 'on', 'lamp', ref.pid],
    ])
  })

  test('that is killed is cut off: no action runs, no timer is left', async () => {
    const { system, clock } = testSystem()
    const entered: string[] = []
    const waiting = setup({ types: {} as { events: Events } }).createMachine({
      initial: 'a',
      states: { a: { after: { 10: 'b' } }, b: { entry: () => void entered.push('b') } },
    })
    const ref = await system.start(StateMachine.server(waiting))
    expect(clock.untilNext()).toBe(10)

    system.kill(ref)
    await clock.advance(20)

    expect(entered).toEqual([])
    expect(clock.untilNext()).toBe(undefined)
  })
})

test('a supervisor takes a machine as a child, with its input and its name', async () => {
  const counting = setup({
    types: {} as { input: { from: number }; context: { count: number } },
  }).createMachine({ context: ({ input }) => ({ count: input.from }) })
  const counter = StateMachine.server(counting)
  const counterName = name<MessagesOf<typeof counter>>('counter')
  const { system } = testSystem()

  await startSupervisor(
    system,
    supervisor('top', { strategy: 'one_for_one' }, [
      worker('counter', counter, { from: 3 }, { name: counterName }),
    ]),
  )

  expect((await StateMachine.snapshot(system.to(counterName))).context.count).toBe(3)
})

test('an event that the full mailbox of another machine refuses is told in the log of the sender', async () => {
  const { system, clock, lines } = listening()
  const target = await system.start(server, undefined, { mailboxMax: 1, name: name('target') })
  await suspend(target)
  const remote = setup({ types: {} as { events: { type: 'press' } } }).createMachine({
    on: { press: { actions: sendTo(() => StateMachine.actorOf(target), push) } },
  })
  const ref = await system.start(StateMachine.server(remote), undefined, { name: name('remote') })

  for (let count = 0; count < 2; count++) StateMachine.send(ref, { type: 'press' })
  await clock.settle()

  expect(lines).toEqual([expect.stringMatching(/^remote: the mailbox of .* refused push$/)])
})
