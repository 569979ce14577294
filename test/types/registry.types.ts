/** Compiled, never run: what the types of a Registry and of names through one let through, and what they refuse. */
import {
  type Context,
  call,
  cast,
  type GenServer,
  name,
  noReply,
  type Ref,
  Registry,
  reply,
  type System,
  type Via,
  via,
  worker,
} from '../../src/runtime/index.ts'

type Room = {
  calls: { say: (text: string) => number }
  infos: { joined: (who: string) => void }
}
type Key = readonly ['room', id: number]
type Info = { readonly topic: string }

const room: GenServer<Room, number> = {
  init: () => 0,
  calls: { say: (count) => reply(count + 1, count + 1) },
  infos: { joined: (count) => noReply(count) },
}

declare const system: System
declare const context: Context<Room>
declare const stranger: Context<{ casts: { stop: () => void } }>
declare const anybody: Ref

const rooms = Registry.name<Key, Info, Room>('rooms')
const registry = system.to(rooms)

export const uses = async (): Promise<void> => {
  const started: Registry.Handle<Key, Info, Room> = await Registry.start(system, {
    keys: 'unique',
    name: rooms,
  })
  const same: Registry.Name<Key, Info, Room> = name<Registry.Messages<Key, Info, Room>>('rooms')
  const result = Registry.register(context, rooms, ['room', 1], { topic: 'tea' })
  const holder: Ref<Room> | undefined = result.ok ? undefined : result.reason[1]
  const topics: string[] = Registry.lookup(started, ['room', 1]).map(({ value }) => value.topic)
  const keys: Key[] = Registry.keys(registry, anybody)
  const values: Info[] = Registry.values(registry, ['room', 1], anybody)
  const changed = Registry.updateValue(context, rooms, ['room', 1], ({ topic }) => ({ topic }))
  const before: string | undefined = changed?.[1].topic
  Registry.dispatch(registry, ['room', 1], (ref) => void context.send(ref, 'joined', 'Ada'))
  Registry.countMatch(registry, ['room', 1], ({ topic }) => topic === 'tea')
  Registry.select(registry, ({ key: [, id] }) => id > 1)
  Registry.count(registry)
  const desk: Via<Room> = via(rooms, ['room', 1], { topic: 'tea' })
  await call(context.to(desk), 'say', 'hello')
  await call(system.to(via(registry, ['room', 2])), 'say', 'hello')
  worker('room', room, undefined, { name: desk })
  await system.start(room, undefined, { name: desk })
  context.sendAfter(10, 'joined', 'Ada', desk)
  system.kill(desk)
  context.monitor(desk)
  void [same, holder, topics, keys, values, before]
}

/** A registry whose keys and values are anything. */
export const loose = (open: Registry.Handle): void => {
  Registry.register(stranger, open, { any: 'key' }, 1)
  const found: unknown = Registry.lookup(open, 1)[0]?.value
  void found
}

export const misuses = async (): Promise<void> => {
  // @ts-expect-error: a key of another kind
  Registry.register(context, rooms, 'lobby', { topic: 'tea' })
  // @ts-expect-error: a value of another kind
  Registry.register(context, rooms, ['room', 1], 'tea')
  // @ts-expect-error: a process that does not understand what members of this registry do
  Registry.register(stranger, rooms, ['room', 1], { topic: 'tea' })
  // @ts-expect-error: code outside of processes has nothing to register
  Registry.register(system, rooms, ['room', 1], { topic: 'tea' })
  // @ts-expect-error: a name alone does not say in which system to look
  Registry.lookup(rooms, ['room', 1])
  // @ts-expect-error: a key of another kind
  Registry.lookup(registry, 1)
  // @ts-expect-error: the new value is no text
  Registry.updateValue(context, rooms, ['room', 1], ({ topic }) => topic)
  // @ts-expect-error: members understand no such message
  Registry.dispatch(registry, ['room', 1], (ref) => void context.send(ref, 'left', 'Ada'))
  // @ts-expect-error: no such field in a value
  Registry.select(registry, ({ value }) => value.name === 'tea')
  // @ts-expect-error: a process of other messages is no registry
  Registry.count(context.self)
  // @ts-expect-error: keys are unique or duplicate
  await Registry.start(system, { keys: 'many' })
  // @ts-expect-error: a registry of other keys
  await Registry.start<string, Info, Room>(system, { keys: 'unique', name: rooms })
  // @ts-expect-error: a key of another kind
  via(rooms, 'lobby')
  // @ts-expect-error: what is behind the key understands no such call
  await call(context.to(via(rooms, ['room', 1])), 'shout', 'hello')
  // @ts-expect-error: a name through a registry is looked up by somebody
  cast(via(rooms, ['room', 1]), 'joined')
  // @ts-expect-error: the members of this registry are other processes
  worker('other', other, undefined, { name: via(rooms, ['room', 1]) })
  // @ts-expect-error: the holder is not there when the registration was made
  Registry.register(context, rooms, ['room', 1], { topic: 'tea' }).reason[1]
}

const other: GenServer<{ casts: { stop: () => void } }, null> = {
  init: () => null,
  casts: { stop: (state) => noReply(state) },
}
