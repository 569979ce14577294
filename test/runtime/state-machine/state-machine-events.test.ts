/**
 * Events that a machine is sent: which are refused, and what becomes of those that it has no use
 * for.
 */
import { describe, expect, test } from 'vitest'
import { log, setup } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import { name } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { lamp, push, server } from '../machine/lamp.ts'
import { listening, reasonOfEnd, started } from './machine-process.ts'

describe('events', () => {
  test.each([
    ['a text', 'push'],
    ['nothing', undefined],
    ['null', null],
    ['an object without a type', { text: 'a' }],
    ['a type that is no text', { type: 7 }],
    ['one of XState itself', { type: 'xstate.stop' }],
  ])('%s is refused at the caller, and the machine lives', async (_, event) => {
    const { ref } = await started(server)

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

  test.each(['log', 'ignore'] as const)(
    'that no state names still let always transitions be tried, as in XState (%s)',
    async (unknownEvents) => {
      const { system } = listening()
      const machine = setup({ types: {} as { events: { type: 'go' } } }).createMachine({
        initial: 'here',
        states: {
          here: { always: { guard: ({ event }) => event.type === 'go', target: 'there' } },
          there: {},
        },
      })
      const ref = await system.start(StateMachine.server(machine, { unknownEvents }))

      StateMachine.send(ref, { type: 'go' })

      expect((await StateMachine.snapshot(ref)).value).toBe('there')
    },
  )

  test('of the type xstate.route lead to the state that has a route', async () => {
    const machine = setup({}).createMachine({
      initial: 'here',
      states: { here: {}, there: { id: 'there', route: {} } },
    })
    const { ref } = await started(StateMachine.server(machine))

    StateMachine.send(ref, { type: 'xstate.route', to: '#there' })

    expect((await StateMachine.snapshot(ref)).value).toBe('there')
  })

  test('beyond mailboxMax are refused', async () => {
    const { ref } = await started(server, { mailboxMax: 2 })

    const admitted = [push, push, push].map((event) => StateMachine.send(ref, event))

    expect(admitted).toEqual([true, true, false])
  })
})

test('a value that has no text of its own is logged, and the machine lives', async () => {
  const { system, lines } = listening()
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const values = [Object.assign(Object.create(null), { user: 'Ada' }), proxy, Symbol('s'), 'text']
  const ref = await system.start(
    StateMachine.server(
      setup({}).createMachine({
        id: 'telling',
        on: { tell: { actions: values.map((value) => log(() => value)) } },
      }),
    ),
    undefined,
    { name: name('telling') },
  )

  StateMachine.send(ref, { type: 'tell' })

  expect((await StateMachine.snapshot(ref)).status).toBe('active')
  expect(lines.map((line) => line.replace('telling: ', ''))).toEqual([
    ...['{user: "Ada"}', '[unreadable]', 'Symbol(s)', 'text'],
  ])
})
