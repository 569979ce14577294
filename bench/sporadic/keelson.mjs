/** Keelson's ways to write: puts, turns of durable actors and entries of the journal, each as a store of bytes by key. */
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { eventPayload, readEventPayload } from 'keelson/journal'

const running = (app, store) => ({
  ...store,
  settle: async () => {
    const { outcomes } = await app.control.flushAll()
    if (outcomes.some(({ ok }) => !ok)) throw new Error('the projection did not catch up')
  },
  close: () => app.close(),
})

export const open = async (dir, shards) => {
  const app = await start({ dir, shards: Number(shards || 1) })
  const { store } = app
  return running(app, {
    put: (key, value) => store.put(key, value),
    get: (key) => store.load(key),
  })
}

/** An actor for each key, which is awake: its wake-up is measured elsewhere. */
export const openTurns = async (dir) => {
  const rows = entity(
    'row',
    {
      init: () => ok({ value: undefined }),
      calls: { put: (_state, value) => reply(undefined, { value }) },
    },
    { idleMs: 24 * 3_600_000 },
  )
  const app = await start({ dir, app: supervisor('app', {}, [rows]) })
  const handle = app.entity(rows)
  return running(app, {
    put: (key, value) => call(handle.ref(key), 'put', value),
    get: (key) => handle.state(key).value,
  })
}

export const openEntries = async (dir) => {
  const app = await start({ dir })
  const places = new Map()
  let next = 0
  return running(app, {
    put: async (key, value) => {
      const entry = { id: `${next++}`, type: 'put', command: eventPayload(value, 1) }
      const { lsn } = await app.journal.append(entry)
      places.set(key, lsn)
    },
    get: async (key) => {
      for await (const { command } of app.journal.entries({ from: places.get(key) }))
        return readEventPayload(command).value
    },
  })
}
