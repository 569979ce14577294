import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, and, assign, emit, log, not, raise, sendTo, setup } from 'xstate'
import { isKeelsonError } from '../../src/errors.ts'
import {
  call,
  cast,
  createSystem,
  type DownMessage,
  exit,
  type GenServer,
  getState,
  type Logger,
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
} from '../../src/runtime/index.ts'
import { type MessagesOf, StateMachine } from '../../src/runtime/state-machine.ts'
import { testSystem, virtualClock } from '../../src/testing/index.ts'

type Events =
  | { type: 'push' }
  | { type: 'note'; text: string }
  | { type: 'crash' }
  | { type: 'finish' }
  | { type: 'reject' }
  | { type: 'guarded' }
  | { type: 'spare' }

const boom = new Error('boom')

const lamp = setup({
  types: {} as {
    context: { notes: string[]; pushes: number }
    events: Events
    output: { pushes: number }
    tags: 'lit'
    emitted: { type: 'lit'; at: number }
  },
  actions: {
    note: assign({
      notes: ({ context, event }) =>
        event.type === 'note' ? [...context.notes, event.text] : context.notes,
    }),
    count: assign({ pushes: ({ context }) => context.pushes + 1 }),
    throwBoom: () => {
      throw boom
    },
    rejectBoom: () => Promise.reject(boom),
    announce: emit(({ context }) => ({ type: 'lit' as const, at: context.pushes })),
    tell: log(({ context }) => `pushed ${context.pushes} times`, 'lamp'),
  },
  guards: {
    throwing: () => {
      throw boom
    },
  },
}).createMachine({
  id: 'lamp',
  context: { notes: [], pushes: 0 },
  initial: 'off',
  output: ({ context }) => ({ pushes: context.pushes }),
  on: {
    note: { actions: 'note' },
    crash: { actions: 'throwBoom' },
    reject: { actions: 'rejectBoom' },
    guarded: { guard: 'throwing', actions: 'note' },
  },
  states: {
    off: { on: { push: { target: 'on', actions: 'count' } } },
    on: {
      tags: 'lit',
      entry: ['announce', 'tell'],
      on: { push: 'off', finish: 'done' },
    },
    done: { type: 'final' },
  },
})

const server = StateMachine.server(lamp)
const push = { type: 'push' } as const
const note = (text: string) => ({ type: 'note', text }) as const

/** A system whose log is kept. */
const listening = () => {
  const lines: string[] = []
  const keep = (line: string): void => void lines.push(line)
  const logger: Logger = { error: keep, warn: keep, info: keep }
  const clock = virtualClock()
  return { system: createSystem({ clock, logger }), clock, lines }
}

const reasonOfEnd = (system: ReturnType<typeof testSystem>['system'], ref: object) =>
  new Promise((resolve) => void system.monitor(ref as never, resolve))

