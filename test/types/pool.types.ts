/** Compiled, never run: how the messages of workers and partitions flow, and what is refused. */
import {
  type Context,
  call,
  type DynamicSupervisorMessages,
  type GenServer,
  type Name,
  name,
  Pool,
  partitionSupervisor,
  partitions,
  type Ref,
  reply,
  type System,
  startDynamicChild,
  worker,
} from '../../src/runtime/index.ts'

type Connection = { calls: { query: (sql: string) => number } }

declare const system: System
declare const context: Context

const connection: GenServer<Connection, number, { host: string }> = {
  init: ({ host }) => host.length,
  calls: { query: (state, sql) => reply(sql.length, state) },
}

const db: Pool.Name<Connection> = name<Pool.Messages<Connection>>('db')

export const uses = async (): Promise<void> => {
  const server = { server: connection, arg: { host: 'here' } }
  const pool: Pool.Handle<Connection> = await Pool.start(system, { ...server, size: 2, name: db })
  Pool.childSpec('db', { ...server, size: 2, maxOverflow: 1, name: db })
  const taken: Ref<Connection> = await Pool.checkout(pool, { timeoutMs: 10, block: false })
  const rows: number = await call(taken, 'query', 'select')
  const back: boolean = Pool.checkin(pool, taken)
  const sum: number = await Pool.transaction(context.to(db), async (one) => {
    return (await call(one, 'query', 'a')) + (await call(one, 'query', 'b'))
  })
  const { waiting }: Pool.Status = await Pool.status(pool)
  void [rows, back, sum, waiting]
}

export const routes = async (): Promise<void> => {
  const rooms = partitions('rooms', 4)
  const of: Name<DynamicSupervisorMessages> = rooms.of(['room', 1])
  partitionSupervisor('rooms', rooms, { intensity: 10 })
  await startDynamicChild(system.to(of), worker('room', connection, { host: 'here' }))
  const shards = partitions<Connection>('shard', 4)
  partitionSupervisor('shards', shards, { server: connection, arg: (at) => ({ host: `db${at}` }) })
  const rows: number = await call(system.to(shards.of('key')), 'query', 'select')
  void rows
}

export const misuses = async (pool: Pool.Handle<Connection>): Promise<void> => {
  // @ts-expect-error: the argument of the workers is missing
  Pool.childSpec('db', { server: connection, size: 2 })
  // @ts-expect-error: another argument
  Pool.childSpec('db', { server: connection, arg: 1, size: 2 })
  // @ts-expect-error: the size is missing
  Pool.childSpec('db', { server: connection, arg: { host: 'here' } })
  // @ts-expect-error: workers understand no such call
  await Pool.transaction(pool, (one) => call(one, 'insert', 'a'))
  // @ts-expect-error: a process of other messages is no pool
  await Pool.checkout(context.self as Ref<Connection>)
  // @ts-expect-error: the partitions are of other messages
  partitionSupervisor('rooms', partitions('rooms', 4), { server: connection })
}
