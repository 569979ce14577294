/** How often each step of each script ran: a file, so that a killed process has counted too. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

export class Ledger {
  #file
  #counts = new Map()

  constructor(file) {
    this.#file = file
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
    for (const line of lines) this.#count(line)
  }

  /** A step runs. Answers which of its runs this is, from 1. */
  ran(number, key) {
    const line = `${number} ${key}`
    appendFileSync(this.#file, `${line}\n`)
    return this.#count(line)
  }

  /** The runs of each step of a script. */
  of(number) {
    const own = [...this.#counts].filter(([line]) => line.startsWith(`${number} `))
    return Object.fromEntries(own.map(([line, count]) => [line.split(' ')[1], count]).sort())
  }

  #count(line) {
    const count = (this.#counts.get(line) ?? 0) + 1
    this.#counts.set(line, count)
    return count
  }
}
