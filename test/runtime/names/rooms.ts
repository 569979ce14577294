/** A registry, and members that run a test's function in their own process. */
import {
  type Context,
  call,
  type GenServer,
  noReply,
  type Ref,
  Registry,
  reply,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

/** The messages of a member. */
export type Messages = {
  calls: { run: (work: (context: Context<Messages>) => unknown) => unknown; heard: () => unknown[] }
  casts: { crash: () => void }
  infos: { note: (text: unknown) => void }
}

/** A process that can hold keys. */
export type Member = Ref<Messages>

/** A process that runs given functions and records its messages. */
export const member: GenServer<Messages, unknown[]> = {
  init: () => [],
  calls: {
    run: (heard, work, context) => reply(work(context), heard),
    heard: (heard) => reply(heard, heard),
  },
  casts: {
    crash: () => {
      throw new Error('boom')
    },
  },
  infos: { note: (heard, text) => noReply([...heard, text]) },
  exit: (heard, { reason }) => noReply([...heard, ['exit', reason]]),
  down: (heard, { reason }) => noReply([...heard, ['down', reason]]),
}

/** Does `work` in the process of `who`. */
export const run = <T>(who: Member, work: (context: Context<Messages>) => T): Promise<T> =>
  call(who, 'run', work) as Promise<T>

/** The name of the registry. */
export const rooms = Registry.name<unknown, unknown, Messages>('rooms')

/** A system with a registry, and ways to start members and register them. */
export const withRegistry = async (keys: 'unique' | 'duplicate') => {
  const { system, clock } = testSystem()
  const registry = await Registry.start(system, { keys, name: rooms })
  const start = () => system.start(member)
  const register = (who: Member, key: unknown, value: unknown) =>
    run(who, (context) => Registry.register(context, rooms, key, value))
  return { system, clock, registry, start, register }
}

/** How a process ends. */
export const endOf = (system: Awaited<ReturnType<typeof withRegistry>>['system'], who: Ref) => {
  const ends: unknown[] = []
  system.monitor(who, (reason) => ends.push(reason))
  return ends
}
