/**
 * What a small service on OTP has, in one tree: chat rooms with presence, a rate limiter, a pool of
 * connections and a job worker. Every part is its own name, and the compiler knows what each
 * understands: there is no cast.
 */
import {
  type Context,
  call,
  type DownMessage,
  dynamicSupervisor,
  type GenServer,
  type Monitor,
  noReply,
  ok,
  Pool,
  type Ref,
  Registry,
  reply,
  type System,
  startOrGet,
  supervisor,
  TaskSupervisor,
  type TaskValue,
  taskSupervisor,
  via,
  worker,
} from 'keelson'

// Rooms: one process each, found by its title. A guest that ends is seen to leave.

export type Line = { readonly from: string; readonly text: string }
export type Guest = {
  infos: { heard: (line: Line) => void; present: (names: readonly string[]) => void }
}
export type Room = {
  calls: { join: (guest: { name: string; ref: Ref<Guest> }) => readonly string[] }
  casts: { say: (line: Line) => void; leave: (name: string) => void }
}
type Member = { readonly name: string; readonly ref: Ref<Guest>; readonly monitor: Monitor }
type RoomState = { readonly title: string; readonly members: readonly Member[] }

const namesIn = ({ members }: RoomState): readonly string[] => members.map(({ name }) => name)

/** The room with these members, who are told who is present. */
const peopled = (
  room: RoomState,
  members: readonly Member[],
  context: Context<Room>,
): RoomState => {
  const next = { ...room, members }
  for (const { ref } of members) context.send(ref, 'present', namesIn(next))
  return next
}

const room: GenServer<Room, RoomState, string> = {
  init: (title) => ({ title, members: [] }),
  calls: {
    join: (state, { name, ref }, context) => {
      const member = { name, ref, monitor: context.monitor(ref) }
      const next = peopled(state, [...state.members, member], context)
      return reply(namesIn(next), next)
    },
  },
  casts: {
    say: (state, line, context) => {
      for (const { ref } of state.members) context.send(ref, 'heard', line)
      return noReply(state)
    },
    leave: (state, name, context) =>
      noReply(
        peopled(
          state,
          state.members.filter((each) => each.name !== name),
          context,
        ),
      ),
  },
  down: (state, { monitor }: DownMessage, context) =>
    noReply(
      peopled(
        state,
        state.members.filter((each) => each.monitor !== monitor),
        context,
      ),
    ),
}

const rooms = Registry.childSpec<string, null, Room>('rooms', { keys: 'unique' })
const crew = dynamicSupervisor('crew')

/** The room with this title, which its first guest opens. */
export const roomOf = (at: Pick<System, 'to'>, title: string): Promise<Ref<Room, RoomState>> =>
  startOrGet(at.to(crew), worker('room', room, { arg: title, name: via(rooms, title) }))

// A rate limiter: so many for each key, filled up every second.

export type Limiter = { calls: { take: (key: string) => boolean }; casts: { refill: () => void } }
type Left = { readonly max: number; readonly left: ReadonlyMap<string, number> }

const refilled = (max: number, context: Context<Limiter>): Left => {
  context.castAfter(1_000, 'refill')
  return { max, left: new Map() }
}

const limiterServer: GenServer<Limiter, Left, number> = {
  init: refilled,
  calls: {
    take: (state, key) => {
      const left = state.left.get(key) ?? state.max
      if (left === 0) return reply(false, state)
      return reply(true, { ...state, left: new Map(state.left).set(key, left - 1) })
    },
  },
  casts: { refill: ({ max }, _, context) => noReply(refilled(max, context)) },
}
export const limiter = worker('limiter', limiterServer, { arg: 2 })

// A pool of connections, each of which connects behind its start.

export type Connection = {
  calls: { query: (sql: string) => readonly string[] }
  continues: { connect: () => void }
}

const connection: GenServer<
  Connection,
  { readonly url: string; readonly isOpen: boolean },
  string
> = {
  init: (url) => ok({ url, isOpen: false }, { continue: ['connect'] }),
  continues: { connect: (state) => noReply({ ...state, isOpen: true }) },
  calls: { query: (state, sql) => reply([sql, `at ${state.url}`], state) },
}
const db = Pool.childSpec('db', { server: connection, arg: 'pg://rooms', size: 2 })

// A job worker: each job is a task of its own; one that the limiter refuses is tried again.

export type Job = { readonly id: number }
export type Jobs = {
  casts: { enqueue: (job: Job) => void }
  calls: { done: () => readonly number[] }
  infos: { task: (done: TaskValue<number>) => void }
}
const tasks = taskSupervisor('tasks')

const jobServer: GenServer<Jobs, readonly number[]> = {
  init: () => [],
  calls: { done: (state) => reply(state, state) },
  casts: {
    enqueue: async (state, job, context) => {
      if (await context.call(limiter, 'take', 'jobs'))
        await TaskSupervisor.asyncNolink(context, tasks, async (own) => {
          await Pool.transaction(own.to(db), (conn) => call(conn, 'query', `job ${job.id}`))
          return job.id
        })
      else context.castAfter(100, 'enqueue', job)
      return noReply(state)
    },
  },
  infos: { task: (state, { value }) => noReply([...state, value]) },
  down: (state) => noReply(state),
}
export const jobs = worker('jobs', jobServer)

/** Start order is dependency order. */
export const tree = supervisor('app', { strategy: 'rest_for_one' }, [
  rooms,
  crew,
  limiter,
  db,
  tasks,
  jobs,
])
