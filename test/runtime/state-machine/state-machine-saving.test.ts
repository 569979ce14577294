/**
 * A machine that is saved: when, what counts as a change, and what a restart makes of each moment
 * of a crash.
 */
import { describe, expect, test } from 'vitest'
import { assign, cancel, raise, sendTo, setup } from 'xstate'
import { name, startSupervisor, supervisor, worker } from '../../../src/runtime/index.ts'
import {
  type MessagesOf,
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { crossing, type Saved, stateOf } from '../machine/crossing.ts'
import { reasonOfEnd, throughJson } from './machine-process.ts'

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
    return { system, clock, ref: system.to(at) }
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

  test('begins with the initial state: an after of 60 s comes in 60 s, with a kill every 25 s', async () => {
    const order = setup({ types: {} as { events: { type: 'pay' } } }).createMachine({
      id: 'order',
      initial: 'placed',
      states: { placed: { after: { 60000: 'late' } }, late: {} },
    })
    let kept: SavedMachine<typeof order> | undefined
    const { system, clock } = testSystem()
    const keeping = StateMachine.server(order, {
      save: (saved) => {
        kept = throughJson(saved)
      },
      restore: () => kept,
    })
    let ref = await system.start(keeping)
    for (const _ of [25_000, 50_000]) {
      await clock.advance(25_000)
      system.kill(ref)
      ref = await system.start(keeping)
    }
    await clock.advance(9_999)
    expect((await StateMachine.snapshot(ref)).value).toBe('placed')
    await clock.advance(1)

    expect((await StateMachine.snapshot(ref)).value).toBe('late')
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
    const starting = system.start(keeping)
    await clock.settle()
    go()
    const ref = await starting
    order.length = 0
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
    const failing = StateMachine.server(crossing, {
      save: async ({ value }) => {
        if (value === 'yellow') throw full
      },
    })
    const ref = await system.start(failing)
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, { type: 'press' })

    expect(await reason).toBe(full)
  })

  test('is not begun for an event whose answer throws: nothing of it happens', async () => {
    const { system } = testSystem()
    const wrong = new Error('no answer')
    const saved: unknown[] = []
    const answering = StateMachine.server(crossing, {
      save: ({ value }) => void saved.push(value),
      answers: {
        press: () => {
          throw wrong
        },
      },
    })
    const ref = await system.start(answering)
    const reason = reasonOfEnd(system, ref)

    await StateMachine.call(ref, { type: 'press' }).catch(() => {})

    expect([await reason, saved]).toEqual([wrong, ['green']])
  })

  test('and restoring get the context of the process, so that they reach what is around it', async () => {
    const { system } = testSystem()
    const seen: unknown[] = []
    const keeping = StateMachine.server(crossing, {
      save: (_, context) => void seen.push(context.self.pid),
      restore: (_, context) => void seen.push(context.self.pid),
    })

    const ref = await system.start(keeping)

    expect(seen).toEqual([ref.pid, ref.pid])
  })
})

describe('a change that is saved', () => {
  const child = setup({
    types: {} as { events: { type: 'go' } },
  }).createMachine({ id: 'child', initial: 'a', states: { a: { on: { go: 'b' } }, b: {} } })
  const busy = setup({
    types: {} as {
      events:
        | { type: 'later' }
        | { type: 'forget' }
        | { type: 'wait' }
        | { type: 'child' }
        | { type: 'nothing' }
        | { type: 'tick' }
    },
    actors: { child },
  }).createMachine({
    id: 'busy',
    initial: 'on',
    invoke: { src: 'child', id: 'child' },
    on: {
      later: { actions: raise({ type: 'tick' }, { delay: 1_000, id: 'tick' }) },
      forget: { actions: cancel('tick') },
      child: { actions: sendTo('child', { type: 'go' }) },
      wait: {},
      tick: {},
      nothing: {},
    },
    states: { on: {} },
  })

  test.each([
    ['a delayed event', [{ type: 'later' }], ({ timers }: SavedMachine) => timers.length, 1],
    [
      'a cancelled timer',
      [{ type: 'later' }, { type: 'forget' }],
      ({ timers }: SavedMachine) => timers.length,
      0,
    ],
    [
      'a postponed event',
      [{ type: 'wait' }],
      ({ postponed }: SavedMachine) => postponed,
      [{ type: 'wait' }],
    ],
    [
      'a step of a machine inside',
      [{ type: 'child' }],
      ({ children }: SavedMachine) => children.child?.snapshot,
      expect.objectContaining({ value: 'b' }),
    ],
  ] as const)(
    'is %s, though the machine itself stays as it was',
    async (_, events, part, value) => {
      const kept: SavedMachine[] = []
      const { system, clock } = testSystem()
      const keeping = StateMachine.server(busy, {
        save: (saved) => void kept.push(saved),
        postpone: { on: ['wait'] },
      })
      const ref = await system.start(keeping)
      kept.length = 0

      for (const event of events) StateMachine.send(ref, event)
      await clock.settle()

      expect(kept.length).toBe(events.length)
      expect(part(kept.at(-1) as SavedMachine)).toEqual(value)
    },
  )

  test('is not an event that changes nothing', async () => {
    let saves = 0
    const { system, clock } = testSystem()
    const ref = await system.start(StateMachine.server(busy, { save: () => void saves++ }))

    StateMachine.send(ref, { type: 'nothing' })
    await clock.settle()

    expect(saves).toBe(1)
  })
})

describe('a save of a process that was killed', () => {
  test('is over before its successor asks what to restore', async () => {
    const counting = setup({
      types: {} as { context: { count: number }; input: string; events: { type: 'add' } },
    }).createMachine({
      id: 'counting',
      context: { count: 0 },
      on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
    })
    let kept: SavedMachine<typeof counting> | undefined
    const landing: (() => void)[] = []
    const { system, clock } = testSystem()
    const slow = StateMachine.server(counting, {
      restore: () => kept,
      save: (saved) => {
        if (saved.context.count === 0) return undefined
        return new Promise<void>((resolve) =>
          landing.push(() => {
            kept = throughJson(saved)
            resolve()
          }),
        )
      },
    })
    const first = await system.start(slow, 'a')
    StateMachine.send(first, { type: 'add' })
    await clock.settle()
    system.kill(first)
    const second = system.start(slow, 'a')
    const other = await system.start(slow, 'b')
    await clock.settle()
    expect(landing.length).toBe(1)
    landing[0]?.()

    // The successor knows what its predecessor saved, and nothing older lands after its own.
    const ref = await second
    expect((await StateMachine.snapshot(ref)).context.count).toBe(1)
    StateMachine.send(ref, { type: 'add' })
    await clock.settle()
    landing[1]?.()
    await clock.settle()

    expect(kept?.context.count).toBe(2)
    expect((await StateMachine.snapshot(other)).context.count).toBe(0)
  })
})
