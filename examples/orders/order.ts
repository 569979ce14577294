/** An order: placed, then paid or cancelled. It survives crashes, and the bank is asked again. */
import { type DurableContext, type DurableServer, entity, noReply, ok, reply } from 'keelson'
import type { Bank } from './bank.ts'

/** An order, as it is kept. `charge` is the key under which the bank is asked for the money. */
export type Order = {
  readonly cents: number
  readonly status: 'placed' | 'paid' | 'cancelled'
  readonly charge: string
}

export type Messages = {
  calls: {
    place: (order: { cents: number }) => 'placed' | 'exists'
    cancel: () => Order['status'] | 'none'
  }
  continues: { charge: () => void; release: () => void }
  alarms: { unpaid: () => void }
}

/** Cancels an order. The bank may have its charge already: a try whose answer was lost counts. */
const cancelled = (order: Order, context: DurableContext<Messages>): Order => {
  context.cancelContinue(order.charge)
  context.addContinue('release')
  return { ...order, status: 'cancelled' }
}

/** The kind of orders. One that is not paid within `payWithinMs` is cancelled. */
export const orderKind = (bank: Bank, payWithinMs: number) => {
  const server: DurableServer<
    Messages,
    Order | undefined,
    { status: Order['status'] | undefined }
  > = {
    init: () => ok(undefined),
    calls: {
      place: (order, { cents }, context) => {
        if (order) return reply('exists', order)
        context.setAlarm('unpaid', { inMs: payWithinMs })
        const charge = context.addContinue('charge')
        return reply('placed', { cents, status: 'placed', charge })
      },
      cancel: (order, _, context) => {
        if (order?.status !== 'placed') return reply(order?.status ?? 'none', order)
        context.cancelAlarm('unpaid')
        return reply('cancelled', cancelled(order, context))
      },
    },
    continues: {
      // A step that throws is tried again, from 1 s to 60 s later, under the same `context.step`.
      charge: async (order, _, context) => {
        if (order?.status !== 'placed') return noReply(order)
        await bank.charge(context.step, order.cents)
        context.cancelAlarm('unpaid')
        return noReply({ ...order, status: 'paid' })
      },
      release: async (order) => {
        if (order) await bank.release(order.charge)
        return noReply(order)
      },
    },
    alarms: {
      unpaid: (order, _, context) =>
        noReply(order?.status === 'placed' ? cancelled(order, context) : order),
    },
    index: (order) => ({ status: order?.status }),
  }
  return entity('order', server)
}

export type OrderKind = ReturnType<typeof orderKind>
