/** One contender in one case, as the race sees it: a child process that measures when it is told to. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const runner = fileURLToPath(new URL('./runner.mjs', import.meta.url))

/** A contender that waits in a process of its own. */
export class Entrant {
  #child
  count = 0
  results = []

  constructor(child) {
    this.#child = child
  }

  /** Starts the process; resolves when its case is prepared. */
  static async start({ file, name }, caseId) {
    const child = fork(runner, [file, name, caseId], {
      execArgv: ['--expose-gc', '--max-old-space-size=6000'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const entrant = new Entrant(child)
    await entrant.#answer()
    return entrant
  }

  /** Does `count` of the work and answers `{ count, seconds, cpuSeconds, bytes }`. */
  async measure(count) {
    this.#child.send({ count })
    const { result, error } = await this.#answer()
    if (error !== undefined) throw new Error(error)
    return result
  }

  /**
   * Warms up for about `warmUp` seconds, because code that V8 has not optimised yet measures V8, and finds how much work
   * takes `seconds`, in multiples of `step`. A fixed count is warmed up with steps.
   */
  async calibrate({ seconds, warmUp, step, fixed }) {
    this.count = step
    for (let spent = 0; spent < warmUp; ) {
      const taken = (await this.measure(this.count)).seconds
      spent += taken
      if (fixed !== undefined) continue
      const steps = (this.count / step) * (seconds / Math.max(taken, 1e-6))
      this.count = step * Math.max(1, Math.min(Math.ceil(steps), (this.count / step) * 8))
    }
    this.count = fixed ?? this.count
  }

  /** Ends the process. */
  async stop() {
    if (this.#child.exitCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  #answer() {
    return new Promise((resolve, reject) => {
      const ended = (code, signal) => reject(new Error(`the contender ended: ${signal ?? code}`))
      this.#child.once('exit', ended)
      this.#child.once('message', (message) => {
        this.#child.off('exit', ended)
        resolve(message)
      })
    })
  }
}
