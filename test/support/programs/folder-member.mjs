// A member of several that share a data folder, with a store alone; without members the one process of the folder. It serves its parent over messages: `put`, `get`, and
// which shards it has open. The built package.
import { start } from 'keelson'
import { folderEngine } from '../../../dist/storage/index.js'

const [member, dir, members, shards] = process.argv.slice(2)

let app
const serve = {
  put: async ([key, value]) => void (await app.store.put(key, value)),
  get: ([key]) => app.store.get(key),
  load: ([key]) => app.store.load(key),
  keys: async () => (await app.store.page({ limit: 10_000 })).entries.map(([key]) => key),
  shards: () =>
    app
      .health()
      .shards.filter(({ phase }) => phase === 'open')
      .map(({ shard }) => shard),
  pause: ([ms]) => new Promise((resolve) => setTimeout(resolve, ms)),
  close: async () => {
    await app.close()
    process.disconnect()
  },
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
    ...{ dir, shards: Number(shards), logger: quiet, app: false },
    ...(members && {
      cluster: { name: 'c', member, engine: folderEngine({ members: members.split(',') }) },
    }),
  })
  app.events.on('shard.down', ({ shard, reason }) => console.error(member, shard, reason))
  process.send({ began: true })
} catch (error) {
  process.send({ refused: error.code ?? String(error), message: error.message })
  process.disconnect()
}
