/**
 * A machine for tests of saving and postponing: a pedestrian crossing with timers, and a bell that
 * rings later.
 */
import { assign, cancel, raise, setup } from 'xstate'
import { getState } from '../../../src/runtime/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'

/**
 * Counts the cars that pass while it is green, and turns red some time after the button is pressed;
 * rings now or later.
 */
export const crossing = setup({
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

/** Its server, as it is without options. */
export const server = StateMachine.server(crossing)

/** Its saved form. */
export type Saved = SavedMachine<typeof crossing>

/** The value of the state that the machine behind `ref` is in. */
export const stateOf = async (ref: Parameters<typeof getState>[0]): Promise<unknown> =>
  (await getState<{ value: unknown }>(ref)).value
