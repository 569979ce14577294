/** A machine that cannot run is refused when its server is made, with the path of the fault. */
import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, and, enqueueActions, not, raise, setup, spawnChild } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import { call } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { reasonOfEnd, started } from '../state-machine/machine-process.ts'
import { server } from './lamp.ts'

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

  test('an actor that a named action spawns without an implementation is refused', () => {
    const spawning = setup({ actions: { go: spawnChild('gone' as never) as never } })

    expect(pathOf(() => StateMachine.server(spawning.createMachine({ id: 'm' })))).toBe(
      'm.actions.go',
    )
  })

  test('an actor that is spawned while the machine runs ends it with CONFIG when it is missing', async () => {
    const spawning = machineWith({
      on: { go: { actions: enqueueActions(({ enqueue }) => enqueue.spawnChild('gone')) } },
    })
    const { system, ref } = await started(StateMachine.server(spawning))
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, { type: 'go' } as never)

    expect(isKeelsonError(await reason, 'CONFIG')).toBe(true)
  })

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
    ['a spawned actor', { entry: spawnChild('gone' as never) }, 'm.entry'],
    [
      'an action of the initial transition',
      { initial: { target: 'a', actions: 'gone' }, states: { a: {} } },
      'm.initial',
    ],
    [
      'an action of a machine inside',
      { invoke: { src: machineWith({ id: 'inner', entry: 'gone' }) } },
      'inner.entry',
    ],
    ['a delay of after', { after: { gone: { actions: () => {} } } }, 'm.entry'],
    ['a delay of raise', { entry: raise({ type: 'go' }, { delay: 'gone' as never }) }, 'm.entry'],
  ])('%s without an implementation is refused with its path', (_, config, path) => {
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
      'a bound of postponed events that is no number',
      () => StateMachine.server(machineWith({}), { postponedMax: 0 }),
      'postponedMax',
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
    const { ref } = await started(server)

    const answer = await call(ref, 'snapshot')

    expect(answer.value).toBe('off')
  })
})
