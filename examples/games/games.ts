/**
 * The rooms of a game server. A room is a process with a tick: it fails alone, and goes on from its
 * last checkpoint. A point is on the disk before anybody sees it.
 */
import {
  type AppContext,
  type Context,
  dynamicSupervisor,
  type GenServer,
  noReply,
  ok,
  type Ref,
  Registry,
  reply,
  type System,
  startOrGet,
  supervisor,
  via,
  worker,
} from 'keelson'

export const tickMs = 50
export const ticksOfCheckpoint = 20

// A room: players run over a line of a hundred places, and one that comes to the coin gets a point.

export type Runner = { readonly at: number; readonly speed: number; readonly points: number }
export type State = {
  readonly title: string
  readonly ticks: number
  readonly coin: { readonly number: number; readonly at: number }
  readonly runners: { readonly [name: string]: Runner }
}
export type Room = {
  calls: { join: (name: string) => State; look: () => State; leave: (name: string) => void }
  casts: { steer: (how: { readonly name: string; readonly speed: number }) => void }
  infos: { tick: () => void }
}

const checkpointKey = (title: string): string => `room:${title}`

/** Where the coins are is decided by their numbers: after a crash each is where it was. */
const coinOf = (number: number) => ({ number, at: (number * 37) % 100 })

/** The room a tick later. The first player at the coin gets a point, and the next coin appears. */
export const played = (state: State): State => {
  const moved = Object.entries(state.runners).map(([name, { at, speed, points }]) => {
    const next = Math.max(0, Math.min(99, at + speed))
    return [name, { at: next, speed, points }] as const
  })
  const ticks = state.ticks + 1
  const runners = Object.fromEntries(moved)
  const [name, winner] = moved.find(([, { at }]) => at === state.coin.at) ?? []
  if (name === undefined || !winner) return { ...state, ticks, runners }
  const rich = { ...winner, points: winner.points + 1 }
  return {
    ...state,
    ticks,
    coin: coinOf(state.coin.number + 1),
    runners: { ...runners, [name]: rich },
  }
}

/** Writes a checkpoint, from which the room goes on after a crash. */
const kept = async (state: State, { app }: Context<Room, AppContext>): Promise<State> => {
  await app.store.put(checkpointKey(state.title), state)
  return state
}

const roomServer: GenServer<Room, State, string> = {
  init: (title, context) => {
    context.sendAfter(tickMs, 'tick')
    const kept = context.app.store.get(checkpointKey(title)) as State | undefined
    return ok(kept ?? { title, ticks: 0, coin: coinOf(1), runners: {} })
  },
  calls: {
    look: (state) => reply(state, state),
    join: async (state, name, context) => {
      const runners = { [name]: { at: 0, speed: 0, points: 0 }, ...state.runners }
      const next = await kept({ ...state, runners }, context)
      return reply(next, next)
    },
    leave: async (state, name, context) => {
      const { [name]: _, ...runners } = state.runners
      return reply(undefined, await kept({ ...state, runners }, context))
    },
  },
  casts: {
    steer: (state, { name, speed }) => {
      const runner = state.runners[name]
      if (!runner) return noReply(state)
      return noReply({ ...state, runners: { ...state.runners, [name]: { ...runner, speed } } })
    },
  },
  infos: {
    tick: async (state, _, context) => {
      context.sendAfter(tickMs, 'tick')
      const next = played(state)
      // Nobody sees a point before this has been written: calls wait until the tick has ended.
      const isWon = next.coin !== state.coin
      if (isWon || next.ticks % ticksOfCheckpoint === 0) await kept(next, context)
      return noReply(next)
    },
  },
}

// The tree: rooms by their titles. At a start the opener opens every room that has a checkpoint.

const titles = Registry.childSpec<string, null, Room>('titles', { keys: 'unique' })
const crew = dynamicSupervisor('crew', { intensity: 100, periodMs: 5_000 })

/** The room of this title: the one that runs, or one that begins now. */
export const roomOf = (at: Pick<System, 'to'>, title: string): Promise<Ref<Room, State>> =>
  startOrGet(at.to(crew), worker('room', roomServer, { arg: title, name: via(titles, title) }))

const opener: GenServer<object, null> = {
  init: async (_, context) => {
    for await (const [key] of context.app.store.entries({ prefix: 'room:' }))
      await roomOf(context, key.slice('room:'.length))
    return null
  },
}

export const tree = supervisor('app', { strategy: 'rest_for_one' }, [
  titles,
  crew,
  worker('opener', opener),
])
