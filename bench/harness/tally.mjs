/**
 * Counts what was handled and tells when as much as expected was. Every contender's handler hits one, so that completion
 * costs all of them the same.
 */
export class Tally {
  #hits = 0
  #expected = 0
  #resolve = undefined

  /** All hits so far. */
  get hits() {
    return this.#hits
  }

  /** Resolves after `count` more hits. */
  expect(count) {
    this.#expected = this.#hits + count
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  hit() {
    if (++this.#hits === this.#expected) this.#resolve()
  }
}

/** Sends `count` messages in bursts, each of them handled before the next begins; answers how many were handled. */
export const inBursts = async (tally, count, burst, sendOne) => {
  const before = tally.hits
  for (let left = count; left > 0; left -= burst) {
    const size = Math.min(burst, left)
    const handled = tally.expect(size)
    for (let index = 0; index < size; index++) sendOne(index)
    await handled
  }
  return tally.hits - before
}

/** Asks `count` times with `width` questions outstanding; answers how many were answered rightly: `ask(n)` is n + 1. */
export const outstanding = async (width, count, ask) => {
  let asked = 0
  let right = 0
  const loop = async () => {
    while (asked < count) {
      const number = asked++
      if ((await ask(number)) === number + 1) right++
    }
  }
  const loops = []
  for (let index = 0; index < Math.min(width, count); index++) loops.push(loop())
  await Promise.all(loops)
  return right
}

/** Works through `count` in slices of `size`: `work(length)` does one and answers how many it did. */
export const inSlices = async (count, size, work) => {
  let done = 0
  for (let left = count; left > 0; left -= size) done += await work(Math.min(size, left))
  return done
}

/**
 * The bytes that `make(count)` leaves in the heap, while `release` has not let go of it. `globalThis.gc` runs twice:
 * weak references and finalizers need a second round.
 */
export const heldBytes = async (count, make, release) => {
  await collect()
  const before = process.memoryUsage().heapUsed
  const done = await make(count)
  await collect()
  const bytes = process.memoryUsage().heapUsed - before
  await release()
  return { done, bytes }
}

const collect = async () => {
  for (let round = 0; round < 2; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc()
  }
}
