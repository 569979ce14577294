/**
 * Chat rooms with presence. A room keeps each line before anybody reads it. Who is present is true
 * only while connections live, so that is kept in memory.
 */
import type { ServerResponse } from 'node:http'
import {
  type Context,
  type DownMessage,
  type DurableServer,
  dynamicSupervisor,
  entity,
  type GenServer,
  type Monitor,
  noReply,
  ok,
  type Ref,
  reply,
  supervisor,
  worker,
} from 'keelson'

export type Line = { readonly number: number; readonly from: string; readonly text: string }
type Said = { readonly from: string; readonly text: string }

// The room: its lines are rows, and presence gets each line when it is durable.

export type Room = { calls: { say: (said: Said) => number } }
type RoomState = { readonly lines: number }

const lineKey = (number: number): string => `line/${String(number).padStart(9, '0')}`

const room: DurableServer<Room, RoomState> = {
  init: () => ok({ lines: 0 }),
  calls: {
    say: ({ lines }, { from, text }, context) => {
      const number = lines + 1
      context.rows.put(lineKey(number), { number, from, text })
      context.cast(presence, 'tell', { room: context.id, line: { number, from, text } })
      return reply(number, { lines: number })
    },
  },
}
export const rooms = entity('room', room)

// Presence: the guests of all rooms, each with the monitor that says when it has left.

export type Guest = {
  infos: { said: (line: Line) => void; present: (names: readonly string[]) => void }
}
type Member = { readonly room: string; readonly name: string; readonly ref: Ref<Guest> }
type Present = Member & { readonly monitor: Monitor }
type Presence = {
  calls: { join: (member: Member) => void }
  casts: { tell: (what: { readonly room: string; readonly line: Line }) => void }
}

/** The guests after a change in a room, who see who is there. */
const changed = (all: readonly Present[], where: string, context: Context<Presence>) => {
  const here = all.filter((each) => each.room === where)
  for (const { ref } of here)
    context.send(
      ref,
      'present',
      here.map(({ name }) => name),
    )
  return all
}

const presenceServer: GenServer<Presence, readonly Present[]> = {
  init: () => [],
  calls: {
    join: (all, member, context) => {
      const next = [...all, { ...member, monitor: context.monitor(member.ref) }]
      return reply(undefined, changed(next, member.room, context))
    },
  },
  casts: {
    tell: (all, { room: where, line }, context) => {
      for (const { ref } of all.filter((each) => each.room === where))
        context.send(ref, 'said', line)
      return noReply(all)
    },
  },
  down: (all, { monitor }: DownMessage, context) => {
    const left = all.find((each) => each.monitor === monitor)
    const next = all.filter((each) => each !== left)
    return noReply(left ? changed(next, left.room, context) : next)
  },
}
export const presence = worker('presence', presenceServer)

// A guest: one process for each connection, which first gets the lines that it has missed.

export type Joining = {
  readonly room: string
  readonly name: string
  /** The last line that the browser has seen. */
  readonly last: number
  readonly response: Pick<ServerResponse, 'write' | 'end'>
}
type GuestState = Pick<Joining, 'last' | 'response'>

const written = ({ last, response }: GuestState, line: Line): GuestState => {
  if (line.number <= last) return { last, response }
  response.write(`id: ${line.number}\ndata: ${JSON.stringify(line)}\n\n`)
  return { last: line.number, response }
}

const guestServer: GenServer<Guest, GuestState, Joining> = {
  init: async ({ room: where, name, last, response }, context) => {
    // However this process ends, the browser notices, and comes back with its last line.
    context.signal.addEventListener('abort', () => response.end())
    // From here on new lines wait in the mailbox: none falls between the history and them.
    await context.call(presence, 'join', { room: where, name, ref: context.self })
    const newest = { gt: lineKey(last), reverse: true, limit: 100 } as const
    const { entries } = context.app.entity(rooms).rows(where).range(newest)
    const missed = entries.map(([, line]) => line as Line).reverse()
    return ok(missed.reduce(written, { last, response }))
  },
  infos: {
    said: (state, line) => noReply(written(state, line)),
    present: (state, names) => {
      state.response.write(`event: present\ndata: ${JSON.stringify(names)}\n\n`)
      return noReply(state)
    },
  },
}
export const guests = dynamicSupervisor('guests')
export const guestOf = (joining: Joining) =>
  worker('guest', guestServer, { arg: joining, restart: 'temporary' })

/** Guests end with presence: they come back, and so no connection is left that presence does not know. */
export const tree = supervisor('app', { strategy: 'rest_for_one' }, [rooms, presence, guests])
