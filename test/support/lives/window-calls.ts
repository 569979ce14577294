/**
 * Random adds under windows for `HandleLife`, with attributes, and changes of the limits of their queue.
 * What they must come to says `WindowLedger`.
 */
import { type JobLook, type JobTry, type Queue, queue } from '../../../src/flow/index.ts'
import { name as nameOf } from '../../../src/index.ts'
import {
  declaredConcurrency,
  WindowLedger,
  type WindowName,
  windowsOf,
} from '../models/window-ledger.ts'
import type { ProgramLife } from './program-life.ts'

const windows = Object.keys(windowsOf) as WindowName[]
const colors = ['red', 'green', 'blue']

/** The queue of a life, and its callers. */
export class WindowCalls {
  readonly ledger = new WindowLedger()
  readonly #life: ProgramLife
  #queue!: Queue<number, number>
  #program = 0
  #next = 1

  constructor(life: ProgramLife) {
    this.#life = life
  }

  /** The queue of another program. */
  queue(): Queue<number, number> {
    const program = ++this.#program
    this.#queue = queue(
      'pages',
      async (number: number, { key }: JobTry) => {
        const { ledger } = this
        const id = key.split('/').at(-1) as string
        if (program !== this.#program) return new Promise<never>(() => undefined)
        const { life } = ledger
        ledger.begins(id, number, this.#life.now)
        await this.#life.later(this.#life.pick([0, 10, 700]))
        if (life === ledger.life) ledger.ends(id)
        return number
      },
      { concurrency: declaredConcurrency, keep: { results: '9999d' } },
    )
    return this.#queue
  }

  /** The program ends. One that is killed begins nothing more that anybody hears of. */
  ends(how: 'kill' | 'close'): void {
    if (how === 'kill') this.#program++
    this.ledger.dies()
  }

  /** Adds some jobs of one window, or changes the limit. */
  async acts(): Promise<void> {
    const { random } = this.#life
    if (random() < 0.2) await this.#limits()
    else {
      const window = this.#life.pick(windows)
      for (let left = this.#life.pick([1, 1, 2, 4]); left > 0; left--) await this.#adds(window)
    }
  }

  async #adds(window: WindowName): Promise<void> {
    const add = {
      ...{ number: this.#next++, window, color: this.#life.pick(colors) },
      askedAt: this.#life.now,
    }
    this.ledger.asks(add)
    const options = { ...windowsOf[window], attributes: { color: add.color } }
    const answered = await this.#life.answers('adds under windows', () =>
      this.#life.flow.add(this.#queue, add.number, options),
    )
    if (!('answer' in answered)) return
    const { id, repeated, replaced = false } = answered.answer
    if (repeated) this.#life.count(replaced ? 'adds that replace' : 'adds that come to nothing')
    this.ledger.answered(add.number, id, repeated, replaced)
  }

  async #limits(): Promise<void> {
    const { flow, pick } = { flow: this.#life.flow, pick: this.#life.pick([1, 2, 5, null]) }
    this.ledger.limits(pick)
    const answered = await this.#life.answers('limits', () =>
      pick === null
        ? flow.resetLimits(this.#queue)
        : flow.setLimits(this.#queue, { concurrency: pick }),
    )
    if ('answer' in answered) this.ledger.limited(pick)
    const shown = await this.#life.answers('looks at limits', () => flow.limits(this.#queue))
    if ('answer' in shown) this.ledger.limitShown(shown.answer.concurrency)
  }

  /** The queue lives on, and its process dies. */
  kills(): void {
    const place = '$queue-pages/queue'
    if (!this.#life.app.entities.holder(place)) return
    this.ledger.dies()
    this.#life.app.system.kill(nameOf(place) as never)
  }

  /** Whether every job has ended. */
  async isOver(): Promise<boolean> {
    const { ready, delayed, running } = await this.#life.machine.during(
      this.#life.flow.counts(this.#queue),
    )
    return ready + delayed + running === 0
  }

  /** Judges the end of all lives. */
  async judgeEnd(): Promise<void> {
    const { flow, machine } = this.#life
    const looks = new Map<string, JobLook | undefined>()
    for (const id of this.ledger.ids)
      looks.set(id, await machine.during(flow.job(this.#queue, id).get()))
    const listed: Record<string, string[]> = {}
    for (const color of colors) {
      const ids: string[] = []
      let cursor: string | undefined
      do {
        const page = { where: { color }, limit: 100, ...(cursor && { cursor }) }
        const found = await machine.during(flow.read('jobs', this.#queue, page))
        ids.push(...found.entries.map(({ id }) => id))
        cursor = found.cursor
      } while (cursor)
      listed[color] = ids
    }
    this.ledger.judgeEnd(looks, listed)
  }
}
