/** Names every minute what has run for longer than a minute. Of a run that hangs, the last lines say where. */
import { relative } from 'node:path'

const minuteMs = 60_000
const nameOf = ({ module, fullName }) => `${relative('.', module.moduleId)} > ${fullName}`

/** A reporter of Vitest. */
export default class SlowTestsReporter {
  #since = new Map()
  #timer

  onTestRunStart() {
    this.#timer = setInterval(() => this.#print(), minuteMs).unref()
  }

  onTestRunEnd() {
    clearInterval(this.#timer)
  }

  // A file that hangs while it is loaded has no test yet.
  onTestModuleQueued({ moduleId }) {
    this.#since.set(relative('.', moduleId), performance.now())
  }

  onTestModuleEnd({ moduleId }) {
    this.#since.delete(relative('.', moduleId))
  }

  onTestCaseReady(test) {
    this.#since.set(nameOf(test), performance.now())
  }

  onTestCaseResult(test) {
    this.#since.delete(nameOf(test))
  }

  #print() {
    const now = performance.now()
    for (const [what, since] of this.#since)
      if (now - since > minuteMs)
        console.log(`Runs for ${Math.round((now - since) / 1_000)} s: ${what}`)
  }
}
