/** Measures a stretch of work: wall time and the CPU time of the process, garbage collection and compilation included. */
export class Stopwatch {
  #wall = 0
  #cpu = 0
  #seconds = 0
  #cpuSeconds = 0
  #isRunning = false

  /** Begins from zero: what was measured before is preparation and does not count. */
  restart() {
    this.#seconds = 0
    this.#cpuSeconds = 0
    this.resume()
  }

  /** Goes on after a `pause`. */
  resume() {
    this.#isRunning = true
    this.#cpu = cpuSeconds()
    this.#wall = performance.now()
  }

  /** What happens from here to `resume` does not count. */
  pause() {
    if (!this.#isRunning) return
    this.#isRunning = false
    this.#seconds += (performance.now() - this.#wall) / 1_000
    this.#cpuSeconds += cpuSeconds() - this.#cpu
  }

  /** What was measured. */
  read() {
    this.pause()
    return { seconds: this.#seconds, cpuSeconds: this.#cpuSeconds }
  }
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
