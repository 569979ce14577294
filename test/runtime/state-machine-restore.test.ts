/** What is saved of a machine and taken up again, and events that wait for another state. */
import { describe, expect, test } from 'vitest'
import {
  type AnyStateMachine,
  assign,
  cancel,
  createMachine,
  fromPromise,
  raise,
  setup,
  spawnChild,
} from 'xstate'
import { isKeelsonError } from '../../src/errors.ts'
import {
  getState,
  name,
  resume,
  startSupervisor,
  supervisor,
  suspend,
  worker,
} from '../../src/runtime/index.ts'
import {
  type MessagesOf,
  type SavedMachine,
  StateMachine,
} from '../../src/runtime/state-machine.ts'
import { isSameValue } from '../../src/runtime/state-machine-queue.ts'
import { testSystem } from '../../src/testing/index.ts'

const crossing = setup({
  types: {} as {
    context: { cars: number; log: string[] }
    events:
      | { type: 'car'; plate: string }
      | { type: 'press' }
      | { type: 'reset' }
      | { type: 'crash' }
      | { type: 'ring'; at: string }
      | { type: 'ringLater'; at: string; ms: number }
      | { type: 'quiet' }
  },
  actions: {
    crash: () => {
      throw new Error('boom')
    },
    pass: assign({
      cars: ({ context }) => context.cars + 1,
      log: ({ context, event }) =>
        event.type === 'car' ? [...context.log, event.plate] : context.log,
    }),
    note: assign({
      log: ({ context, event }) =>
        event.type === 'ring' ? [...context.log, event.at] : context.log,
    }),
  },
}).createMachine({
  id: 'crossing',
  context: { cars: 0, log: [] },
  initial: 'green',
  on: {
    crash: { actions: 'crash' },
    ring: { actions: 'note' },
    ringLater: {
      actions: raise(({ event }) => ({ type: 'ring' as const, at: event.at }), {
        delay: ({ event }) => event.ms,
        id: 'ring',
      }),
    },
    quiet: { actions: cancel('ring') },
  },
  states: {
    green: { on: { car: { actions: 'pass' }, press: 'yellow' } },
    yellow: { after: { 3000: 'red' } },
    red: { after: { 30000: 'green' }, on: { reset: 'green' } },
  },
})

const server = StateMachine.server(crossing)
type Saved = SavedMachine<typeof crossing>

const throughJson = (saved: Saved): Saved => JSON.parse(JSON.stringify(saved))

/** A crossing that is saved `ms` after somebody pressed, and then killed. */
const savedAfter = async (ms: number) => {
  const { system, clock } = testSystem()
  const ref = await system.start(server)
  StateMachine.send(ref, { type: 'press' })
  await clock.advance(ms)
  const saved = throughJson(await StateMachine.snapshot(ref))
  system.kill(ref)
  return { system, clock, saved }
}

const stateOf = async (ref: Parameters<typeof getState>[0]): Promise<unknown> =>
  (await getState<{ value: unknown }>(ref)).value

