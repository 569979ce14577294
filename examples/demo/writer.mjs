// Writes cities until it is killed, and reports each acknowledged one on pipe 3: the parent holds the ledger.
import { writeSync } from 'node:fs'
import { start } from 'keelson'
import { keyOf, loadCities } from './cities.mjs'

const cities = loadCities()
const app = await start({ dir: process.argv[2] })
let next = 0
const writer = async () => {
  for (let at = next++; at < cities.length; at = next++) {
    await app.store.put(keyOf(cities[at]), cities[at])
    acknowledged.push(at)
  }
}

// One write to the pipe for all that was acknowledged in one turn: after the acks, never before.
const acknowledged = []
const report = () => {
  if (acknowledged.length > 0) writeSync(3, `${acknowledged.splice(0).join('\n')}\n`)
  reporting = setImmediate(report)
}
let reporting = setImmediate(report)

await Promise.all(Array.from({ length: 512 }, writer))
clearImmediate(reporting)
if (acknowledged.length > 0) writeSync(3, `${acknowledged.join('\n')}\n`)
await app.close()
