/**
 * The durable machine of the random lives: an order that is charged by a promise, which fails while
 * the bank is away, and that is shipped by a recorded action.
 */
import { assign, fromPromise, setup } from 'xstate'
import { type EntityOptions, entity } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'

/** What orders ask of the world. */
export type Bank = {
  /** Settles in its own time. A receipt may be too large for the state. */
  readonly charges: () => Promise<string>
  /** May throw: the action is tried again. */
  readonly ships: () => void
  readonly migrates: () => void
}

type Event = { readonly type: 'place' } | { readonly type: 'cancel' } | { readonly type: 'status' }

/** The states in which an order waits for nothing. */
export const atRest: readonly unknown[] = ['open', 'shipped', 'cancelled']

/** The kind, for one life. */
export const orders = (
  bank: Bank,
  { version, ...options }: EntityOptions & { readonly version: number },
) => {
  const machine = setup({
    types: {} as { context: { receipt: string }; events: Event },
    actors: { bank: fromPromise<string>(() => bank.charges()) },
    actions: { ship: () => bank.ships() },
  }).createMachine({
    id: 'order',
    context: { receipt: '' },
    initial: 'open',
    on: { cancel: '.cancelled' },
    states: {
      open: { on: { place: 'charging' } },
      charging: {
        invoke: {
          src: 'bank',
          onDone: { target: 'paid', actions: assign({ receipt: ({ event }) => event.output }) },
          onError: 'failed',
        },
      },
      failed: { after: { 3000: 'charging' } },
      paid: { after: { 500: 'shipped' } },
      shipped: { entry: 'ship', on: { place: 'charging' } },
      cancelled: { on: { place: 'charging' } },
    },
  })
  const server = StateMachine.durable(machine, {
    version,
    unknownEvents: 'ignore',
    answers: { place: ({ value }) => value, status: ({ value }) => value },
    migrate: (saved) => {
      bank.migrates()
      return saved as never
    },
  })
  return entity('order', server, options)
}