describe('a snapshot', () => {
  test('names what is still to come with its time of day', async () => {
    const { clock, saved } = await savedAfter(1_000)

    expect(saved.value).toBe('yellow')
    expect(saved.timers).toEqual([
      {
        id: expect.any(String),
        source: [],
        target: [],
        event: { type: 'xstate.after.3000.crossing.yellow' },
        dueAt: clock.now() + 2_000,
      },
    ])
  })

  test('continues with the time that is left, however long it lay', async () => {
    const { system, clock, saved } = await savedAfter(1_000)
    await clock.advance(500)

    const ref = await system.start(StateMachine.server(crossing, { restore: saved }))
    await clock.advance(1_499)
    expect(await stateOf(ref)).toBe('yellow')
    await clock.advance(1)
    expect(await stateOf(ref)).toBe('red')
    await clock.advance(29_999)
    expect(await stateOf(ref)).toBe('red')
    await clock.advance(1)

    expect(await stateOf(ref)).toBe('green')
  })

  test('whose deadlines passed meanwhile fires them at once, in the order of the deadlines', async () => {
    const { system, clock } = testSystem()
    const alarms = setup({
      types: {} as { context: { rang: string[] }; events: { type: 'ring'; at: string } },
    }).createMachine({
      id: 'alarms',
      context: { rang: [] },
      entry: [
        raise({ type: 'ring', at: 'late' }, { delay: 300 }),
        raise({ type: 'ring', at: 'early' }, { delay: 100 }),
        raise({ type: 'ring', at: 'middle' }, { delay: 200 }),
        raise({ type: 'ring', at: 'last' }, { delay: 10_000 }),
      ],
      on: {
        ring: { actions: assign({ rang: ({ context, event }) => [...context.rang, event.at] }) },
      },
    })
    const first = await system.start(StateMachine.server(alarms))
    const saved = await StateMachine.snapshot(first)
    system.kill(first)
    await clock.advance(1_000)

    // Whoever keeps a snapshot may keep its timers in any order.
    const mixed = { ...saved, timers: saved.timers.toReversed() }
    const second = await system.start(StateMachine.server(alarms, { restore: mixed }))
    await clock.settle()
    await clock.advance(0)

    expect((await StateMachine.snapshot(second)).context.rang).toEqual(['early', 'middle', 'late'])
    expect((await StateMachine.snapshot(second)).timers.map(({ dueAt }) => dueAt)).toEqual([
      clock.now() + 9_000,
    ])
  })

  test('keeps the ids of its timers, so that they can still be cancelled', async () => {
    const { system, clock } = testSystem()
    const first = await system.start(server)
    StateMachine.send(first, { type: 'ringLater', at: 'noon', ms: 100 })
    const saved = throughJson(await StateMachine.snapshot(first))

    const second = await system.start(StateMachine.server(crossing, { restore: saved }))
    StateMachine.send(second, { type: 'quiet' })
    await clock.advance(200)

    expect((await StateMachine.snapshot(first)).context.log).toEqual(['noon'])
    expect((await StateMachine.snapshot(second)).context.log).toEqual([])
  })

  test('knows no timer that was cancelled while its message was in the mailbox already', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(server)
    StateMachine.send(ref, { type: 'ringLater', at: 'noon', ms: 100 })
    await suspend(ref)
    StateMachine.send(ref, { type: 'quiet' })
    await clock.advance(100)

    await resume(ref)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual([])
  })

  test('of a timer that was put off for ever holds none', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(server)
    StateMachine.send(ref, { type: 'ringLater', at: 'noon', ms: 100 })
    StateMachine.send(ref, { type: 'ringLater', at: 'never', ms: Number.POSITIVE_INFINITY })
    await clock.advance(1_000)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual([])
  })

  test('knows no time that never comes', async () => {
    const { system, clock } = testSystem()
    const first = await system.start(server)
    StateMachine.send(first, { type: 'ringLater', at: 'never', ms: Number.POSITIVE_INFINITY })
    const saved = await StateMachine.snapshot(first)
    const second = await system.start(StateMachine.server(crossing, { restore: saved }))
    await clock.advance(1_000_000)

    expect(saved.timers).toEqual([])
    expect((await StateMachine.snapshot(second)).context.log).toEqual([])
  })

  test('of a timer that was asked for twice holds the second only', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(server)
    StateMachine.send(ref, { type: 'ringLater', at: 'first', ms: 100 })
    StateMachine.send(ref, { type: 'ringLater', at: 'second', ms: 200 })
    await clock.advance(300)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual(['second'])
  })

  test('does not share what it is restored from', async () => {
    const { system, saved } = await savedAfter(10)
    const restoring = StateMachine.server(crossing, { restore: saved })
    const ref = await system.start(restoring)
    const other = await system.start(restoring)

    saved.context.log.push('from outside')

    expect((await StateMachine.snapshot(ref)).context.log).toEqual([])
    expect((await StateMachine.snapshot(other)).value).toBe('yellow')
  })

  test('is asked for at each start when restore is a function, which may take its time', async () => {
    const { system, saved } = await savedAfter(10)
    let asked = 0
    const maybe = StateMachine.server(crossing, {
      restore: async () => (asked++ === 0 ? undefined : saved),
    })

    const first = await system.start(maybe)
    const second = await system.start(maybe)

    expect([await stateOf(first), await stateOf(second)]).toEqual(['green', 'yellow'])
  })

  test('keeps history, and parallel states', async () => {
    const player = setup({
      types: {} as { events: { type: 'next' } | { type: 'off' } | { type: 'on' } },
    }).createMachine({
      id: 'player',
      initial: 'on',
      states: {
        on: {
          type: 'parallel',
          on: { off: 'off' },
          states: {
            track: { initial: 'one', states: { one: { on: { next: 'two' } }, two: {} } },
            light: { initial: 'dim', states: { dim: { on: { next: 'bright' } }, bright: {} } },
            back: { type: 'history', history: 'deep' },
          },
        },
        off: { on: { on: 'on.back' } },
      },
    })
    const { system } = testSystem()
    const first = await system.start(StateMachine.server(player))
    StateMachine.send(first, { type: 'next' })
    StateMachine.send(first, { type: 'off' })
    const saved = JSON.parse(JSON.stringify(await StateMachine.snapshot(first)))

    const second = await system.start(StateMachine.server(player, { restore: saved }))
    StateMachine.send(second, { type: 'on' })

    expect((await StateMachine.snapshot(second)).value).toEqual({
      on: { track: 'two', light: 'bright' },
    })
  })

  test('starts what was in flight again, and does no entry action twice', async () => {
    const loads: string[] = []
    const entered: string[] = []
    const loading = setup({
      actors: { load: fromPromise(() => new Promise(() => void loads.push('load'))) },
    }).createMachine({
      id: 'loading',
      initial: 'busy',
      states: { busy: { entry: () => void entered.push('busy'), invoke: { src: 'load' } } },
    })
    const { system } = testSystem()
    const first = await system.start(StateMachine.server(loading))
    const saved = JSON.parse(JSON.stringify(await StateMachine.snapshot(first)))
    system.kill(first)

    await system.start(StateMachine.server(loading, { restore: saved }))

    expect(loads).toEqual(['load', 'load'])
    expect(entered).toEqual(['busy'])
  })

  test('of a machine that was done ends at once, with its output', async () => {
    const brief = setup({ types: {} as { events: { type: 'end' } } }).createMachine({
      id: 'brief',
      initial: 'on',
      states: { on: { on: { end: 'off' } }, off: { type: 'final' } },
      output: 7,
    })
    const { system, clock } = testSystem()
    let kept: SavedMachine<typeof brief> | undefined
    const keep = (saved: SavedMachine<typeof brief>): void => {
      kept = saved
    }
    const keeping = StateMachine.server(brief, { save: keep })
    StateMachine.send(await system.start(keeping), { type: 'end' })
    await clock.settle()
    expect(kept).toMatchObject({ status: 'done', output: 7 })
    const reasons: unknown[] = []
    system.events.on('process.exited', ({ reason }) => reasons.push(reason))

    const result = await system.startResult(StateMachine.server(brief, { restore: () => kept }))

    expect(result.ok).toBe(true)
    expect(reasons).toEqual(['normal'])
  })

  test.each([
    ['null', null],
    ['a text', 'green'],
    ['of another machine', { machine: 'lamp' }],
    ['of a state that is not there', { value: 'blue' }],
    ['of a machine that failed', { status: 'error' }],
    ['without timers', { timers: undefined }],
    ['without postponed events', { postponed: undefined }],
    ['with what cannot be copied', { context: { cars: 0, log: [], how: () => {} } }],
  ])('%s is refused: the process does not start', async (_, wrong) => {
    const { system, saved } = await savedAfter(0)
    const given = typeof wrong === 'object' && wrong !== null ? { ...saved, ...wrong } : wrong
    const restoring = StateMachine.server(crossing, { restore: (() => given) as never })

    const result = await system.startResult(restoring)

    expect(result.ok).toBe(false)
    expect(isKeelsonError(result.reason, 'INVALID_ARGUMENT')).toBe(true)
  })

  test('of an actor that was spawned from logic without a name is refused, and nobody is hurt', async () => {
    const spawning = createMachine({
      id: 'spawning',
      entry: spawnChild(createMachine({}) as AnyStateMachine, { id: 'nameless' }),
    })
    const { system } = testSystem()
    const ref = await system.start(StateMachine.server(spawning))

    const error = await StateMachine.snapshot(ref).catch((reason: unknown) => reason)

    expect(isKeelsonError(error, 'INVALID_ARGUMENT') && error.details.path).toBe(
      'spawning.nameless',
    )
    expect(system.info(ref)?.pid).toBe(ref.pid)
  })
})

