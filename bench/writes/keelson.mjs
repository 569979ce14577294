/** Keelson's store. `settle` waits until the projection shows all that was written. */
import { start } from 'keelson'

/** Opens a store in `dir`, with the defaults. `windowed` writes wait up to 1 ms for others. */
export const open = async (dir) => {
  const app = await start({ dir })
  const { store } = app
  const through = (options) => ({
    put: (key, value) => store.put(key, value, options),
    putMany: (entries) => store.putMany(entries, options),
    remove: (key) => store.delete(key, options),
    putNew: (key, value) => store.set(key, value, { ...options, nx: true }),
    get: (key) => store.load(key),
    count: async (prefix) => {
      let count = 0
      for await (const _ of store.entries({ prefix: `${prefix}:`, values: false })) count++
      return count
    },
  })
  return {
    ...through(undefined),
    windowed: through({ windowMs: 1 }),
    settle: async () => {
      const { outcomes } = await app.control.flushAll()
      if (outcomes.some(({ ok }) => !ok)) throw new Error('the projection did not catch up')
    },
    close: () => app.close(),
  }
}
