/**
 * The examples of gen_statem's documentation (OTP Design Principles, "gen_statem Behaviour"), as
 * XState machines in processes.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { assign, cancel, raise, setup } from 'xstate'
import { getState } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'

describe('the push button', () => {
  const button = setup({
    types: {} as {
      context: { count: number }
      events: { type: 'push' } | { type: 'getCount' }
    },
    actions: { count: assign({ count: ({ context }) => context.count + 1 }) },
  }).createMachine({
    id: 'push_button',
    context: { count: 0 },
    initial: 'off',
    states: {
      off: { on: { push: { target: 'on', actions: 'count' } } },
      on: { on: { push: 'off' } },
    },
  })
  const server = StateMachine.server(button, {
    answers: {
      push: ({ value }) => value,
      getCount: ({ context }) => context.count,
    },
  })

  test('answers a push with the state it led to, and counts how often it was turned on', async () => {
    const { system } = testSystem()
    const ref = await system.start(server)

    const answers: (string | number)[] = []
    answers.push(await StateMachine.call(ref, { type: 'getCount' }))
    answers.push(await StateMachine.call(ref, { type: 'push' }))
    answers.push(await StateMachine.call(ref, { type: 'getCount' }))
    answers.push(await StateMachine.call(ref, { type: 'push' }))
    answers.push(await StateMachine.call(ref, { type: 'getCount' }))
    answers.push(await StateMachine.call(ref, { type: 'push' }))
    answers.push(await StateMachine.call(ref, { type: 'getCount' }))

    expect(answers).toEqual([0, 'on', 1, 'off', 1, 'on', 2])
  })
})

type LockContext = { code: string[]; buttons: string[] }
type Door = (done: string) => void

/**
 * The code lock; `door` gets the lines that the documentation's `do_lock` and `do_unlock` print.
 */
const lockSetup = (door: Door) =>
  setup({
    types: {} as {
      input: string[]
      context: LockContext
      events: { type: 'button'; button: string } | { type: 'codeLength' } | { type: 'lock' }
    },
    actions: {
      lock: () => door('lock'),
      unlock: () => door('unlock'),
      press: assign({
        buttons: ({ context, event }) =>
          event.type === 'button'
            ? [...context.buttons, event.button].slice(-context.code.length)
            : context.buttons,
      }),
      forget: assign({ buttons: [] }),
    },
    guards: {
      opens: ({ context, event }) =>
        event.type === 'button' &&
        [...context.buttons, event.button].slice(-context.code.length).join() ===
          context.code.join(),
    },
  })

const context = ({ input }: { input: string[] }): LockContext => ({ code: input, buttons: [] })

/** With a state time-out, entry actions, and buttons that wait while the door is open. */
const stateTimeoutLock = (door: Door) =>
  lockSetup(door).createMachine({
    id: 'code_lock',
    context,
    initial: 'locked',
    states: {
      locked: {
        entry: ['lock', 'forget'],
        on: { button: [{ guard: 'opens', target: 'open' }, { actions: 'press' }] },
      },
      open: { entry: 'unlock', after: { 10000: 'locked' } },
    },
  })

/**
 * The event time-out: half a minute without a button forgets the buttons. A reentry is what starts
 * the time anew.
 */
const eventTimeoutLock = (door: Door) =>
  lockSetup(door).createMachine({
    id: 'code_lock',
    context,
    initial: 'locked',
    states: {
      locked: {
        on: {
          button: [
            { guard: 'opens', target: 'open' },
            { actions: 'press', target: 'locked', reenter: true },
          ],
        },
        after: { 30000: { actions: 'forget' } },
      },
      open: { entry: 'unlock', after: { 10000: 'locked' } },
    },
  })

/**
 * The generic time-out: an event of its own with a name, started and taken back by hand, whatever
 * the state.
 */