describe('a state machine', () => {
  test('takes events in their order, and shows its snapshot as its state', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)

    StateMachine.send(ref, note('a'))
    StateMachine.send(ref, push)
    StateMachine.send(ref, note('b'))

    const state = await getState<{ value: string; hasTag(tag: string): boolean }>(ref)
    expect(state).toMatchObject({ value: 'on', context: { notes: ['a', 'b'], pushes: 1 } })
    expect(state.hasTag('lit')).toBe(true)
  })

  test('shows its value and context when its state is printed, not the machine behind it', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)
    StateMachine.send(ref, push)

    const printed = inspect(await getState(ref), { depth: 9 })

    expect(printed).toContain("value: 'on'")
    expect(printed).toContain('machine: machine lamp')
    expect(printed).toContain('_nodes: [ #lamp, #lamp.on ]')
    expect(printed).not.toContain('StateNode')
  })

  test('is plain data as a snapshot, which JSON keeps as it is', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)
    StateMachine.send(ref, push)

    const snapshot = await StateMachine.snapshot(ref)

    expect(snapshot).toEqual({
      machine: 'lamp',
      status: 'active',
      value: 'on',
      context: { notes: [], pushes: 1 },
      tags: ['lit'],
      historyValue: {},
      children: {},
      timers: [],
      postponed: [],
    })
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
  })

  test('is found by its name', async () => {
    const { system } = testSystem()
    const lampName = name<MessagesOf<typeof server>>('lamp')
    await system.start(server, undefined, { name: lampName })

    StateMachine.send(system.to(lampName), push)

    expect((await StateMachine.snapshot(system.to(lampName))).value).toBe('on')
  })

  test('ends normally in its final state, with its output for whoever waits', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)
    const reason = reasonOfEnd(system, ref)
    const outputs = Promise.all([StateMachine.output(ref), StateMachine.output(ref)])

    StateMachine.send(ref, push)
    StateMachine.send(ref, { type: 'finish' })

    expect(await outputs).toEqual([{ pushes: 1 }, { pushes: 1 }])
    expect(await reason).toBe('normal')
  })

  test('that ends otherwise rejects whoever waits for its output', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)
    const waiting = StateMachine.output(ref).catch((error: unknown) => error)

    StateMachine.send(ref, { type: 'crash' })

    const error = await waiting
    expect(isKeelsonError(error, 'EXITED') && error.details.reason).toBe(boom)
    const later = await StateMachine.output(ref).catch((error: unknown) => error)
    expect(isKeelsonError(later, 'NO_PROCESS')).toBe(true)
  })

  test.each([
    ['an action that throws', { type: 'crash' }],
    ['an action whose promise is rejected', { type: 'reject' }],
  ] as const)('exits with the error of %s', async (_, event) => {
    const { system, clock } = testSystem()
    const ref = await system.start(server)
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, event)
    await clock.settle()

    expect(await reason).toBe(boom)
    expect(StateMachine.send(ref, push)).toBe(false)
    const asked = await StateMachine.snapshot(ref).catch((error: unknown) => error)
    expect(isKeelsonError(asked, 'NO_PROCESS')).toBe(true)
  })

  test('exits when a guard throws', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, { type: 'guarded' })

    expect(String(await reason)).toContain('boom')
  })

  test('ends with the reason that an action gives to exit', async () => {
    const leaving = setup({ types: {} as { events: { type: 'go' } } }).createMachine({
      on: { go: { actions: () => exit(['shutdown', 'enough']) } },
    })
    const { system } = testSystem()
    const ref = await system.start(StateMachine.server(leaving))
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, { type: 'go' })

    expect(await reason).toEqual(['shutdown', 'enough'])
  })

  test('does the actions of a step in their order, when the new snapshot is there', async () => {
    const seen: string[] = []
    const see =
      (what: string) =>
      ({ self, context }: { self: unknown; context: { n: number } }) =>
        void seen.push(
          `${what} n=${context.n} in ${(self as { getSnapshot(): { value: string } }).getSnapshot().value}`,
        )
    const ordered = setup({
      types: {} as { context: { n: number }; events: { type: 'go' } },
    }).createMachine({
      context: { n: 0 },
      initial: 'a',
      states: {
        a: {
          entry: see('enter a'),
          exit: [see('leave a'), raise({ type: 'go' })],
          on: { go: { target: 'b', actions: [see('on the way'), assign({ n: 1 })] } },
        },
        b: { entry: see('enter b'), on: { go: { target: 'c', actions: see('raised') } } },
        c: { always: 'd' },
        d: { entry: see('enter d') },
      },
    })
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(ordered))
    StateMachine.send(ref, { type: 'go' })
    await clock.settle()

    expect(seen).toEqual([
      'enter a n=0 in a',
      'leave a n=0 in d',
      'on the way n=0 in d',
      'enter b n=1 in d',
      'raised n=1 in d',
      'enter d n=1 in d',
    ])
  })

  test('that cannot begin refuses its start with the error', async () => {
    const stillborn = setup({ types: {} as { input: { at: number } } }).createMachine({
      context: () => {
        throw boom
      },
    })
    const { system } = testSystem()

    const result = await system.startResult(StateMachine.server(stillborn), { at: 1 })

    expect(result).toEqual({ ok: false, reason: boom })
  })

  test('that is done at once starts and ends normally', async () => {
    const brief = setup({}).createMachine({
      initial: 'end',
      states: { end: { type: 'final' } },
      output: 7,
    })
    const { system } = testSystem()

    const reasons: unknown[] = []
    system.events.on('process.exited', ({ reason }) => reasons.push(reason))

    const result = await system.startResult(StateMachine.server(brief))

    expect(result.ok).toBe(true)
    expect(reasons).toEqual(['normal'])
  })

  test('begins anew when its supervisor restarts it', async () => {
    const { system, clock } = testSystem()
    const lampName = name<MessagesOf<typeof server>>('lamp')
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        worker('lamp', server, undefined, { name: lampName }),
      ]),
    )
    const first = system.whereis(lampName)
    StateMachine.send(system.to(lampName), push)
    StateMachine.send(system.to(lampName), { type: 'crash' })
    await clock.settle()

    const second = system.whereis(lampName)
    expect(second?.pid).not.toBe(first?.pid)
    expect(await StateMachine.snapshot(system.to(lampName))).toMatchObject({
      value: 'off',
      context: { pushes: 0 },
    })
  })

  test('emits to its option and logs through the system', async () => {
    const { system, clock, lines } = listening()
    const emitted: unknown[] = []
    const loud = StateMachine.server(lamp, { emitted: (event) => void emitted.push(event) })
    const ref = await system.start(loud, undefined, { name: name('lamp') })

    StateMachine.send(ref, push)
    await clock.settle()

    expect(emitted).toEqual([{ type: 'lit', at: 1 }])
    expect(lines).toEqual(['lamp: lamp pushed 1 times'])
  })
})

