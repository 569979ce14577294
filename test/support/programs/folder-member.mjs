// A member of several that share a data folder, or the shards of an engine, with a store, entities, and a worker that is one over all members; without
// members the one process of the folder. It serves its parent over messages. The built package.
import { call, entity, folderEngine, name, reply, start, supervisor, worker } from 'keelson'

const [member, dir, members, shards] = process.argv.slice(2)

const account = {
  init: () => ({ sum: 0, turns: 0 }),
  calls: {
    add: ({ sum, turns }, cents) => reply(sum + cents, { sum: sum + cents, turns: turns + 1 }),
    read: (state) => reply(state, state),
    // One call that ends every member which handles it.
    poison: () => process.kill(process.pid, 'SIGKILL'),
  },
}
const ledger = {
  init: () => 0,
  calls: { add: (sum, cents) => reply(sum + cents, sum + cents) },
}

let app
const patiently = { timeoutMs: 30_000 }
const accountOf = (id) => app.entity('account').ref(id)
const serve = {
  put: async ([key, value]) => void (await app.store.put(key, value)),
  get: ([key]) => app.store.get(key),
  loadKey: ([key]) => app.store.load(key),
  keys: async () => (await app.store.page({ limit: 10_000 })).entries.map(([key]) => key),
  pause: ([ms]) => new Promise((resolve) => setTimeout(resolve, ms)),
  add: ([id, cents, key]) => call(accountOf(id), 'add', cents, { ...patiently, id: key }),
  read: ([id, key]) => call(accountOf(id), 'read', undefined, { ...patiently, id: key }),
  poison: ([id, key]) => call(accountOf(id), 'poison', undefined, { ...patiently, id: key }),
  load: ([id]) => app.entity('account').load(id),
  ledger: ([cents, key]) =>
    call(app.system.to(name('ledger')), 'add', cents, { ...patiently, id: key }),
  shardOf: ([id]) => app.store.shardOf(`{account/${id}}`),
  shards: () =>
    app
      .health()
      .shards.filter(({ phase }) => phase === 'open')
      .map(({ shard }) => shard),
  close: async () => {
    await app.close()
    process.disconnect()
  },
}

/** The members of a folder by their names, or JSON for one of an engine. */
const clusterOf = async (text) => {
  if (!text.startsWith('{')) return { engine: folderEngine({ members: text.split(',') }) }
  const { connectionString, servers, ...cluster } = JSON.parse(text)
  if (servers) {
    const { natsEngine } = await import('keelson/nats')
    return { ...cluster, engine: natsEngine({ servers, durability: 'replicated' }) }
  }
  const { postgresEngine } = await import('keelson/postgres')
  return { ...cluster, engine: postgresEngine({ connectionString }) }
}

process.on('message', async ({ number, what, words }) => {
  try {
    process.send({ number, value: await serve[what](words) })
  } catch (error) {
    process.send?.({ number, code: error.code ?? String(error) })
  }
})
process.on('disconnect', () => process.exit())

const quiet = { error: console.error, warn: () => undefined, info: () => undefined }
try {
  app = await start({
    ...{ dir, shards: Number(shards), logger: quiet },
    app: supervisor('app', {}, [
      entity('account', account),
      worker('ledger', ledger, { durable: true }),
    ]),
    ...(members && { cluster: { name: 'c', member, ...(await clusterOf(members)) } }),
  })
  app.events.on('shard.down', ({ shard, reason }) => console.error(member, shard, reason))
  process.send({ began: true })
} catch (error) {
  process.send({ refused: error.code ?? String(error), message: error.message })
  process.disconnect()
}