describe('saving', () => {
  const supervised = async (
    save: (saved: Saved) => void | Promise<void>,
    restore: () => Saved | undefined,
  ) => {
    const { system, clock } = testSystem()
    const keeping = StateMachine.server(crossing, { save, restore })
    const at = name<MessagesOf<typeof keeping>>('crossing')
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        worker('crossing', keeping, undefined, { name: at }),
      ]),
    )
    return { clock, ref: system.to(at) }
  }

  test('after each change lets a restarted machine go on where the crashed one was', async () => {
    let kept: string | undefined
    const { clock, ref } = await supervised(
      (saved) => {
        kept = JSON.stringify(saved)
      },
      () => (kept === undefined ? undefined : JSON.parse(kept)),
    )
    StateMachine.send(ref, { type: 'press' })
    await clock.advance(1_000)
    const before = ref.pid
    StateMachine.send(ref, { type: 'crash' })
    await clock.settle()
    expect(ref.pid).not.toBe(before)
    expect(await stateOf(ref)).toBe('yellow')

    await clock.advance(2_000)

    expect(await stateOf(ref)).toBe('red')
  })

  test('is awaited before the next event and before the answer', async () => {
    const { system, clock } = testSystem()
    const order: string[] = []
    let go: () => void = () => {}
    const keeping = StateMachine.server(crossing, {
      answers: { press: ({ value }) => value },
      save: ({ value }) =>
        new Promise<void>((resolve) => {
          order.push(`save ${String(value)}`)
          go = () => {
            order.push('saved')
            resolve()
          }
        }),
    })
    const ref = await system.start(keeping)
    const answered = StateMachine.call(ref, { type: 'press' }).then((value) =>
      order.push(`answer ${String(value)}`),
    )
    StateMachine.send(ref, { type: 'ringLater', at: 'noon', ms: 5 })
    await clock.settle()
    expect(order).toEqual(['save yellow'])

    go()
    await answered
    await clock.settle()

    expect(order.slice(0, 3)).toEqual(['save yellow', 'saved', 'answer yellow'])
  })

  test('that fails ends the process with its error', async () => {
    const { system } = testSystem()
    const full = new Error('disk full')
    const failing = StateMachine.server(crossing, { save: () => Promise.reject(full) })
    const ref = await system.start(failing)
    const reason = new Promise((resolve) => void system.monitor(ref, resolve))

    StateMachine.send(ref, { type: 'press' })

    expect(await reason).toBe(full)
  })
})