describe('events', () => {
  test.each([
    ['a text', 'push'],
    ['nothing', undefined],
    ['null', null],
    ['an object without a type', { text: 'a' }],
    ['a type that is no text', { type: 7 }],
    ['one of XState itself', { type: 'xstate.stop' }],
  ])('%s is refused at the caller, and nobody is hurt', async (_, event) => {
    const { system } = testSystem()
    const ref = await system.start(server)

    let thrown: unknown
    try {
      StateMachine.send(ref, event as never)
    } catch (error) {
      thrown = error
    }
    const rejected = await StateMachine.call(ref, event as never).catch((error: unknown) => error)

    expect(isKeelsonError(thrown, 'INVALID_ARGUMENT')).toBe(true)
    expect(isKeelsonError(rejected, 'INVALID_ARGUMENT')).toBe(true)
    expect((await StateMachine.snapshot(ref)).value).toBe('off')
  })

  test('that the present state has no use for change nothing and are not told', async () => {
    const { system, lines } = listening()
    const ref = await system.start(server)

    StateMachine.send(ref, { type: 'finish' })

    expect((await StateMachine.snapshot(ref)).value).toBe('off')
    expect(lines).toEqual([])
  })

  test('that no state names are logged by default', async () => {
    const { system, lines } = listening()
    const ref = await system.start(server, undefined, { name: name('lamp') })

    StateMachine.send(ref, { type: 'spare' })

    expect((await StateMachine.snapshot(ref)).value).toBe('off')
    expect(lines).toEqual(['lamp: unknown event spare'])
  })

  test('that no state names are passed over in silence, or end the process, when asked so', async () => {
    const { system, lines } = listening()
    const silent = await system.start(StateMachine.server(lamp, { unknownEvents: 'ignore' }))
    const strict = await system.start(StateMachine.server(lamp, { unknownEvents: 'exit' }))
    const reason = reasonOfEnd(system, strict)

    StateMachine.send(silent, { type: 'spare' })
    await StateMachine.snapshot(silent)
    expect(lines).toEqual([])
    StateMachine.send(strict, { type: 'spare' })

    expect(isKeelsonError(await reason, 'INVALID_ARGUMENT')).toBe(true)
  })

  test.each([
    ['*', true],
    ['door.*', true],
    ['door.open', true],
    ['doors.*', false],
  ])('of the type door.open are known to a machine that names %s: %s', async (named, isKnown) => {
    const { system, lines } = listening()
    const machine = setup({ types: {} as { events: { type: 'door.open' } } }).createMachine({
      on: { [named]: {} },
    })
    const ref = await system.start(StateMachine.server(machine))

    StateMachine.send(ref, { type: 'door.open' })
    await StateMachine.snapshot(ref)

    expect(lines.length).toBe(isKnown ? 0 : 1)
  })

  test('beyond mailboxMax are refused', async () => {
    const { system } = testSystem()
    const ref = await system.start(server, undefined, { mailboxMax: 2 })

    const admitted = [push, push, push].map((event) => StateMachine.send(ref, event))

    expect(admitted).toEqual([true, true, false])
  })
})

