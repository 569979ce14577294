/**
 * The log: how frames get to the disk, appends by several writers, and recovery; each against the least that could do the
 * same work, in alternating turns on the same disk.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { log, loop } from './log/appends.mjs'
import { paths } from './log/paths.mjs'
import { bytesOf, fillAndKill, openLog, readFiles } from './log/recovery.mjs'

export const about = 'the log: ways to the disk, appends by 1 to 512 writers, recovery'

const frameBytes = 256
const sizes = [1, 8, 64, 512]

const quantile = (sorted, share) => sorted[Math.floor(share * (sorted.length - 1))]

const milliseconds = (value) => `${value.toFixed(value < 9.995 ? 2 : 1)} ms`

/** `turns` of each contender in turn; answers for each its figures over all turns. */
const race = async (contenders, { turns, seconds }, turn) => {
  const figures = new Map(contenders.map((each) => [each, { times: [], seconds: 0 }]))
  const order = [...figures]
  for (let at = 0; at < turns + 1; at++) {
    // What one leaves to the disk the next one pays: nobody is always next to the same.
    order.push(...order.splice(0, 1))
    for (const [contender, figure] of order) {
      const began = performance.now()
      const times = await turn(contender, began + seconds * 1_000)
      // The first turn only warms up.
      if (at === 0) continue
      for (const time of times) figure.times.push(time)
      figure.seconds += (performance.now() - began) / 1_000
    }
  }
  return [...figures].map(([{ name }, { times, seconds: spent }]) => {
    times.sort((left, right) => left - right)
    return {
      name,
      rate: times.length / spent,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
    }
  })
}

const rowsOf = (outcome, base) =>
  outcome.map(({ name, rate, p50, p99 }) => [
    name,
    amount(rate),
    milliseconds(p50),
    milliseconds(p99),
    `${(rate / base).toFixed(2)}×`,
  ])

const opened = async (contenders, folder, kind, work) => {
  const open = []
  try {
    for (const [at, contender] of contenders.entries())
      open.push({ ...contender, ...(await contender.open(join(folder, `${kind}-${at}`))) })
    return await work(open)
  } finally {
    for (const { close } of open) await close()
  }
}

const racePaths = (folder, pace) =>
  opened(paths, folder, 'path', async (open) => {
    const results = []
    for (const size of sizes) {
      const frames = Array.from({ length: size }, (_, at) => new Uint8Array(frameBytes).fill(at))
      const outcome = await race(open, pace, async ({ commit }, until) => {
        const times = []
        while (performance.now() < until) {
          const began = performance.now()
          await commit(frames)
          const took = performance.now() - began
          for (let at = 0; at < size; at++) times.push(took)
        }
        return times
      })
      results.push({ case: 'paths', size, outcome })
      console.log(`Groups of ${size} frames of ${frameBytes} bytes`)
      const head = ['', 'frames/s', 'p50', 'p99', 'of bare']
      console.log(`${table([head, ...rowsOf(outcome, outcome[0].rate)])}\n`)
    }
    return results
  })

const raceAppends = (folder, pace) =>
  opened([loop, log], folder, 'append', async (open) => {
    const frame = Buffer.alloc(frameBytes, 7)
    const results = []
    for (const writers of sizes) {
      const outcome = await race(open, pace, ({ turn }, until) => turn({ writers, frame, until }))
      results.push({ case: 'appends', writers, outcome })
      console.log(`${writers} writers, ${frameBytes} bytes each, every append waited for`)
      const head = ['', 'appends/s', 'p50', 'p99', 'of bare']
      console.log(`${table([head, ...rowsOf(outcome, outcome[0].rate)])}\n`)
    }
    return results
  })

const recover = async (folder, { megabytes, turns }) => {
  const dir = join(folder, 'recovery')
  const figures = []
  await fillAndKill(dir, megabytes * 2 ** 20, frameBytes)
  for (let turn = 0; turn < turns; turn++) {
    const size = bytesOf(dir) / 1e6
    const reading = size / readFiles(dir)
    const { opened: opening, read, entries } = await openLog(dir)
    figures.push({ reading, opening: size / opening, entries: size / read })
    if (entries < (megabytes * 2 ** 20) / frameBytes)
      throw new Error(`${entries} entries came back`)
  }
  const middle = (pick) => figures.map(pick).sort((a, b) => a - b)[figures.length >> 1]
  // Only the first opening found the log as a kill left it.
  const rows = [
    ['reading the files', middle(({ reading }) => reading)],
    ['opening after kill -9', figures[0].opening],
    ['reading all entries', middle(({ entries }) => entries)],
  ].map(([name, rate]) => [name, `${rate.toFixed(0)} MB/s`])
  console.log(`Recovery of ${megabytes} MiB in frames of ${frameBytes} bytes`)
  console.log(`${table([['', ''], ...rows])}\n`)
  return [{ case: 'recovery', figures }]
}

/** Runs the cases that are wanted, prints their tables and answers the figures. */
export const run = async ({ only, quick, repeats }) => {
  const pace = { turns: repeats ?? (quick ? 3 : 5), seconds: quick ? 0.3 : 1 }
  const folder = mkdtempSync(join(tmpdir(), 'keelson-bench-log-'))
  try {
    const results = []
    if (isWanted(only, 'paths')) results.push(...(await racePaths(folder, pace)))
    if (isWanted(only, 'appends')) results.push(...(await raceAppends(folder, pace)))
    if (isWanted(only, 'recovery'))
      results.push(...(await recover(folder, { megabytes: quick ? 64 : 256, turns: 3 })))
    return results
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
