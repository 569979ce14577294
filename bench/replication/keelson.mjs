/**
 * The player of Keelson: a folder whose log has entries. `replicate` opens it with a replica that is new, and answers in how many
 * seconds that has them all, from the first connection on.
 */
import { start } from 'keelson'
import { postgres } from 'keelson/postgres'
import { play } from '../entities/turn.mjs'
import { entryOf } from '../journal/entry.mjs'

const [, , dir, host] = process.argv
// Every replica gets the log from its begin.
const options = { dir, retention: { log: '1d' } }

play({
  fill: async ({ count }) => {
    const app = await start(options)
    let next = 0
    const writer = async () => {
      while (next < count) await app.journal.append(entryOf(next++))
    }
    await Promise.all(Array.from({ length: 256 }, writer))
    await app.close()
  },
  replicate: async () => {
    const server = postgres({ client: { host, database: 'postgres', user: 'bench' } })
    let began
    const open = () => {
      began ??= performance.now()
      return server.open()
    }
    const app = await start({ ...options, replication: [{ client: { ...server, open } }] })
    await app.store.put('end', true, { ack: 'replicated', deadlineMs: 600_000 })
    const seconds = (performance.now() - began) / 1_000
    await app.close()
    return seconds
  },
  close: () => undefined,
})
