/**
 * How long the event loop is held up while something runs: the times between two of its turns. Two
 * things hold it up that are not the work of the code: a collection of V8, whatever code made the
 * garbage, and the wait for a processor, which Linux counts for each thread. Both are told apart.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { threadTimes } from './thread-times.mjs'

/** Shorter ones are not kept, in ms. */
const shortest = 0.25

/** Turns of the event loop until the collections of the last one have been reported. */
const reportTurns = 3

/** Looks at the event loop of this thread. `stop` ends it. */
export const holdWatch = () => {
  const collections = []
  const note = (entries) => {
    for (const { startTime, duration } of entries)
      collections.push({ from: startTime, to: startTime + duration })
  }
  const observer = new PerformanceObserver((list) => note(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  const times = threadTimes()
  return {
    /** Runs `work`, and answers its longest holds, as `longest` does, and the time of it all. */
    during: async (work) => {
      collections.length = 0
      const holds = []
      let [last, isOver] = [look(times), false]
      const turn = () => {
        const next = look(times)
        const waited = next.waitedMs - last.waitedMs
        if (next.at - last.at >= shortest) holds.push({ from: last.at, to: next.at, waited })
        last = next
        if (!isOver) setImmediate(turn)
      }
      turn()
      const began = performance.now()
      await work().finally(() => {
        isOver = true
      })
      const tookMs = performance.now() - began
      for (let at = 0; at < reportTurns; at++) await new Promise(setImmediate)
      note(observer.takeRecords())
      return { ...longest(holds, collections), tookMs }
    },
    stop: () => observer.disconnect(),
  }
}

/** The time, and the waits up to exactly then: a wait between the two would belong to one of them only. */
const look = (times) => {
  for (;;) {
    const [{ waitedMs }, at] = [times(), performance.now()]
    if (times().waitedMs === waitedMs) return { at, waitedMs }
  }
}

/**
 * In ms: the longest hold, the most of one that was collections, the most that was waiting, and the
 * longest without both, `own`. A wait within a collection counts as both, so beside other work on the
 * machine a hold with a collection is no measure of `own`.
 */
export const longest = (holds, collections) => {
  const found = { hold: 0, collected: 0, waited: 0, own: 0 }
  for (const { from, to, waited } of holds) {
    const collected = collections.reduce(
      (sum, each) => sum + Math.max(0, Math.min(to, each.to) - Math.max(from, each.from)),
      0,
    )
    found.hold = Math.max(found.hold, to - from)
    found.collected = Math.max(found.collected, collected)
    found.waited = Math.max(found.waited, waited)
    found.own = Math.max(found.own, to - from - collected - waited)
  }
  return found
}
