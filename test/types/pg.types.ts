/** Compiled, never run: how the messages of a group's members flow, and what is refused. */
import {
  type Context,
  call,
  type GenServer,
  noReply,
  pg,
  type Ref,
  reply,
  type System,
} from '../../src/runtime/index.ts'

type Waiter = { calls: { tables: () => number }; infos: { order: (dish: string) => void } }
type Watching = { infos: { pg: (change: pg.Change<Waiter>) => void } }

declare const system: System
declare const waiter: Context<Waiter>
declare const watching: Context<Watching>
declare const stranger: Context<{ casts: { stop: () => void } }>
declare const one: Ref<Waiter>

const waiters = pg.group<Waiter>(['waiters', 1])

/** A server that is told who comes and goes. */
export const server: GenServer<Watching & { calls: { seen: () => number } }, number> = {
  init: (_, context) => pg.monitor(context, waiters).members.length,
  calls: { seen: (count) => reply(count, count) },
  infos: { pg: (count, { event, members }) => noReply(event === 'join' ? members.length : count) },
}

export const uses = async (): Promise<void> => {
  pg.join(waiter, waiters, waiter.self)
  pg.join(system, waiters, [one, one])
  const left: boolean = pg.leave(waiter, waiters, one)
  const all: Ref<Waiter>[] = pg.members(system, waiters)
  for (const each of all) await call(each, 'tables')
  const sent: number = pg.broadcast(waiter, waiters, 'order', 'soup')
  const { monitor, members } = pg.monitor(watching, waiters)
  const same: Ref<Waiter>[] = members
  pg.demonitor(watching, monitor)
  const names: pg.GroupName[] = pg.groups(system)
  void [left, sent, same, names]
}

/** A group that was named without types: its members are any processes. */
export const loose = (): void => {
  pg.join(stranger, 'anybody', stranger.self)
  const found: Ref[] = pg.members(system, 'anybody')
  void found
}

export const misuses = (): void => {
  // @ts-expect-error: a process that does not understand what members of this group do
  pg.join(stranger, waiters, stranger.self)
  // @ts-expect-error: members understand no such info
  pg.broadcast(system, waiters, 'bill', 'soup')
  // @ts-expect-error: another payload
  pg.broadcast(system, waiters, 'order', 1)
  // @ts-expect-error: code outside of processes watches nothing
  pg.monitor(system, waiters)
  // @ts-expect-error: this process does not understand the info `pg`
  pg.monitor(waiter, waiters)
}