describe('postponed events', () => {
  const postponing = StateMachine.server(crossing, {
    postpone: { yellow: ['car', 'press'], red: ['car'] },
  })
  const car = (plate: string) => ({ type: 'car', plate }) as const

  test('come back in their order when the state value changes, before what waits in the mailbox', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(postponing)
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, car('b'))
    await clock.advance(3_000)
    StateMachine.send(ref, car('c'))
    expect(await stateOf(ref)).toBe('red')
    await suspend(ref)
    StateMachine.send(ref, { type: 'reset' })
    StateMachine.send(ref, car('d'))
    await resume(ref)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual(['a', 'b', 'c', 'd'])
  })

  test('that change the state bring the rest back again before it', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(
      StateMachine.server(crossing, {
        postpone: { yellow: ['car', 'press'], red: ['car', 'press'] },
      }),
    )
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('b'))
    await clock.advance(33_000)

    // a passes while it is green; the press that came after it makes it yellow, where b waits again.
    const snapshot = await StateMachine.snapshot(ref)
    expect(snapshot.value).toBe('yellow')
    expect(snapshot.context.log).toEqual(['a'])
    expect(snapshot.postponed).toEqual([car('b')])
  })

  test('stay where they are while the state value does', async () => {
    const { system } = testSystem()
    const ref = await system.start(postponing)
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, { type: 'ring', at: 'noon' })

    expect((await StateMachine.snapshot(ref)).postponed).toEqual([car('a')])
  })

  test('that are postponed again keep their place before those that come after them', async () => {
    const relay = setup({
      types: {} as {
        context: { seen: string[] }
        events: { type: 'next' } | { type: 'x' } | { type: 'y' }
      },
      actions: {
        see: assign({ seen: ({ context, event }) => [...context.seen, event.type] }),
      },
    }).createMachine({
      context: { seen: [] },
      initial: 'one',
      states: {
        one: { on: { next: 'two' } },
        two: { on: { next: 'three' } },
        three: { on: { x: { actions: 'see' }, y: { actions: 'see' } } },
      },
    })
    const { system } = testSystem()
    let asked = 0
    const ref = await system.start(
      StateMachine.server(relay, {
        // In the first state the first `next` waits, too, and the second leads on.
        postpone: ({ value }, { type }) =>
          type === 'next' ? value === 'one' && asked++ === 0 : value !== 'three',
      }),
    )
    for (const type of ['x', 'next', 'y', 'next'] as const) StateMachine.send(ref, { type })

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['x', 'y'])
  })

  test('wait for another state value, whatever the context does', async () => {
    const { system } = testSystem()
    const ref = await system.start(
      StateMachine.server(crossing, {
        postpone: ({ context }, { type }) => type === 'car' && context.log.length === 0,
      }),
    )
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, { type: 'ring', at: 'noon' })

    expect((await StateMachine.snapshot(ref)).postponed).toEqual([car('a')])
  })

  test.each([
    ['open', 'open', true],
    ['open', 'shut', false],
    [{ a: 'b' }, { a: 'b' }, true],
    [{ a: 'b' }, { a: 'c' }, false],
    [{ a: { b: 'c' }, d: 'e' }, { d: 'e', a: { b: 'c' } }, true],
    [{ a: 'b' }, { a: 'b', c: 'd' }, false],
    [{ a: 'b' }, { c: 'b' }, false],
    ['a', { a: 'b' }, false],
  ])('the state values %j and %j are the same: %s', (one, other, same) => {
    expect([isSameValue(one, other), isSameValue(other, one)]).toEqual([same, same])
  })

  test('can be chosen by a function of the snapshot and the event', async () => {
    const { system } = testSystem()
    const ref = await system.start(
      StateMachine.server(crossing, {
        postpone: ({ context }, event) => event.type === 'car' && context.cars >= 1,
      }),
    )
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, car('b'))

    const snapshot = await StateMachine.snapshot(ref)

    expect([snapshot.context.log, snapshot.postponed]).toEqual([['a'], [car('b')]])
  })

  test('count as waiting: mailboxMax bounds them, and they make room when they are handled', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(postponing, undefined, { mailboxMax: 3 })
    StateMachine.send(ref, { type: 'press' })
    await clock.settle()
    const admitted: boolean[] = []
    for (const plate of ['a', 'b', 'c', 'd']) {
      admitted.push(StateMachine.send(ref, car(plate)))
      await clock.settle()
    }
    expect(admitted).toEqual([true, true, true, false])
    expect(system.info(ref)?.mailbox).toBe(3)

    await clock.advance(33_000)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual(['a', 'b', 'c'])
    expect(system.info(ref)?.mailbox).toBe(0)
    expect(StateMachine.send(ref, car('e'))).toBe(true)
  })

  test('still count after the process was suspended and went on', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(postponing)
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('a'))
    await suspend(ref)
    StateMachine.send(ref, car('b'))
    await resume(ref)
    await clock.settle()

    expect(system.info(ref)?.mailbox).toBe(2)
  })

  test('are saved and come back in the restored machine', async () => {
    const { system, clock } = testSystem()
    const first = await system.start(postponing)
    StateMachine.send(first, { type: 'press' })
    StateMachine.send(first, car('a'))
    const saved = throughJson(await StateMachine.snapshot(first))
    system.kill(first)

    const second = await system.start(
      StateMachine.server(crossing, {
        postpone: { yellow: ['car'], red: ['car'] },
        restore: saved,
      }),
    )
    await clock.advance(33_000)

    expect((await StateMachine.snapshot(second)).context.log).toEqual(['a'])
  })

  test('are never timers of the machine itself', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(crossing, { postpone: () => false }))
    const always = await system.start(
      StateMachine.server(crossing, { postpone: (_, { type }) => type !== 'press' }),
    )
    for (const each of [ref, always]) StateMachine.send(each, { type: 'press' })
    await clock.advance(3_000)

    expect([await stateOf(ref), await stateOf(always)]).toEqual(['red', 'red'])
  })
})
