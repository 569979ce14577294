/**
 * A snapshot of a machine, and a machine restored from one: its state, its timers, its invoked
 * actors.
 */
import { describe, expect, test } from 'vitest'
import {
  type AnyEventObject,
  type AnyStateMachine,
  assign,
  createActor,
  createMachine,
  fromPromise,
  raise,
  sendTo,
  setup,
  spawnChild,
} from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import { resume, suspend } from '../../../src/runtime/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { crossing, server, stateOf } from '../machine/crossing.ts'
import { reasonsOfEnds, started, throughJson } from './machine-process.ts'

/** A crossing that is saved `ms` after the button was pressed, and then killed. */
const savedAfter = async (ms: number) => {
  const { system, clock, ref } = await started(server)
  StateMachine.send(ref, { type: 'press' })
  await clock.advance(ms)
  const saved = throughJson(await StateMachine.snapshot(ref))
  system.kill(ref)
  return { system, clock, saved }
}

describe('a snapshot', () => {
  test('names the delayed events with their time of day', async () => {
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

  test('keeps the order in which parallel states were entered, that of their transitions', async () => {
    const regions = setup({
      types: {} as {
        context: { seen: readonly string[] }
        events: { type: 'first' } | { type: 'go' }
      },
      actions: {
        note: assign({ seen: ({ context }, who: string) => [...context.seen, who] }),
      },
    })
    const region = (who: string) =>
      regions.createStateConfig({
        initial: 'a',
        states: {
          a: { on: who === 'one' ? { first: 'b' } : {}, always: goes(who) },
          b: { always: goes(who) },
          c: {},
        },
      })
    const goes = (who: string) => ({
      guard: ({ event }: { event: { type: string } }) => event.type === 'go',
      target: 'c',
      actions: { type: 'note' as const, params: who },
    })
    const machine = regions.createMachine({
      context: { seen: [] },
      type: 'parallel',
      on: { go: {} },
      states: { one: region('one'), two: region('two') },
    })
    const actor = createActor(machine).start()
    actor.send({ type: 'first' })
    actor.send({ type: 'go' })
    const { system, ref } = await started(StateMachine.server(machine))
    StateMachine.send(ref, { type: 'first' })
    const restore = throughJson(await StateMachine.snapshot(ref))
    const next = await system.start(StateMachine.server(machine, { restore }))
    StateMachine.send(next, { type: 'go' })

    const { seen } = (await StateMachine.snapshot(next)).context
    expect(actor.getSnapshot().context.seen).toEqual(['two', 'one'])
    expect(seen).toEqual(['two', 'one'])
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

    // A stored snapshot may have its timers in any order.
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
    const { system, clock, ref: first } = await started(server)
    StateMachine.send(first, { type: 'ringLater', at: 'noon', ms: 100 })
    const saved = throughJson(await StateMachine.snapshot(first))

    const second = await system.start(StateMachine.server(crossing, { restore: saved }))
    StateMachine.send(second, { type: 'quiet' })
    await clock.advance(200)

    expect((await StateMachine.snapshot(first)).context.log).toEqual(['noon'])
    expect((await StateMachine.snapshot(second)).context.log).toEqual([])
  })

  test('knows no timer that was cancelled while its message was in the mailbox already', async () => {
    const { clock, ref } = await started(server)
    StateMachine.send(ref, { type: 'ringLater', at: 'noon', ms: 100 })
    await suspend(ref)
    StateMachine.send(ref, { type: 'quiet' })
    await clock.advance(100)

    await resume(ref)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual([])
  })

  test('of a timer that was put off for ever holds none', async () => {
    const { clock, ref } = await started(server)
    StateMachine.send(ref, { type: 'ringLater', at: 'noon', ms: 100 })
    StateMachine.send(ref, { type: 'ringLater', at: 'never', ms: Number.POSITIVE_INFINITY })
    await clock.advance(1_000)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual([])
  })

  test('knows no time that never comes', async () => {
    const { system, clock, ref: first } = await started(server)
    StateMachine.send(first, { type: 'ringLater', at: 'never', ms: Number.POSITIVE_INFINITY })
    const saved = await StateMachine.snapshot(first)
    const second = await system.start(StateMachine.server(crossing, { restore: saved }))
    await clock.advance(1_000_000)

    expect(saved.timers).toEqual([])
    expect((await StateMachine.snapshot(second)).context.log).toEqual([])
  })

  test('of a timer that was asked for twice holds the second only', async () => {
    const { clock, ref } = await started(server)
    StateMachine.send(ref, { type: 'ringLater', at: 'first', ms: 100 })
    StateMachine.send(ref, { type: 'ringLater', at: 'second', ms: 200 })
    await clock.advance(300)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual(['second'])
  })

  test('shares no memory with the saved state', async () => {
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
    const { system, ref: first } = await started(StateMachine.server(player))
    StateMachine.send(first, { type: 'next' })
    StateMachine.send(first, { type: 'off' })
    const saved = throughJson(await StateMachine.snapshot(first))

    const second = await system.start(StateMachine.server(player, { restore: saved }))
    StateMachine.send(second, { type: 'on' })

    expect((await StateMachine.snapshot(second)).value).toEqual({
      on: { track: 'two', light: 'bright' },
    })
  })

  describe.each(['itself', 'a machine inside'] as const)('of states with dots, of %s,', (where) => {
    /** History returns to the state `two`. */
    const dotted = (two: string, name = 'on'): AnyStateMachine => {
      const next = two.replace('.', '\\.')
      const on = {
        initial: 'v1.1',
        on: { off: 'off' },
        states: { 'v1.1': { on: { next } }, [two]: {}, back: { type: 'history' } },
      }
      const states = { [name]: on, off: { on: { on: `${name}.back` } } }
      const found = createMachine({ id: 'com.acme.order', initial: name, states } as never)
      if (where === 'itself') return found as unknown as AnyStateMachine
      const actions = sendTo('inner', ({ event }: { event: AnyEventObject }) => event)
      return setup({ actors: { inner: found } }).createMachine({
        id: 'com.acme.outer',
        invoke: { id: 'inner', src: 'inner' },
        on: { next: { actions }, off: { actions }, on: { actions } },
      } as never) as unknown as AnyStateMachine
    }

    const savedWhileOff = async () => {
      const { system, ref } = await started(StateMachine.server(dotted('v1.2')))
      for (const type of ['next', 'off']) StateMachine.send(ref as never, { type } as never)
      return { system, saved: throughJson(await StateMachine.snapshot(ref as never)) }
    }

    test('keeps the history', async () => {
      const { system, saved } = await savedWhileOff()

      const server = StateMachine.server(dotted('v1.2'), { restore: saved })
      const ref = await system.start(server)
      StateMachine.send(ref as never, { type: 'on' } as never)

      const found = await StateMachine.snapshot(ref as never)
      const state = where === 'itself' ? found : found.children.inner?.snapshot
      expect(state).toMatchObject({ value: { on: 'v1.2' } })
    })

    test('starts without a history whose state is no more', async () => {
      const { system, saved } = await savedWhileOff()

      const server = StateMachine.server(dotted('v1.2', 'on again'), { restore: saved })
      const found = await StateMachine.snapshot((await system.start(server)) as never)

      const state = where === 'itself' ? found : found.children.inner?.snapshot
      expect(state).toMatchObject({ value: 'off' })
    })

    test('is refused when a state of the history is not there', async () => {
      const { system, saved } = await savedWhileOff()

      const server = StateMachine.server(dotted('v1.3'), { restore: saved })
      const result = await system.startResult(server)

      expect(isKeelsonError(result.reason, 'INVALID_ARGUMENT')).toBe(true)
    })
  })

  test('restarts the actors that were running, and does no entry action twice', async () => {
    const loads: string[] = []
    const entered: string[] = []
    const loading = setup({
      actors: { load: fromPromise(() => new Promise(() => void loads.push('load'))) },
    }).createMachine({
      id: 'loading',
      initial: 'busy',
      states: { busy: { entry: () => void entered.push('busy'), invoke: { src: 'load' } } },
    })
    const { system, ref: first } = await started(StateMachine.server(loading))
    const saved = throughJson(await StateMachine.snapshot(first))
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
    const reasons = reasonsOfEnds(system)

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
    ['without actions', { actions: undefined }],
    ['without the number of its step', { step: '7' }],
    ['with what cannot be copied', { context: { cars: 0, log: [], how: () => {} } }],
  ])('%s is refused: the process does not start', async (_, wrong) => {
    const { system, saved } = await savedAfter(0)
    const given = typeof wrong === 'object' && wrong !== null ? { ...saved, ...wrong } : wrong
    const restoring = StateMachine.server(crossing, { restore: (() => given) as never })

    const result = await system.startResult(restoring)

    expect(result.ok).toBe(false)
    expect(isKeelsonError(result.reason, 'INVALID_ARGUMENT')).toBe(true)
  })

  test('of an actor that was spawned from unnamed logic is refused, and the machine lives', async () => {
    const spawning = createMachine({
      id: 'spawning',
      entry: spawnChild(createMachine({}) as AnyStateMachine, { id: 'nameless' }),
    })
    const { system, ref } = await started(StateMachine.server(spawning))

    const error = await StateMachine.snapshot(ref).catch((reason: unknown) => reason)

    expect(isKeelsonError(error, 'INVALID_ARGUMENT') && error.details.path).toEqual([
      'children',
      'nameless',
    ])
    expect(system.info(ref)?.pid).toBe(ref.pid)
  })
})
