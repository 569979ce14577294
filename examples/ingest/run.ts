/** Two hundred devices, of which one gets hot now and then and one falls silent. Kill it in between. */
import { start } from 'keelson'
import { type Notice, plantOf, serverOf } from './ingest.ts'

/** A real one asks a pager, under this key. */
const notify = async ({ device, status, celsius }: Notice, key: string): Promise<void> =>
  console.log(`${device} is ${status}`, celsius ?? '', `(${key})`)

const { devices, tree } = plantOf(notify, 5_000)
const app = await start({ dir: 'keelson-data/ingest', attach: true, app: tree })
const port = Number(process.env.PORT ?? 8083)
const server = serverOf(app, devices).listen(port, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${port}/devices`)
  console.log(`end it with: kill -9 ${process.pid}`)
})
await new Promise((resolve) => server.once('listening', resolve))

// Each device sends a reading a second. The first one is hot for every other ten seconds; the
// second one falls silent after ten.
const begin = Date.now()
setInterval(async () => {
  const seconds = Math.floor((Date.now() - begin) / 1_000)
  for (let at = 0; at < 200; at++) {
    if (at === 1 && seconds >= 10) continue
    const celsius = at === 0 && seconds % 20 >= 10 ? 90 : 60 + Math.random() * 10
    const body = JSON.stringify({ id: crypto.randomUUID(), celsius })
    await fetch(`http://127.0.0.1:${port}/devices/device-${at}`, { method: 'POST', body })
  }
}, 1_000)
