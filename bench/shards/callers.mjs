/**
 * Callers over shards, in turns in one process: `callers.mjs CALLERS SHARDS,SHARDS TURNS SECONDS ROOT...`, where a ROOT is a built
 * checkout. Each turn has the stores of each build and the bare floors, in an order that changes. Prints medians as JSON: puts/s,
 * the CPU of a put in µs, all threads, and the ratios of both to the first contender, within the turns.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { median } from '../wal/turns.mjs'
import { floorOf } from './floor.mjs'

const [callersText, shardsText, turnsText, secondsText, ...roots] = process.argv.slice(2)
const [callers, turns, seconds] = [callersText, turnsText, secondsText].map(Number)
const shardCounts = shardsText.split(',').map(Number)
const value = 'v'.repeat(100)
const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-callers-'))

const storeOf = async (root, shards) => {
  const { start } = await import(pathToFileURL(join(root, 'dist/index.js')).href)
  const app = await start({ dir: mkdtempSync(join(dir, 'store-')), shards })
  const counts = new Array(callers).fill(0)
  return {
    async turn(until) {
      const before = counts.reduce((sum, count) => sum + count, 0)
      await Promise.all(
        counts.map(async (_, caller) => {
          while (Date.now() < until)
            await app.store.put(`c${caller}-${counts[caller]++ % 50}`, value)
        }),
      )
      return counts.reduce((sum, count) => sum + count, 0) - before
    },
    close: () => app.close(),
  }
}

const contenders = []
for (const shards of shardCounts) {
  for (const root of roots)
    contenders.push({ shards, name: root, ...(await storeOf(root, shards)) })
  contenders.push({ shards, name: 'floor', ...floorOf(dir, shards) })
}

const figures = contenders.map(() => [])
for (let at = -1; at < turns; at++)
  for (let step = 0; step < contenders.length; step++) {
    const index = (step + at + 1) % contenders.length
    const began = Date.now()
    const cpu = process.cpuUsage()
    const count = await contenders[index].turn(began + seconds * 1_000)
    const { user, system } = process.cpuUsage(cpu)
    // The first turn only warms up.
    if (at >= 0)
      figures[index].push({
        rate: (count * 1_000) / (Date.now() - began),
        cpu: (user + system) / count,
      })
  }

console.log(
  JSON.stringify(
    contenders.map(({ shards, name }, index) => ({
      shards,
      name,
      callers,
      rate: median(figures[index].map(({ rate }) => rate)),
      cpu: median(figures[index].map(({ cpu }) => cpu)),
      ofFirst: median(figures[index].map(({ rate }, at) => rate / figures[0][at].rate)),
      cpuOfFirst: median(figures[index].map(({ cpu }, at) => cpu / figures[0][at].cpu)),
    })),
  ),
)
for (const { close } of contenders) await close()
rmSync(dir, { recursive: true })
