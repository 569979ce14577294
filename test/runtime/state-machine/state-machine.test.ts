/** A machine in a process: its start, its process information, its actions, and its end. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { assign, raise, setup } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  exit,
  getState,
  name,
  startSupervisor,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { boom, lamp, note, push, server } from '../machine/lamp.ts'
import { listening, reasonOfEnd, reasonsOfEnds, started } from './machine-process.ts'

describe('a state machine', () => {
  test('takes events in their order, and shows its snapshot as its state', async () => {
    const { ref } = await started(server)

    StateMachine.send(ref, note('a'))
    StateMachine.send(ref, push)
    StateMachine.send(ref, note('b'))

    const state = await getState<{ value: string; hasTag(tag: string): boolean }>(ref)
    expect(state).toMatchObject({ value: 'on', context: { notes: ['a', 'b'], pushes: 1 } })
    expect(state.hasTag('lit')).toBe(true)
  })

  test('shows its value and context when its state is printed, not the machine behind it', async () => {
    const { ref } = await started(server)
    StateMachine.send(ref, push)

    const printed = inspect(await getState(ref), { depth: 9 })

    expect(printed).toContain("value: 'on'")
    expect(printed).toContain('machine: machine lamp')
    expect(printed).toContain('_nodes: [ #lamp, #lamp.on ]')
    expect(printed).not.toContain('StateNode')
  })

  test('is plain data as a snapshot, which JSON keeps as it is', async () => {
    const { ref } = await started(server)
    StateMachine.send(ref, push)

    const snapshot = await StateMachine.snapshot(ref)

    expect(snapshot).toEqual({
      machine: 'lamp',
      run: expect.stringMatching(/^lamp\/[0-9a-f]{16}$/),
      step: 2,
      actions: [],
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

  test('ends normally in its final state, and resolves the waits for its output', async () => {
    const { system, ref } = await started(server)
    const reason = reasonOfEnd(system, ref)
    const outputs = Promise.all([StateMachine.output(ref), StateMachine.output(ref)])

    StateMachine.send(ref, push)
    StateMachine.send(ref, { type: 'finish' })

    expect(await outputs).toEqual([{ pushes: 1 }, { pushes: 1 }])
    expect(await reason).toBe('normal')
  })

  test('that ends otherwise rejects the waits for its output', async () => {
    const { ref } = await started(server)
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
    const { system, clock, ref } = await started(server)
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, event)
    await clock.settle()

    expect(await reason).toBe(boom)
    expect(StateMachine.send(ref, push)).toBe(false)
    const asked = await StateMachine.snapshot(ref).catch((error: unknown) => error)
    expect(isKeelsonError(asked, 'NO_PROCESS')).toBe(true)
  })

  test('exits when a guard throws', async () => {
    const { system, ref } = await started(server)
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, { type: 'guarded' })

    expect(String(await reason)).toContain('boom')
  })

  test('ends with the reason that an action gives to exit', async () => {
    const leaving = setup({ types: {} as { events: { type: 'go' } } }).createMachine({
      on: { go: { actions: () => exit(['shutdown', 'enough']) } },
    })
    const { system, ref } = await started(StateMachine.server(leaving))
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
    const { clock, ref } = await started(StateMachine.server(ordered))
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

    const reasons = reasonsOfEnds(system)

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
