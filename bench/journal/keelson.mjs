/**
 * The player of Keelson: one instance, whose journal takes entries by number: `plain`, with `commitments`, with a replicator to
 * PostgreSQL (`replicated`), or with both. `verify` reads all entries back.
 */
import { start } from 'keelson'
import { postgres } from 'keelson/postgres'
import { byWriters, play } from '../entities/turn.mjs'
import { entryOf } from './entry.mjs'

const [, , dir, way, host] = process.argv
const client = () => postgres({ client: { host, database: 'postgres', user: 'bench' } })
const app = await start({
  dir,
  wal: { commitments: way !== 'plain' && way !== 'replicated' },
  replication: way === 'plain' || way === 'commitments' ? [] : [{ client: client() }],
})
let next = 0

play({
  turn: ({ inFlight, seconds }) =>
    byWriters(inFlight, seconds, () => app.journal.append(entryOf(next++))),
  verify: async () => {
    const found = new Set()
    for await (const { id } of app.journal.entries()) found.add(id)
    for (let number = 0; number < next; number++)
      if (!found.has(`${number}`)) throw new Error(`entry ${number} was acknowledged and is lost`)
  },
  close: () => app.close(),
})
