/** What both players do: writers that call until the time is over, and the orders of the bench. */

/**
 * `work(writer)` by `inFlight` writers for some seconds, each time after `before`, which does not count. A work that is done
 * later than it is acknowledged is waited for in `drain`, which counts. `size`: how many things one work does.
 */
export const byWriters = async (inFlight, seconds, work, { before, drain, size = 1 } = {}) => {
  const times = []
  const cpu = process.cpuUsage()
  const until = performance.now() + seconds * 1_000
  const began = performance.now()
  const writer = async (_, index) => {
    while (performance.now() < until) {
      await before?.()
      const from = performance.now()
      await work(index)
      times.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, writer))
  await drain?.()
  const ms = before ? times.reduce((sum, each) => sum + each, 0) : performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  const count = times.length * size
  return {
    count,
    rate: (count * 1_000) / ms,
    cpu: (user + system) / count,
    p50: times[times.length >> 1],
    p99: times[Math.floor(times.length * 0.99)],
  }
}

/** Answers the orders of the bench, one at a time. Ends with the bench. */
export const play = (orders) => {
  process.on('disconnect', () => process.exit())
  process.on('message', async (order) => {
    try {
      process.send({ answer: (await orders[order.kind](order)) ?? 'done' })
    } catch (error) {
      process.send({ error: error.stack })
    }
  })
  process.send({ answer: 'ready' })
}
