import { type DurableServer, entity, reply } from 'keelson'

/** The messages of an actor: their arguments and answers. */
type Messages = {
  calls: {
    add: (count: number) => number
    take: (count: number) => boolean
    left: () => number
  }
}

/**
 * How many of one item are in stock. A handler gets the state and the argument, and gives the answer
 * and the next state. The caller gets its answer when that state is on the disk.
 */
const server: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    add: (left, count) => reply(left + count, left + count),
    take: (left, count) => (left < count ? reply(false, left) : reply(true, left - count)),
    left: (left) => reply(left, left),
  },
}

/** Durable actors, one for each item: `app.entity(stock).ref('tea')`. */
export const stock = entity('stock', server)
