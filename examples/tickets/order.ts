/**
 * An order, as a durable machine: it holds seats, charges the bank, buys, and mails the tickets. Each
 * of its states ends in another one, whatever fails, so every accepted order comes to its end.
 */
import { call, entity } from 'keelson'
import { flow } from 'keelson/flow'
import { StateMachine } from 'keelson/state-machine'
import { type AnyActorRef, assign, fromPromise, setup } from 'xstate'
import type { Bank } from '../orders/bank.ts'
import type { Mails } from './mails.ts'
import type { ShowKind } from './show.ts'

/** The ends of an order: it has its tickets; the seats were taken; it was not paid in time. */
export const ends = ['sold', 'refused', 'unpaid'] as const
export type End = (typeof ends)[number]

/** An order: its id, and the seats of a show. */
export type Placed = { readonly show: string; readonly seats: readonly string[] }
type Order = Placed & { readonly id: string }
type Event = ({ readonly type: 'place' } & Placed) | { readonly type: 'status' }

export type OrderParts = {
  readonly shows: ShowKind
  readonly bank: Bank
  readonly mails: Mails
  /** The time in which the bank must have taken the money, in ms. */
  readonly payWithinMs: number
  /** From a failure to the next try, in ms. */
  readonly retryMs: number
}

export const centsOfSeat = 2_500

/** A state that asks for something until it is done: again `retry` ms after each failure. */
const untilDone = <Src extends string, Done>(src: Src, onDone: Done) =>
  ({
    initial: 'trying',
    states: {
      trying: {
        invoke: {
          src,
          input: ({ context }: { context: Order }) => context,
          onDone,
          onError: 'waiting',
        },
      },
      waiting: { after: { retry: 'trying' } },
    },
  }) as const

const answered =
  (answer: string) =>
  ({ event }: { event: { output: unknown } }): boolean =>
    event.output === answer

const machineOf = ({ shows, bank, mails, payWithinMs, retryMs }: OrderParts) => {
  /** The show of an order, as the process that runs the machine reaches it. */
  const showOf = (self: AnyActorRef, { show }: Order) =>
    StateMachine.contextOf(self).app.entity(shows).ref(show)
  const cents = ({ seats }: Order): number => seats.length * centsOfSeat
  return setup({
    types: {} as { context: Order; events: Event; input: { id: string } },
    // All of them may be repeated: the order's id is the key under which the others know it.
    actors: {
      hold: fromPromise<'held' | 'taken', Order>(({ input, self }) =>
        call(showOf(self, input), 'hold', { order: input.id, seats: input.seats }),
      ),
      charge: fromPromise<void, Order>(({ input }) => bank.charge(input.id, cents(input))),
      buy: fromPromise<'sold' | 'lost', Order>(({ input, self }) =>
        call(showOf(self, input), 'sell', {
          order: input.id,
          seats: input.seats,
          cents: cents(input),
        }),
      ),
      mail: fromPromise<unknown, Order>(({ input: { id, seats }, self }) =>
        flow(StateMachine.contextOf(self).app).add(
          mails,
          { order: id, text: seats.join(', ') },
          { unique: id },
        ),
      ),
      release: fromPromise<void, Order>(({ input }) => bank.release(input.id)),
      free: fromPromise<void, Order>(({ input, self }) =>
        call(showOf(self, input), 'free', input.id),
      ),
    },
    delays: { payWithin: payWithinMs, retry: retryMs },
  }).createMachine({
    id: 'order',
    context: ({ input }) => ({ id: input.id, show: '', seats: [] }),
    initial: 'new',
    states: {
      new: {
        on: {
          place: {
            target: 'holding',
            actions: assign(({ event: { show, seats } }) => ({ show, seats })),
          },
        },
      },
      holding: untilDone('hold', [
        { guard: answered('held'), target: '#order.paying' },
        { target: '#order.refused' },
      ]),
      paying: {
        // A charge whose answer was lost may have taken the money: the bank gives it back.
        after: { payWithin: 'releasing' },
        ...untilDone('charge', '#order.buying'),
      },
      buying: untilDone('buy', [
        { guard: answered('sold'), target: '#order.mailing' },
        { target: '#order.releasing' },
      ]),
      mailing: untilDone('mail', '#order.sold'),
      releasing: untilDone('release', '#order.freeing'),
      freeing: untilDone('free', '#order.unpaid'),
      sold: { type: 'final' },
      refused: { type: 'final' },
      unpaid: { type: 'final' },
    },
  })
}

/** The part of a machine's value that names its state: `paying` of `{ paying: 'trying' }`. */
const stateOf = (value: unknown): string =>
  typeof value === 'string' ? value : (Object.keys(value as object)[0] ?? '')

/** The kind of orders, by their ids. */
export const orderKind = (parts: OrderParts) =>
  entity(
    'order',
    StateMachine.durable(machineOf(parts), {
      input: (id: string) => ({ id }),
      answers: { place: ({ value }) => stateOf(value), status: ({ value }) => stateOf(value) },
      index: ({ value }) => ({ state: stateOf(value) }),
    }),
  )

export type OrderKind = ReturnType<typeof orderKind>
