/** The result of an actor inside a machine that does not fit a state which is refused itself. */
import { expect, onTestFinished, test } from 'vitest'
import { assign, fromCallback, fromPromise, setup } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { startSimulated } from '../../../src/testing/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** The result is in a state twice, as that of the actor and of the machine. A third one is too much. */
const part = 'x'.repeat(40_000)

test('is handled again on the state before it, and is no error of the actor', async () => {
  let tells = (): void => undefined
  let ends = (): void => undefined
  const machine = setup({
    types: {} as {
      context: { told: boolean; grown: string; got: string; failed: boolean }
      events: { type: 'begin' } | { type: 'told' } | { type: 'grow' }
    },
    actors: {
      tells: fromCallback<{ type: 'told' }>(({ sendBack }) => {
        tells = () => sendBack({ type: 'told' })
      }),
      ends: fromPromise(
        () =>
          new Promise<string>((resolve) => {
            ends = () => resolve(part)
          }),
      ),
    },
  }).createMachine({
    context: { told: false, grown: '', got: '', failed: false },
    invoke: [
      { src: 'tells' },
      {
        src: 'ends',
        onDone: { actions: assign({ got: ({ event }) => event.output }) },
        onError: { actions: assign({ failed: true }) },
      },
    ],
    on: {
      begin: { actions: assign({ grown: '' }) },
      told: { actions: assign({ told: true }) },
      grow: { actions: assign({ grown: part }) },
    },
  })
  const machines = entity(
    'machine',
    StateMachine.durable(machine, { answers: { grow: () => 'grown' } }),
  )
  const s = await startSimulated({ app: supervisor('app', {}, [machines]) })
  onTestFinished(() => s.close())
  const ref = s.app.entity(machines).ref('1')
  const state = async () => (await s.during(StateMachine.snapshot(ref))).context
  StateMachine.send(ref, { type: 'begin' })
  await s.advance(50)

  // The first turn waits for space, the call is refused, and the result was handled on the state of the call.
  await fillDisk(s)
  tells()
  const grown = codeOf(StateMachine.call(ref, { type: 'grow' }))
  ends()
  expect(await s.during(grown)).toBe('NO_SPACE')
  freeDisk(s)
  await s.advance(70_000)

  expect(await state()).toEqual({ told: true, grown: '', got: part, failed: false })
})
