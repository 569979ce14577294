/** What the process of an instance uses: memory, descriptors, handles, actors, lag, and the delay of its event loop. */
import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { processMemory } from './process-memory.mjs'

const resolutionMs = 10

const countIn = (folder) => {
  try {
    return readdirSync(folder).length
  } catch {
    return undefined // Linux alone has it
  }
}

/** A function that answers what is used, and what was since it was asked last. */
export const sampler = (app) => {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  let last = { at: performance.now(), ...process.cpuUsage() }

  const cpuShare = () => {
    const next = { at: performance.now(), ...process.cpuUsage() }
    const spent = next.user + next.system - last.user - last.system
    const share = spent / 10 / (next.at - last.at)
    last = next
    return share
  }

  return ([isCollecting]) => {
    const loopP99 = Math.max(0, delays.percentile(99) / 1e6 - resolutionMs)
    delays.reset()
    const cpu = cpuShare()
    if (isCollecting) globalThis.gc?.()
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
    const { shards, replication } = app.health()
    const followers = replication.flatMap((replica) => replica.shards)
    const resources = process.getActiveResourcesInfo()
    return {
      ...{ cpu, loopP99, rss, heapUsed, external, arrayBuffers },
      // It reads the list of all mappings, so it is done once a minute.
      ...(isCollecting ? processMemory() : {}),
      heapLive: isCollecting && globalThis.gc ? heapUsed : undefined,
      fds: countIn('/proc/self/fd'),
      threads: countIn('/proc/self/task'),
      handles: resources.length,
      timers: resources.filter((each) => each === 'Timeout').length,
      actors: app.system?.processes().length,
      lagBytes: shards.reduce((sum, { lagBytes = 0 }) => sum + lagBytes, 0),
      replicaLag: followers.reduce((sum, { lag }) => sum + lag.records, 0),
    }
  }
}
