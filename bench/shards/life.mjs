/**
 * One life of a store: `life.mjs ROOT DIR SHARDS SECONDS`, where ROOT is a built checkout. It starts, takes puts with 64 and with
 * 1,024 in flight, reads them back, and closes. Answers time, CPU and memory of each part.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [root, dir, shards, seconds] = process.argv.slice(2)
const { start } = await import(pathToFileURL(join(root, 'dist/index.js')).href)

/** Time and CPU of `work`, both in ms. */
const measured = async (work) => {
  const cpu = process.cpuUsage()
  const began = performance.now()
  const value = await work()
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  return { value, ms, cpu: (user + system) / 1_000 }
}

const value = 'v'.repeat(100)

const putting = async (store, inFlight) => {
  const counts = new Array(inFlight).fill(0)
  const until = performance.now() + Number(seconds) * 1_000
  const { ms, cpu } = await measured(() =>
    Promise.all(
      counts.map(async (_, writer) => {
        while (performance.now() < until)
          await store.put(`${inFlight}-${writer}-${counts[writer]++ % 50}`, value)
      }),
    ),
  )
  for (const [writer, count] of counts.entries())
    for (let key = 0; key < Math.min(count, 50); key++)
      if (store.get(`${inFlight}-${writer}-${key}`) !== value) throw new Error('a put is missing')
  const puts = counts.reduce((sum, count) => sum + count, 0)
  return { rate: (puts * 1_000) / ms, cpu: (cpu * 1_000) / puts }
}

const started = await measured(() => start({ dir, shards: Number(shards) }))
const app = started.value
const memory = process.memoryUsage().rss
const few = await putting(app.store, 64)
const many = await putting(app.store, 1_024)
const closed = await measured(() => app.close())
process.send({
  start: { ms: started.ms, cpu: started.cpu },
  memory,
  few,
  many,
  close: { ms: closed.ms, cpu: closed.cpu },
})
