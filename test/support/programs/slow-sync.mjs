// Appends to a log of `keelson/wal` as fast as it is let, from when its stdin has a line, until entries of four groups
// were answered. Reports on pipe 3 when the log is open, and at the end what it saw, as JSON.
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Wal } from 'keelson/wal'

const [dir, queueBytes] = process.argv.slice(2)
const report = (line) => writeSync(3, `${line}\n`)

const wal = await Wal.open({ dir, queueBytes: Number(queueBytes), idleMarkerMs: 0 })
report('open')
await once(process.stdin, 'data')

const delays = monitorEventLoopDelay({ resolution: 5 })
const memoryBefore = process.memoryUsage.rss()
const payload = Buffer.alloc(1_000, 7)
const seen = {
  accepted: 0,
  refused: 0,
  waitingMax: 0,
  memoryMax: 0,
  order: [],
  lsns: [],
  codes: [],
}
let calls = 0
let waiting = 0
let groups = 0
let lastAnswer = 0

const append = async () => {
  const number = calls++
  waiting++
  try {
    const { lsn } = await wal.append(number % 60_000, payload, { whenFull: 'refuse' })
    // What is answered together was written together.
    if (performance.now() - lastAnswer > 500) groups++
    lastAnswer = performance.now()
    seen.accepted++
    seen.order.push(number)
    seen.lsns.push(lsn)
  } catch (error) {
    seen.refused++
    if (!seen.codes.includes(error.code)) seen.codes.push(error.code)
  }
  waiting--
}

delays.enable()
const began = performance.now()
const timer = setInterval(() => {
  // Who was refused is not among those who wait by now.
  seen.waitingMax = Math.max(seen.waitingMax, waiting)
  for (let count = 0; count < 20; count++) void append()
  seen.memoryMax = Math.max(seen.memoryMax, process.memoryUsage.rss() - memoryBefore)
  if (groups < 4) return
  clearInterval(timer)
  delays.disable()
  const p99 = delays.percentile(99) / 1e6
  report(JSON.stringify({ ...seen, p99, max: delays.max / 1e6, ms: performance.now() - began }))
  process.exit()
}, 5)
