/** One instance whose rows are overwritten as fast as it takes them. It answers what it used since it was asked last. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { start } from 'keelson'
import { play } from '../entities/turn.mjs'

const inFlight = 256
const resolutionMs = 5
const valueBytes = 100

const [dir, keys] = process.argv.slice(2)
const count = Number(keys)
const app = await start({ dir })
const { store } = app
const keyOf = (write) => `key:${1e9 + (write % count)}`

let written = 0
let failure
let isOver = false
const writers = []

const writer = async () => {
  while (!isOver) {
    const write = written++
    const value = Buffer.allocUnsafe(valueBytes).fill(7)
    value.writeUIntLE(write, 0, 6)
    await store.put(keyOf(write), value)
  }
}

/** The delays since the last sample, and all of them. */
const delays = monitorEventLoopDelay({ resolution: resolutionMs })
const allDelays = monitorEventLoopDelay({ resolution: resolutionMs })
const p99Of = (histogram) => Math.max(0, histogram.percentile(99) / 1e6 - resolutionMs)
let sampledAt = performance.now()
let sampledWrites = 0

const sample = () => {
  if (failure) throw failure
  const now = performance.now()
  const [shard] = app.health().shards
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const answer = {
    writes: ((written - sampledWrites) * 1_000) / (now - sampledAt),
    loopP99: p99Of(delays),
    rss,
    heap: heapUsed + external + arrayBuffers,
    lag: shard.lagBytes,
  }
  delays.reset()
  sampledAt = now
  sampledWrites = written
  return answer
}

/** Ends the writers. Each key has to hold the last write that was made to it. */
const stop = async () => {
  isOver = true
  allDelays.disable()
  await Promise.all(writers)
  if (failure) throw failure
  for (let write = Math.max(0, written - count); write < written; write++)
    if (store.get(keyOf(write))?.readUIntLE(0, 6) !== write)
      throw new Error(`${keyOf(write)} does not hold its last write`)
  return { written, loopP99: p99Of(allDelays) }
}

play({
  // Until all keys are written the disk has fewer than its rows.
  begin: async () => {
    for (let at = 0; at < inFlight; at++)
      writers.push(
        writer().catch((error) => {
          failure ??= error
          isOver = true
        }),
      )
    while (written < count && !failure) await new Promise((resolve) => setTimeout(resolve, 50))
    delays.enable()
    allDelays.enable()
    sample()
  },
  sample,
  stop,
  close: () => app.close(),
})