describe('a call', () => {
  const answering = StateMachine.server(lamp, {
    answers: {
      push: ({ value, context }) => ({ value, pushes: context.pushes }),
      note: ({ context }, { text }) => `${text} is number ${context.notes.length}`,
    },
    postpone: { off: ['note'] },
  })

  test('is answered with what the event led to', async () => {
    const { system } = testSystem()
    const ref = await system.start(answering)

    expect(await StateMachine.call(ref, push)).toEqual({ value: 'on', pushes: 1 })
    expect(await StateMachine.call(ref, note('a'))).toBe('a is number 1')
  })

  test('whose event is postponed is answered when it was handled', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(answering)
    let answer: unknown
    void StateMachine.call(ref, note('a')).then((value) => {
      answer = value
    })
    await clock.settle()
    expect(answer).toBe(undefined)

    StateMachine.send(ref, push)
    await clock.settle()

    expect(answer).toBe('a is number 1')
  })

  test('of an event without an answer is refused, and the event is not handled', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)

    const refused = await StateMachine.call(ref, push as never).catch((error: unknown) => error)

    expect(isKeelsonError(refused, 'INVALID_ARGUMENT')).toBe(true)
    expect((await StateMachine.snapshot(ref)).value).toBe('off')
  })

  test('whose event crashes the machine is told so', async () => {
    const { system } = testSystem()
    const ref = await system.start(StateMachine.server(lamp, { answers: { crash: () => 1 } }))

    const failed = await StateMachine.call(ref, { type: 'crash' }).catch((error: unknown) => error)

    expect(isKeelsonError(failed, 'EXITED') && failed.details.reason).toBe(boom)
  })

  test('whose event ends the machine is answered first', async () => {
    const { system } = testSystem()
    const last = StateMachine.server(lamp, { answers: { finish: ({ status }) => status } })
    const ref = await system.start(last)
    StateMachine.send(ref, push)

    expect(await StateMachine.call(ref, { type: 'finish' })).toBe('done')
    expect(system.info(ref)).toBe(undefined)
  })
})

