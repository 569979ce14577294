/**
 * A show: who holds or has bought each of its seats. A hold ends by itself, so that an order that
 * never pays keeps no seat.
 */
import { type DurableServer, entity, noReply, ok, reply } from 'keelson'

/** A seat that is taken: held until `until`, or sold. */
export type Taken = { readonly order: string; readonly until?: number }
/** The seats that are taken; all others are free. */
export type Show = { readonly [seat: string]: Taken }
type Request = { readonly order: string; readonly seats: readonly string[] }

/** The key of a sale in the store, which the report is made from. It has its show's shard. */
export const saleKey = (show: string, order: string): string => `sale:{show/${show}}:${order}`

/** What the store keeps of a sale. */
export type Sale = { readonly show: string; readonly seats: number; readonly cents: number }

export type Messages = {
  calls: {
    /** Takes all the seats for an order, or none. To be repeated safely. */
    hold: (request: Request) => 'held' | 'taken'
    /** Sells them, also after the hold has ended if they are still free. To be repeated safely. */
    sell: (request: Request & { readonly cents: number }) => 'sold' | 'lost'
    /** Gives up what an order holds. */
    free: (order: string) => void
  }
  alarms: { expire: () => void }
}

const isFree = (taken: Taken | undefined, order: string, now: number): boolean =>
  taken === undefined || taken.order === order || (taken.until ?? Number.POSITIVE_INFINITY) <= now

const without = (show: Show, ends: (taken: Taken) => boolean): Show =>
  Object.fromEntries(Object.entries(show).filter(([, taken]) => !ends(taken)))

const earliestEnd = (show: Show): number =>
  Math.min(...Object.values(show).map(({ until }) => until ?? Number.POSITIVE_INFINITY))

/** The kind of shows, by their names. A hold ends after `holdMs`. */
export const showKind = (holdMs: number) => {
  const server: DurableServer<Messages, Show> = {
    init: () => ok({}),
    calls: {
      hold: (show, { order, seats }, context) => {
        const now = context.now()
        if (!seats.every((seat) => isFree(show[seat], order, now))) return reply('taken', show)
        if (seats.every((seat) => show[seat]?.order === order)) return reply('held', show)
        const held = { order, until: now + holdMs }
        const next = { ...show, ...Object.fromEntries(seats.map((seat) => [seat, held])) }
        context.setAlarm('expire', { at: earliestEnd(next) })
        return reply('held', next)
      },
      sell: (show, { order, seats, cents }, context) => {
        if (!seats.every((seat) => isFree(show[seat], order, context.now())))
          return reply('lost', show)
        const sale: Sale = { show: context.id, seats: seats.length, cents }
        context.writes.put(saleKey(context.id, order), sale)
        return reply('sold', {
          ...show,
          ...Object.fromEntries(seats.map((seat) => [seat, { order }])),
        })
      },
      free: (show, order) =>
        reply(
          undefined,
          without(show, (taken) => taken.order === order && taken.until !== undefined),
        ),
    },
    alarms: {
      expire: (show, _, context) => {
        const now = context.now()
        const next = without(show, ({ until }) => until !== undefined && until <= now)
        const at = earliestEnd(next)
        if (Number.isFinite(at)) context.setAlarm('expire', { at })
        return noReply(next)
      },
    },
  }
  return entity('show', server)
}

export type ShowKind = ReturnType<typeof showKind>
