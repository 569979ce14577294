/** Compiled, never run: the type of `context.app`. */
import { createMachine } from 'xstate'
import {
  type AppContext,
  type BareContext,
  type Context,
  createSystem,
  type GenServer,
  reply,
  type Store,
  Task,
  worker,
} from '../../src/index.ts'
import { StateMachine } from '../../src/runtime/state-machine/state-machine.ts'

type Messages = { calls: { get: () => unknown } }

/** A server of an instance names no type for it. */
export const counted: GenServer<Messages, number> = {
  init: (_, context) => Number(context.app.store.get('count') ?? 0),
  calls: {
    get: async (count, _, { app }) => {
      const same: AppContext = app
      await same.store.put('count', count)
      return reply(same.control.flushAll(), count)
    },
  },
  terminate: (_, __, { app }) => {
    // @ts-expect-error the instance gives no such thing
    void app.shop
  },
}

/** A server for another value names its type. */
export const other: GenServer<Messages, number, undefined, { readonly shop: string }> = {
  init: (_, context) => context.app.shop.length,
  calls: {
    // @ts-expect-error its value has no store
    get: (count, _, { app }) => reply(app.store, count),
  },
}

/** A helper may ask for the context of any process. */
export const stored = (context: Context): Store => context.app.store

export const workers = [worker('counted', counted), worker('other', other)]

const system = createSystem()
export const started = system.start(other, undefined, { app: { shop: 'a' } })
export const ran = Task.run(system, (context: BareContext) => context.app.store.get('a'))

const lamp = createMachine({
  id: 'lamp',
  entry: ({ self }) => void StateMachine.contextOf(self).app.store,
})
export const keeping = StateMachine.server(lamp, {
  save: async (saved, { app }) => {
    const { store }: { store: Store } = app
    await store.put('lamp', saved.value)
  },
  // The type of what is read is the caller's word, here that of the place it is returned to.
  restore: (_, { app }) => app.store.get('lamp'),
  terminate: (_, __, { app }) => {
    const { store }: { store: Store } = app
    void store
  },
})
