/**
 * Names every minute what has run for longer than a minute, and ends a run that has taken `KEELSON_MINUTES`: a test that blocks
 * its process has no other limit. The files that have not ended then are in `<results>.unended`, for another run.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'

const minuteMs = 60_000
const nameOf = ({ module, fullName }) => `${relative('.', module.moduleId)} > ${fullName}`

/** A reporter of Vitest. */
export default class SlowTestsReporter {
  #vitest
  #timer
  /** Files and tests that run, and since when. */
  #since = new Map()
  /** Files that have not ended. */
  #unended = new Set()
  #minutes = 0

  onInit(vitest) {
    this.#vitest = vitest
  }

  onTestRunStart(specifications) {
    for (const { moduleId } of specifications) this.#unended.add(relative('.', moduleId))
    this.#timer = setInterval(() => this.#tick(), minuteMs).unref()
  }

  onTestRunEnd() {
    clearInterval(this.#timer)
  }

  // A file that hangs while it is loaded has no test yet.
  onTestModuleQueued({ moduleId }) {
    this.#since.set(relative('.', moduleId), performance.now())
  }

  // That a test is ready may be reported after its result.
  onTestModuleEnd({ moduleId }) {
    const file = relative('.', moduleId)
    this.#unended.delete(file)
    for (const what of this.#since.keys())
      if (what === file || what.startsWith(`${file} > `)) this.#since.delete(what)
  }

  onTestCaseReady(test) {
    this.#since.set(nameOf(test), performance.now())
  }

  onTestCaseResult(test) {
    this.#since.delete(nameOf(test))
  }

  #tick() {
    const now = performance.now()
    for (const [what, since] of this.#since)
      if (now - since >= minuteMs)
        console.log(`Runs for ${Math.round((now - since) / 1_000)} s: ${what}`)
    if (++this.#minutes >= Number(process.env.KEELSON_MINUTES)) this.#giveUp()
  }

  #giveUp() {
    console.log(`Ended after ${this.#minutes} minutes without ${[...this.#unended].join(' ')}`)
    writeFileSync(
      `${this.#vitest.config.outputFile.json ?? this.#vitest.config.outputFile}.unended`,
      [...this.#unended].join('\n'),
    )
    // The second time their processes are killed.
    for (let times = 0; times < 2; times++) void this.#vitest.cancelCurrentRun('keyboard-input')
  }
}