describe('a machine among processes', () => {
  const echo: GenServer<{ casts: { heard: (text: string) => void } }, string[]> = {
    init: () => [],
    casts: { heard: (heard, text) => noReply([...heard, text]) },
  }

  test('reaches processes from its actions', async () => {
    const { system, clock } = testSystem()
    const ear = await system.start(echo)
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

  test('sends events to another machine, and what is sent to one that is gone is lost', async () => {
    const { system, clock } = testSystem()
    const lampRef = await system.start(server)
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
      const { system } = testSystem()
      const ref = await system.start(StateMachine.server(wrong))
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
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(ticking))
    await suspend(ref)
    await clock.advance(20)
    StateMachine.send(ref, push)
    await clock.settle()
    expect((await getState<{ value: string }>(ref)).value).toBe('a')

    await resume(ref)

    expect((await StateMachine.snapshot(ref)).value).toBe('c')
  })

  test('goes on from the snapshot that sys.replaceState gives it', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)

    await replaceState(ref, () =>
      lamp.resolveState({ value: 'on', context: { notes: [], pushes: 9 } }),
    )
    StateMachine.send(ref, push)

    expect(await StateMachine.snapshot(ref)).toMatchObject({ value: 'off', context: { pushes: 9 } })
  })

  test('shows its events and transitions to a trace, and its transitions to telemetry', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(server)
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

describe('what cannot run', () => {
  const base = setup({ types: {} as { events: { type: 'go' } | { type: 'stay' } } })
  const pathOf = (make: () => unknown): unknown => {
    try {
      make()
    } catch (error) {
      return isKeelsonError(error, 'CONFIG') ? error.details.path : error
    }
    return undefined
  }
  const machineWith = (config: object) =>
    base.createMachine({ id: 'm', ...config } as never) as unknown as AnyStateMachine

  test.each([
    ['an entry action', { entry: 'gone' }, 'm.entry'],
    ['an exit action with parameters', { exit: { type: 'gone', params: {} } }, 'm.exit'],
    [
      'an action of a transition',
      { initial: 'a', states: { a: { on: { go: { actions: ['gone'] } } } } },
      'm.a.on.go',
    ],
    ['a guard', { on: { go: { guard: 'gone', actions: () => {} } } }, 'm.on.go'],
    [
      'a guard within guards',
      { on: { go: { guard: and([not('gone'), () => true]), actions: () => {} } } },
      'm.on.go',
    ],
    [
      'a guard of always',
      { initial: 'a', states: { a: { always: { guard: 'gone', target: 'b' } }, b: {} } },
      'm.a.always',
    ],
    ['an invoked actor', { invoke: { src: 'gone', id: 'g' } }, 'm.invoke.g'],
    ['a delay of after', { after: { gone: { actions: () => {} } } }, 'm.entry'],
    ['a delay of raise', { entry: raise({ type: 'go' }, { delay: 'gone' as never }) }, 'm.entry'],
  ])('%s that nobody implemented is refused where it stands', (_, config, path) => {
    expect(pathOf(() => StateMachine.server(machineWith(config)))).toBe(path)
  })

  test.each([
    ['no machine', () => StateMachine.server({} as never), 'machine'],
    ['null', () => StateMachine.server(null as never), 'machine'],
    [
      'an unknown option',
      () => StateMachine.server(machineWith({}), { speed: 1 } as never),
      'speed',
    ],
    [
      'an unknown way with unknown events',
      () => StateMachine.server(machineWith({}), { unknownEvents: 'shout' } as never),
      'unknownEvents',
    ],
    [
      'an answer that is no function',
      () => StateMachine.server(machineWith({}), { answers: { go: 1 } } as never),
      'answers.go',
    ],
    [
      'a state to postpone in that is not there',
      () => StateMachine.server(machineWith({}), { postpone: { nowhere: ['go'] } } as never),
      'postpone.nowhere',
    ],
    [
      'an event to postpone that is not there',
      () =>
        StateMachine.server(machineWith({ initial: 'a', states: { a: {} } }), {
          postpone: { a: ['go'] },
        } as never),
      'postpone.a',
    ],
    [
      'a terminate that is no function',
      () => StateMachine.server(machineWith({}), { terminate: 1 } as never),
      'terminate',
    ],
  ])('%s is refused with its path', (_, make, path) => {
    expect(pathOf(make)).toBe(path)
  })

  test('a call of the process itself works like any other server', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)

    const answer = await call(ref, 'snapshot')

    expect(answer.value).toBe('off')
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