const genericTimeoutLock = (door: Door) =>
  lockSetup(door).createMachine({
    id: 'code_lock',
    context,
    initial: 'locked',
    states: {
      locked: {
        entry: 'lock',
        on: {
          button: [
            {
              guard: 'opens',
              target: 'open',
              actions: raise({ type: 'lock' }, { delay: 10_000, id: 'open' }),
            },
            { actions: 'press' },
          ],
        },
      },
      open: {
        entry: 'unlock',
        // A button while it is open starts the time anew.
        on: {
          lock: 'locked',
          button: {
            actions: [cancel('open'), raise({ type: 'lock' }, { delay: 10_000, id: 'open' })],
          },
        },
      },
    },
  })

const started = async (make: (door: Door) => ReturnType<typeof stateTimeoutLock>) => {
  const { system, clock } = testSystem()
  const done: string[] = []
  const ref = await system.start(
    StateMachine.server(
      make((what) => done.push(what)),
      {
        postpone: { open: ['button'] },
        answers: { codeLength: ({ context }) => context.code.length },
      },
    ),
    ['a', 'b', 'c'],
  )
  const press = (buttons: string): void => {
    for (const button of buttons) StateMachine.send(ref, { type: 'button', button })
  }
  const value = async (): Promise<unknown> => (await StateMachine.snapshot(ref)).value
  return { system, clock, ref, done, press, value }
}

describe('the code lock', () => {
  test('runs its entry actions when it starts and at each change', async () => {
    const { clock, done, press } = await started(stateTimeoutLock)
    expect(done).toEqual(['lock'])

    press('abc')
    await clock.settle()
    expect(done).toEqual(['lock', 'unlock'])

    await clock.advance(10_000)
    expect(done).toEqual(['lock', 'unlock', 'lock'])
  })

  test('is drawn in the docs as it is', () => {
    const [, drawn] =
      /```mermaid\n([^`]*)```/.exec(readFileSync('docs/state-machines.md', 'utf8')) ?? []

    expect(StateMachine.mermaid(stateTimeoutLock(() => {}))).toBe(drawn)
  })

  test('opens when the last buttons are the code, after any other buttons', async () => {
    const { press, value } = await started(stateTimeoutLock)

    press('bbxabc')

    expect(await value()).toBe('open')
  })

  test('locks again after its state time-out, not a millisecond earlier', async () => {
    const { clock, press, value } = await started(stateTimeoutLock)
    press('abc')
    await clock.advance(9_999)
    expect(await value()).toBe('open')

    await clock.advance(1)

    expect(await value()).toBe('locked')
  })

  test('keeps the buttons that are pressed while it is open, and takes them when it has locked', async () => {
    const { clock, press, value, done } = await started(stateTimeoutLock)
    press('abc')
    press('abc')
    await clock.advance(10_000)

    expect(await value()).toBe('open')
    expect(done).toEqual(['lock', 'unlock', 'lock', 'unlock'])
  })

  test('answers the length of its code in every state', async () => {
    const { ref, press } = await started(stateTimeoutLock)

    const locked = await StateMachine.call(ref, { type: 'codeLength' })
    press('abc')
    const open = await StateMachine.call(ref, { type: 'codeLength' })

    expect([locked, open]).toEqual([3, 3])
  })

  test('with an event time-out forgets the buttons half a minute after the last one', async () => {
    const { clock, press, value, ref } = await started(eventTimeoutLock as typeof stateTimeoutLock)
    press('a')
    await clock.advance(29_999)
    press('b')
    await clock.advance(29_999)
    expect((await StateMachine.snapshot(ref)).context.buttons).toEqual(['a', 'b'])

    await clock.advance(1)
    expect((await StateMachine.snapshot(ref)).context.buttons).toEqual([])
    press('c')
    expect(await value()).toBe('locked')
  })

  test('with a generic time-out can start its time anew', async () => {
    const { system, clock } = testSystem()
    const lock = StateMachine.server(genericTimeoutLock(() => {}))
    const ref = await system.start(lock, ['a'])
    const press = (): void => void StateMachine.send(ref, { type: 'button', button: 'a' })
    press()
    await clock.advance(9_000)
    press()
    await clock.advance(9_999)
    expect((await getState<{ value: string }>(ref)).value).toBe('open')

    await clock.advance(1)

    expect((await getState<{ value: string }>(ref)).value).toBe('locked')
  })
})
