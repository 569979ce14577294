/** The player of DBOS: a workflow that does nothing, on the bench's own PostgreSQL. */
import { createRequire } from 'node:module'
import { byWriters, play } from './turn.mjs'

const { DBOS } = createRequire(new URL('../peers/', import.meta.url))('@dbos-inc/dbos-sdk')
const [, , socket] = process.argv
DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: `postgresql://bench@localhost/bench?host=${encodeURIComponent(socket)}`,
  systemDatabasePoolSize: 20,
  logLevel: 'error',
  runAdminServer: false,
})
const nothing = DBOS.registerWorkflow(async (number) => number, { name: 'nothing' })
await DBOS.launch()

play({
  turn: ({ inFlight, seconds }) => byWriters(inFlight, seconds, () => nothing(1)),
  close: () => DBOS.shutdown(),
})
