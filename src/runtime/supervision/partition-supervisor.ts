/**
 * A partitioned supervisor, as Elixir's `PartitionSupervisor`: the same child several times, one for
 * each partition, and a key that always leads to the same one. By default each child is a dynamic
 * supervisor, so that starts under one key do not wait for those under another.
 *
 * The partitions are a value: tree and clients share it, and no process is asked for the way.
 */

import { config, noMore, readOptions, wholeFrom } from '../../check.ts'
import { configError, invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { KeyIdentities } from '../names/key-identities.ts'
import type { GenServer } from '../server/gen-server.ts'
import { type Messages, type Name, name as nameOf } from '../words/address.ts'
import { type ChildSpec, worker } from './child-spec.ts'
import { type DynamicSupervisorMessages, dynamicSupervisor } from './dynamic-supervisor.ts'
import { type SupervisorOptions, supervisor } from './supervisor.ts'
import type { SupervisorMessages } from './supervisor-server.ts'

/** The partitions of a supervisor whose children understand `M`. */
export interface Partitions<M = unknown> {
  /** The names of the children: `rooms(0)`, `rooms(1)` … */
  readonly names: readonly Name<M>[]
  /**
   * The name of the child that `key` leads to: a whole number by its remainder, as in Elixir, any
   * other key by the hash of its content. Keys that are equal in a registry lead to the same child.
   */
  of(key: unknown): Name<M>
}

/**
 * The `count` partitions under `name`. Give them to `partitionSupervisor`, and use
 * `context.to(partitions.of(key))`. Throws `INVALID_ARGUMENT` for a wrong count or name.
 */
export const partitions = <M = DynamicSupervisorMessages>(
  name: string,
  count: number,
  ...surplus: []
): Partitions<M> => {
  noMore(surplus, 'partitions(name, count)')
  if (typeof name !== 'string' || name === '') throw invalidArgument('name', 'a text', name)
  if (!Number.isSafeInteger(count) || count < 1)
    throw invalidArgument('count', 'a whole number from 1', count)
  const identities = new KeyIdentities()
  const names = Array.from({ length: count }, (_, at) => nameOf<M>(`${name}(${at})`))
  const of = (key: unknown): Name<M> => {
    const identity = identities.of(key)
    const number = Number.isSafeInteger(identity) ? Math.abs(Number(identity)) : hash(identity)
    return names[number % count] as Name<M>
  }
  return { names, of }
}

/** The options of a partitioned supervisor. */
export type PartitionSupervisorOptions<M extends Messages, S, A, P> = Omit<
  SupervisorOptions,
  'strategy' | 'autoShutdown'
> & {
  /** The server of each child; a dynamic supervisor by default. */
  readonly server?: GenServer<M, S, A, P> | undefined
  /** The argument of the child at `partition`. */
  readonly arg?: ((partition: number) => A) | undefined
}

const ownKeys = ['server', 'arg']
const knownOptions = [
  'intensity',
  'periodMs',
  'name',
  'app',
  'instance',
  'restart',
  'shutdown',
  'significant',
  ...ownKeys,
]

/**
 * A supervisor (`one_for_one`) with one child for each partition, registered under its name. Throws
 * `CONFIG` with `details.path`.
 */
export const partitionSupervisor = <M extends Messages, S, A, P>(
  id: string,
  parts: Partitions<M>,
  given: PartitionSupervisorOptions<M, S, A, P> = noOptions,
  ...surplus: []
): ChildSpec<SupervisorMessages> => {
  noMore(surplus, 'partitionSupervisor(id, partitions, { server, arg, … })')
  const { server, arg, ...options } = readOptions(given, knownOptions, config(id))
  if (arg !== undefined && typeof arg !== 'function')
    throw configError(`${id}.arg`, 'a function of the partition', arg)
  if (server === undefined && arg !== undefined)
    throw configError(`${id}.server`, 'a server for the argument', server)
  wholeFrom(1)(parts?.names?.length, config(`${id}.partitions`))
  const children = parts.names.map((name, at) =>
    server === undefined
      ? dynamicSupervisor(name, { name })
      : worker(name, server as GenServer<M, S, unknown, P>, arg?.(at), { name }),
  )
  return supervisor(id, { ...options, strategy: 'one_for_one' }, children)
}

/** FNV-1a over the characters, and a last mix, because few partitions use the low bits only. */
const hash = (identity: unknown): number => {
  const text = String(identity)
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at++)
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193)
  return (value ^ (value >>> 15)) >>> 0
}
