/** Reads in turns, of both players: as many as there is time for, each of them verified. */
import { keyOf, kinds, shuffled } from './rows.mjs'

/** The µs of processor time that each of `count` took since `cpu` was taken, all threads of this process together. */
export const cpuOf = (count, cpu) => {
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / count
}

/** Reads between two looks at the clock. */
const batch = 256

/** `get(key)` of `count` keys of a kind over and over for some seconds; answers their rate. */
export const reading = (count) => {
  const numbers = shuffled(count)
  let at = 0
  return ({ seconds, value, prefix = value }, get) => {
    const { numberOf } = kinds[value]
    const cpu = process.cpuUsage()
    const began = performance.now()
    const until = began + seconds * 1_000
    let done = 0
    let now = began
    while (now < until) {
      for (let step = 0; step < batch; step++) {
        const number = numbers[at++ % count]
        if (numberOf(get(keyOf(prefix, number))) !== number)
          throw new Error(`${keyOf(prefix, number)} has another value`)
      }
      done += batch
      now = performance.now()
    }
    return { rate: (done * 1_000) / (now - began), cpu: cpuOf(done, cpu) }
  }
}

/** Pages of 100 from a number on, one in each turn of the event loop; answers the times of a call. */
export const paging = (count) => {
  const numbers = shuffled(count - 100)
  let at = 0
  return async ({ seconds }, page) => {
    const times = []
    const until = performance.now() + seconds * 1_000
    while (performance.now() < until) {
      const first = numbers[at++ % numbers.length]
      const began = performance.now()
      const { length, from } = page(first)
      times.push(performance.now() - began)
      if (length !== 100 || from !== first) throw new Error(`the page from ${first} is not whole`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    times.sort((a, b) => a - b)
    return { p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }
  }
}
