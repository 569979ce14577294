/**
 * Events that wait in a machine for another state: their order, their bound, and their saved form.
 */
import { describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import { name, resume, suspend } from '../../../src/runtime/index.ts'
import { isSameValue, PostponedEvents } from '../../../src/runtime/machine/machine-queue.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { listening, started, throughJson } from '../state-machine/machine-process.ts'
import { crossing, type Saved, stateOf } from './crossing.ts'

describe('postponed events', () => {
  const postponing = StateMachine.server(crossing, {
    postpone: { yellow: ['car', 'press'], red: ['car'] },
  })
  const car = (plate: string) => ({ type: 'car', plate }) as const

  test('come back in their order when the state value changes, before what waits in the mailbox', async () => {
    const { clock, ref } = await started(postponing)
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
    const { clock, ref } = await started(
      StateMachine.server(crossing, {
        postpone: { yellow: ['car', 'press'], red: ['car', 'press'] },
      }),
    )
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('b'))
    await clock.advance(33_000)

    // a passes while it is green; the press that came after it makes it yellow, where b waits
    // again.
    const snapshot = await StateMachine.snapshot(ref)
    expect(snapshot.value).toBe('yellow')
    expect(snapshot.context.log).toEqual(['a'])
    expect(snapshot.postponed).toEqual([car('b')])
  })

  test('stay where they are while the state value does', async () => {
    const { ref } = await started(postponing)
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
    let asked = 0
    const { ref } = await started(
      StateMachine.server(relay, {
        // In the first state the first `next` waits, too, and the second leads on.
        postpone: ({ value }, { type }) =>
          type === 'next' ? value === 'one' && asked++ === 0 : value !== 'three',
      }),
    )
    for (const type of ['x', 'next', 'y', 'next'] as const) StateMachine.send(ref, { type })

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['x', 'y'])
  })

  test('wait for another state value, not for a change of the context', async () => {
    const { ref } = await started(
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
    const { ref } = await started(
      StateMachine.server(crossing, {
        postpone: ({ context }, event) => event.type === 'car' && context.cars >= 1,
      }),
    )
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, car('b'))

    const snapshot = await StateMachine.snapshot(ref)

    expect([snapshot.context.log, snapshot.postponed]).toEqual([['a'], [car('b')]])
  })

  test('leave the whole mailbox to others: what lets them go is never refused for their sake', async () => {
    const { clock, ref } = await started(postponing, { mailboxMax: 2 })
    StateMachine.send(ref, { type: 'press' })
    for (const plate of ['a', 'b', 'c', 'd']) {
      await clock.settle()
      expect(StateMachine.send(ref, car(plate))).toBe(true)
    }
    await clock.advance(3_000)

    expect(StateMachine.send(ref, { type: 'reset' })).toBe(true)

    expect((await StateMachine.snapshot(ref)).context.log).toEqual(['a', 'b', 'c', 'd'])
  })

  test('beyond postponedMax: a call is rejected, a sent event is told in the log, the rest stays', async () => {
    const { system, clock, lines } = listening()
    const bounded = StateMachine.server(crossing, {
      postpone: { yellow: ['car'], red: ['car'] },
      postponedMax: 1,
      answers: { car: ({ context }) => context.cars },
    })
    const ref = await system.start(bounded, undefined, { name: name('crossing') })
    StateMachine.send(ref, { type: 'press' })
    StateMachine.send(ref, car('a'))
    StateMachine.send(ref, car('b'))
    const error = await StateMachine.call(ref, car('c')).catch((reason: unknown) => reason)

    expect(isKeelsonError(error, 'POSTPONED_FULL')).toBe(true)
    expect(lines).toEqual(['crossing: no room to postpone car'])
    expect((await StateMachine.snapshot(ref)).postponed).toEqual([car('a')])
    await clock.advance(33_000)
    expect((await StateMachine.snapshot(ref)).context.log).toEqual(['a'])
  })

  test('come back in time that grows with their number, not with its square', async () => {
    const taken = new PostponedEvents()
    const count = 60_000
    for (let index = 0; index < count; index++)
      taken.postpone({ event: { type: 'car' }, from: undefined })
    taken.comeBack()
    // CPU time: other programs on the machine do not count.
    const before = process.cpuUsage()
    while (taken.take() !== undefined);
    const { user, system } = process.cpuUsage(before)

    // An array that is shifted took 1,600 ms for as many.
    expect((user + system) / 1_000).toBeLessThan(400)
    expect(taken.length).toBe(0)
  })

  test('are saved and come back in the restored machine', async () => {
    const { system, clock, ref: first } = await started(postponing)
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

  test('that were saved when the state had changed already return first after a restart', async () => {
    const { system, clock } = testSystem()
    let kept: Saved | undefined
    const keeping = StateMachine.server(crossing, {
      postpone: { yellow: ['car'], red: ['car'] },
      save: (saved) => {
        kept = throughJson(saved)
        // The process is killed while the state after `reset` is being saved.
        if (saved.step > 1 && saved.value === 'green') system.kill(first)
      },
      restore: () => kept,
    })
    const first = await system.start(keeping)
    StateMachine.send(first, { type: 'press' })
    for (const plate of ['a', 'b']) StateMachine.send(first, car(plate))
    await clock.advance(3_000)
    StateMachine.send(first, { type: 'reset' })
    await clock.settle()
    expect(kept).toMatchObject({ value: 'green', postponed: [car('a'), car('b')] })

    const second = await system.start(keeping)
    StateMachine.send(second, car('c'))

    expect((await StateMachine.snapshot(second)).context.log).toEqual(['a', 'b', 'c'])
  })

  test('are never timers of the machine itself', async () => {
    const { system, clock, ref } = await started(
      StateMachine.server(crossing, { postpone: () => false }),
    )
    const always = await system.start(
      StateMachine.server(crossing, { postpone: (_, { type }) => type !== 'press' }),
    )
    for (const each of [ref, always]) StateMachine.send(each, { type: 'press' })
    await clock.advance(3_000)

    expect([await stateOf(ref), await stateOf(always)]).toEqual(['red', 'red'])
  })
})
