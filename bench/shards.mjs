/**
 * What shards cost one process: a start, memory, puts and a close with 1 to 64 of them. `KEELSON_OTHER=DIR` names another built
 * checkout, whose lives alternate with those of this one.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'

export const about = 'start, memory, puts and close of one process with 1 to 64 shards'

const program = fileURLToPath(new URL('./shards/life.mjs', import.meta.url))

const lifeOf = async (root, shards, seconds) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-bench-shards-'))
  try {
    const child = fork(program, [root, dir, `${shards}`, `${seconds}`])
    return await new Promise((done, failed) => {
      child.once('message', done)
      child.once('exit', (status) => failed(new Error(`the life ended with status ${status}`)))
    })
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** The median of each figure over lives. */
const medianOf = (lives) => {
  const over = (pick) => median(lives.map(pick))
  return {
    startMs: over(({ start }) => start.ms),
    startCpuMs: over(({ start }) => start.cpu),
    memoryBytes: over(({ memory }) => memory),
    puts64: over(({ few }) => few.rate),
    puts1024: over(({ many }) => many.rate),
    put1024CpuUs: over(({ many }) => many.cpu),
    closeMs: over(({ close }) => close.ms),
    closeCpuMs: over(({ close }) => close.cpu),
  }
}

const title = (shards) => (shards === 1 ? '1 shard' : `${shards} shards`)

const rowOf = (name, figures) => [
  name,
  figures.startMs.toFixed(0),
  figures.startCpuMs.toFixed(0),
  (figures.memoryBytes / 1e6).toFixed(0),
  amount(figures.puts64),
  amount(figures.puts1024),
  figures.put1024CpuUs.toFixed(0),
  figures.closeMs.toFixed(0),
  figures.closeCpuMs.toFixed(0),
]

/** Prints the table and answers the figures. */
export const run = async ({ only, quick, repeats = quick ? 1 : 5 }) => {
  const own = dirname(dirname(fileURLToPath(import.meta.url)))
  const other = process.env.KEELSON_OTHER
  const roots = { this: own, ...(other && { other: resolve(other) }) }
  const heads = ['start ms', 'CPU ms', 'MB', 'puts/s, 64', 'puts/s, 1,024', 'CPU µs a put']
  const rows = [['', ...heads, 'close ms', 'CPU ms']]
  const results = []
  for (const shards of [1, 4, 16, 64]) {
    if (!isWanted(only, title(shards))) continue
    const lives = Object.fromEntries(Object.keys(roots).map((name) => [name, []]))
    for (let at = 0; at < repeats; at++)
      for (const [name, root] of Object.entries(roots))
        lives[name].push(await lifeOf(root, shards, quick ? 0.5 : 3))
    for (const name of Object.keys(roots)) {
      const figures = medianOf(lives[name])
      results.push({ case: title(shards), build: name, ...figures })
      rows.push(rowOf(other ? `${title(shards)}, ${name}` : title(shards), figures))
      console.error(rows.at(-1).join('  '))
    }
  }
  console.log(table(rows))
  return results
}
