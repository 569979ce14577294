// The demo: the world's cities go into a store, whose process is killed in the middle; it comes back, and every city that
// was acknowledged is there. Then the rest is written, an actor is killed live, and the store is looked into.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import { start, surveyTree, treeView } from 'keelson'
import { keyOf, loadCities } from './cities.mjs'
import { worldMap } from './world-map.mjs'

const say = (text = '') => console.log(text)
const whole = (number) => Math.round(number).toLocaleString('en-US')
const seconds = (since) => ((performance.now() - since) / 1000).toFixed(2)

/** Runs the writer and kills it when `killAt` cities are acknowledged; resolves with all that it acknowledged. */
const writeAndKill = (dir, killAt) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'writer.mjs'), dir], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    })
    const acknowledged = new Set()
    const lines = createInterface({ input: child.stdio[3] })
    lines.on('line', (line) => {
      acknowledged.add(Number(line))
      if (acknowledged.size === killAt) child.kill('SIGKILL')
    })
    lines.on('close', () => resolve(acknowledged))
    child.on('error', reject)
  })

/** Compares each acknowledged city with what the store has; answers those that differ or are missing. */
const missing = (store, cities, acknowledged) =>
  [...acknowledged].filter((at) => !isDeepStrictEqual(store.get(keyOf(cities[at])), cities[at]))

/** Writes the cities that are not acknowledged yet; `midway` is called once, in the middle. Answers how many wrote anew. */
const writeRest = async (store, cities, acknowledged, midway) => {
  const rest = cities.filter((_, at) => !acknowledged.has(at))
  let next = 0
  let repeated = 0
  const writer = async () => {
    for (let at = next++; at < rest.length; at = next++) {
      if (at === rest.length >> 1) midway()
      for (let done = false; !done; ) {
        try {
          await store.put(keyOf(rest[at]), rest[at])
          done = true
        } catch (error) {
          // The actor that was killed took these along. A city is put under its own key: to repeat it is harmless.
          if (!['NOT_SUBMITTED', 'UNKNOWN_OUTCOME'].includes(error.code)) throw error
          repeated++
        }
      }
    }
  }
  const since = performance.now()
  await Promise.all(Array.from({ length: 512 }, writer))
  return {
    count: rest.length,
    repeated,
    perSecond: rest.length / ((performance.now() - since) / 1000),
  }
}

const dir = mkdtempSync(join(tmpdir(), 'keelson-demo-'))
const began = performance.now()
try {
  const cities = loadCities()
  say(`1  ${whole(cities.length)} cities go into a store in a process of its own …`)
  const killAt = Math.floor(cities.length * (0.35 + 0.3 * Math.random()))
  let since = performance.now()
  const acknowledged = await writeAndKill(dir, killAt)
  say(
    `   killed with SIGKILL after ${whole(acknowledged.size)} acknowledgements (${seconds(since)} s, the process's start included)`,
  )

  since = performance.now()
  const app = await start({ dir })
  say(`2  it is back after ${seconds(since)} s: log recovered, projection checked, reads right`)
  since = performance.now()
  const lost = missing(app.store, cities, acknowledged)
  say(
    `   ${whole(acknowledged.size)} acknowledged cities compared record by record in ${seconds(since)} s: ${lost.length} lost`,
  )

  const writer = app.system.whereis('wal_writer(0)')
  const written = await writeRest(app.store, cities, acknowledged, () =>
    app.system.kill('wal_writer(0)'),
  )
  say(
    `3  the other ${whole(written.count)} written: ${whole(written.perSecond)} acknowledged records/s`,
  )
  say(
    `   in the middle of it wal_writer(0) ${writer} was killed; it is ${app.system.whereis('wal_writer(0)')} now, ${written.repeated} writes were told so and repeated`,
  )

  const [{ appliedLsn, projectedLsn }] = app.health().shards
  const lag = appliedLsn - projectedLsn
  since = performance.now()
  await app.control.flushAll()
  say(`   the projection was ${whole(lag)} frames behind, and took them in ${seconds(since)} s`)

  const all = new Set(cities.keys())
  const wrong = missing(app.store, cities, all)
  say(`   all ${whole(cities.length)} cities compared once more: ${wrong.length} missing or wrong`)

  say()
  say(treeView(await surveyTree(app)))
  const places = []
  for await (const [, city] of app.store.entries({ limit: 1_000 }))
    places.push(city.loc.coordinates)
  say()
  for (const line of worldMap(places)) say(line)
  say(`${whole(places.length)} cities, read back from the store in the order of their keys`)

  await app.close()
  const good = lost.length === 0 && wrong.length === 0 && places.length === cities.length
  say()
  say(good ? `nothing was lost (${seconds(began)} s)` : 'SOMETHING WAS LOST')
  process.exitCode = good ? 0 : 1
} finally {
  rmSync(dir, { recursive: true, force: true })
}
