/**
 * One random life of what callers do beside runs, from one seed: jobs that are changed, removed,
 * tried again and drained, adds under windows, limits that change, schedules that are made, changed,
 * paused, triggered and deleted, and turns of durable actors that ask for runs, signals and jobs.
 * Their processes are killed, and the program ends in every way. What was acknowledged holds over all
 * of that; four ledgers say what that is.
 */
import { flows } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import type { LifeMachine } from '../worlds/engine-machine.ts'
import { JobCalls } from './job-calls.ts'
import { OrderCalls } from './order-calls.ts'
import { ProgramLife } from './program-life.ts'
import { ScheduleCalls } from './schedule-calls.ts'
import type { Tally } from './seed-lives.ts'
import { WindowCalls } from './window-calls.ts'

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveHandles = async (seed: number, on?: LifeMachine): Promise<Tally> => {
  const life = new HandleLife(seed, on)
  await life.begin()
  await life.live(life.pick([10, 20, 40]))
  await life.end()
  return life.tally
}

class HandleLife extends ProgramLife {
  readonly #jobs = new JobCalls(this)
  readonly #schedules = new ScheduleCalls(this)
  readonly #orders = new OrderCalls(this)
  readonly #windows = new WindowCalls(this)

  protected tree(): ReturnType<typeof supervisor> {
    const schedules = this.#schedules.parts()
    const orders = this.#orders.parts()
    return supervisor('app', {}, [
      flows({
        workflows: [schedules.workflow, orders.workflow],
        queues: [this.#jobs.queue(), orders.queue, this.#windows.queue()],
        schedules: [schedules.schedule],
      }),
      orders.shop,
    ])
  }

  protected begun(): Promise<void> {
    return this.#schedules.begun()
  }

  protected override ends(how: 'kill' | 'close'): void {
    this.#jobs.ends(how)
    this.#windows.ends(how)
    this.#schedules.ledger.dies()
  }

  protected judge(): void {
    const all = [this.#jobs, this.#schedules, this.#orders, this.#windows]
    const wrong = all.flatMap(({ ledger }) => ledger.wrong)
    if (wrong.length > 0) throw new Error(wrong.join('; '))
  }

  /** Does drawn things. */
  async live(steps: number): Promise<void> {
    const { clock, cutOff } = this.machine
    if (this.random() < 0.5) this.planHalt()
    for (let step = 0; step < steps; step++) {
      if (cutOff && this.random() < 0.2) cutOff(this.pick([30, 400, 3_000]))
      await this.opened()
      await this.#acts(this.random())
      await clock.advance(
        this.pick([0, 0, 1, 5, 50, 50, 300, 300, 1_000, 5_000, 20_000, 90_000, 400_000]),
      )
      if (this.isHalted) await this.dies(this.pick(['lost', 'kept']))
      if (this.random() < 0.4) this.#schedules.looks()
      this.judge()
    }
  }

  async #acts(chance: number): Promise<void> {
    if (chance < 0.38) await this.#jobs.acts()
    else if (chance < 0.5) await this.#windows.acts()
    else if (chance < 0.75) await this.#schedules.acts()
    else if (chance < 0.84) await this.#orders.acts()
    else if (chance < 0.89) await this.#kills()
    else if (chance < 0.97) await this.dies(this.pick([undefined, 'lost', 'kept']))
    else await this.closes()
  }

  async #kills(): Promise<void> {
    this.count('kills of processes')
    this.pick([this.#jobs, this.#schedules, this.#orders, this.#windows]).kills()
    await this.machine.clock.settle()
  }

  /** The trouble is over: everything ends, and its end stays over another power cut. */
  async end(): Promise<void> {
    const { clock, disk, during } = this.machine
    if (this.isHalted) await this.dies('lost')
    disk.clearFaults()
    for (let round = 0; !(await this.#isOver()); round++) {
      if (round > 300) throw new Error('it does not come to an end')
      await clock.advance(round % 4 === 3 ? 600_000 : 2_000)
      this.judge()
    }
    await this.#judgeEnd()
    await this.dies('lost')
    await clock.advance(20_000)
    await this.#judgeEnd()
    await during(this.app.close())
  }

  async #isOver(): Promise<boolean> {
    await this.opened()
    const { jobs, schedules, orders, windows } = {
      jobs: await this.#jobs.isOver(),
      schedules: await this.#schedules.isOver(),
      orders: await this.#orders.isOver(),
      windows: await this.#windows.isOver(),
    }
    return jobs && schedules && orders && windows
  }

  async #judgeEnd(): Promise<void> {
    await this.opened()
    await this.#jobs.judgeEnd()
    await this.#windows.judgeEnd()
    this.#schedules.judgeEnd()
    this.#orders.judgeEnd()
    this.judge()
  }
}
