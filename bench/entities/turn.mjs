/** What both players do: writers that call until the time is over, and the orders of the bench. */

/** `work(writer)` by `inFlight` writers for some seconds, each time after `before`, which does not count. */
export const byWriters = async (inFlight, seconds, work, before) => {
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
  const ms = before ? times.reduce((sum, each) => sum + each, 0) : performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  return {
    rate: (times.length * 1_000) / ms,
    cpu: (user + system) / times.length,
    p50: times[times.length >> 1],
    p99: times[Math.floor(times.length * 0.99)],
  }
}

/** Answers the orders of the bench, one at a time. */
export const play = (orders) => {
  process.on('message', async (order) => {
    try {
      process.send({ answer: (await orders[order.kind](order)) ?? 'done' })
    } catch (error) {
      process.send({ error: error.stack })
    }
  })
  process.send({ answer: 'ready' })
}
