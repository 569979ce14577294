/**
 * A user's tree whose actors use the store: machines that save themselves into it, servers that
 * write at each call, entities, and a worker that reads in its `init`. Its supervisors allow no
 * restart.
 */
import { assign, setup } from 'xstate'
import type { DurableServer, GenServer, Name, Ref } from '../../../src/index.ts'
import type { StateMachine as Machines } from '../../../src/runtime/state-machine/state-machine.ts'
import type { App } from '../../../src/supervisors/index.ts'

/** The package: its sources, or as it is built. */
export type Kit = typeof import('../../../src/index.ts') & {
  readonly StateMachine: typeof Machines
}

/** How many of each there are. */
export const machines = 100
export const servers = 20
export const entities = 100

const counter = setup({
  types: {} as {
    context: { id: string; count: number }
    input: { id: string }
    events: { type: 'add' }
  },
}).createMachine({
  id: 'counter',
  context: ({ input }) => ({ id: input.id, count: 0 }),
  on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
})

/** Notes each number under a key of its own. */
type Noting = { calls: { note: (at: number) => number } }

/** Counts its calls. */
type Counting = { calls: { add: () => number } }

/** The actors, and what they acknowledged. */
export const storingActors = (kit: Kit) => {
  const { call, dynamicSupervisor, name, ok, reply, StateMachine } = kit

  const machine = StateMachine.server(counter, {
    answers: { add: ({ context }) => context.count },
    restore: ({ id }, { app }) => app.store.get(`machine:${id}`) as never,
    save: async (saved, { app }) => {
      await app.store.put(`machine:${saved.context.id}`, JSON.parse(JSON.stringify(saved)))
    },
  })
  const noting: GenServer<Noting, string, string> = {
    init: (id) => ok(id),
    calls: {
      note: async (id, at, { app }) => {
        await app.store.put(`server:${id}:${at}`, at)
        return reply(at, id)
      },
    },
  }
  const reader: GenServer<
    { calls: { read: () => unknown }; casts: { crash: () => void } },
    unknown
  > = {
    init: (_, { app }) => ok(app.store.get('greeting')),
    calls: { read: (greeting) => reply(greeting, greeting) },
    casts: {
      crash: () => {
        throw new Error('its own fault')
      },
    },
  }

  const counted = new Map<string, number>()
  const noted: [id: string, at: number][] = []
  /** The last count that each entity acknowledged, and how often it woke. */
  const added = new Map<string, number>()
  const woken = new Map<string, number>()

  const counting: DurableServer<Counting, number> = {
    init: () => ok(0),
    wake: (_, { id }) => void woken.set(id, (woken.get(id) ?? 0) + 1),
    calls: { add: (count) => reply(count + 1, count + 1) },
  }
  const counters = kit.entity('counter', counting, { idleMs: 24 * 3_600_000 })

  const strict = { intensity: 0 }
  const ids = (count: number) => Array.from({ length: count }, (_, at) => String(at))
  const tree = (intensity = 0) =>
    kit.supervisor('app', { intensity }, [
      kit.worker('reader', reader),
      counters,
      ...ids(servers).map((id) => kit.worker(`server-${id}`, noting, { arg: id })),
      dynamicSupervisor('machines', { ...strict, name: name('machines') as Name<never> }),
    ])

  const machineAt = (id: string) => name(`machine-${id}`) as Name<never>

  /** Starts every machine. */
  const begin = async (app: App): Promise<void> => {
    const parent = app.system.to(name('machines')) as Ref<never>
    for (const id of ids(machines)) {
      const spec = kit.worker(`machine-${id}`, machine as never, {
        arg: { id } as never,
        name: machineAt(id),
      })
      const started = await kit.startDynamicChild(parent, spec)
      if (!started.ok) throw new Error(`machine ${id} did not start`)
    }
  }

  /** One call of a machine, of a server and of an entity; notes what they acknowledge. */
  const use = async (app: App, at: number): Promise<void> => {
    const id = String(at % machines)
    const server = String(at % servers)
    const entity = String(at % entities)
    const [count, , sum] = await Promise.all([
      StateMachine.call(app.system.to(machineAt(id)), { type: 'add' } as never),
      call(app.system.to(name<Noting>(`server-${server}`)), 'note', at),
      call(app.entity(counters).ref(entity), 'add'),
    ])
    added.set(entity, Math.max(sum, added.get(entity) ?? 0))
    counted.set(id, count as number)
    noted.push([server, at])
  }

  /** What is not as it was acknowledged: lost, or too much. */
  const wrong = (app: App): unknown[] => [
    ...[...counted].filter(([id, count]) => {
      const saved = app.store.get(`machine:${id}`) as { context: { count: number } }
      return saved.context.count !== count
    }),
    ...noted.filter(([id, at]) => app.store.get(`server:${id}:${at}`) !== at),
    ...[...added].filter(([id, count]) => app.entity(counters).state(id) !== count),
  ]

  /** The processes of the tree that do not live. */
  const missing = (app: App): string[] =>
    ['app', 'reader', 'machines', ...ids(servers).map((id) => `server-${id}`)]
      .concat(ids(machines).map((id) => `machine-${id}`))
      .filter((each) => app.system.whereis(name(each)) === undefined)

  return { tree, begin, use, wrong, missing, counted, noted, added, woken }
}
