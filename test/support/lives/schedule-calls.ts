/**
 * Random calls about schedules that are made at run time, and about one of the tree, for
 * `HandleLife`. What they must come to says `ScheduleLedger`.
 */
import {
  type Ctx,
  flow,
  type Schedule,
  type Scheduled,
  type ScheduleRow,
  schedule,
  type Workflow,
  workflow,
} from '../../../src/flow/index.ts'
import { isKeelsonError, name as nameOf } from '../../../src/index.ts'
import { ScheduleLedger, type ScheduleTerms } from '../models/schedule-ledger.ts'
import type { ProgramLife } from './program-life.ts'

const minute = 60_000
const crons = {
  '*/5 * * * *': 5 * minute,
  '*/10 * * * *': 10 * minute,
  '*/20 * * * *': 20 * minute,
}
const patterns = Object.keys(crons)
const [made, ofTree] = [['a', 'b'], 'tree']
const treeTerms = { cron: '*/10 * * * *', missed: 'all', overlap: 'allow' } as const

/** The schedules of a life, and their callers. */
export class ScheduleCalls {
  readonly ledger = new ScheduleLedger(crons)
  readonly #life: ProgramLife
  #tick!: Workflow<Scheduled>
  #program = 0

  constructor(life: ProgramLife) {
    this.#life = life
  }

  /** The workflow and the schedule of another program. */
  parts(): { readonly workflow: Workflow<Scheduled>; readonly schedule: Schedule } {
    const program = ++this.#program
    const body = async (ctx: Ctx, { at }: Scheduled): Promise<void> => {
      await ctx.step('note', ({ key }) => {
        if (program === this.#program) this.ledger.begins(ctx.id, at, key)
      })
      // Some runs go on when the next time comes.
      if ((at / minute) % 3 < 1) await ctx.sleep('pause', 7 * minute)
    }
    // Lives are longer than a day: retention would take runs away.
    const keep = { completed: '9999d' } as const
    this.#tick = workflow('tick', body, { keep })
    const { cron, ...options } = treeTerms
    return { workflow: this.#tick, schedule: schedule(ofTree, cron, this.#tick, options) }
  }

  /** A program has started. The first one makes the schedule of the tree. */
  async begun(): Promise<void> {
    if (this.#program > 1) return
    const life = this.#life
    // A thread may die just after the start: nobody can look until its shard is open again.
    for (await life.opened(); !this.#schedules.get(ofTree); await life.opened())
      await life.machine.clock.advance(10)
    this.#is(ofTree, { ...treeTerms, isPaused: false })
  }

  get #schedules() {
    return flow(this.#life.app).schedules
  }

  /** Asks something of a schedule. */
  async acts(): Promise<void> {
    const { random } = this.#life
    const name = this.#life.pick([...made, ...made, ofTree])
    const chance = random()
    const isThere = this.ledger.known(name) !== 'none'
    if (name !== ofTree && (!isThere || chance < 0.1)) await this.#creates(name)
    else if (chance < 0.3) await this.#pauses(name, random() < 0.5)
    else if (chance < 0.6) await this.#triggers(name)
    else if (name === ofTree) await this.#isOfTree()
    else if (chance < 0.85) await this.#changes(name)
    else await this.#deletes(name)
  }

  #drawn(): Omit<ScheduleTerms, 'isPaused'> {
    const { random } = this.#life
    // With these two a run for each time is promised.
    if (random() < 0.6) return { cron: this.#life.pick(patterns), missed: 'all', overlap: 'allow' }
    return {
      cron: this.#life.pick(patterns),
      missed: this.#life.pick(['one', 'all', 'none']),
      overlap: this.#life.pick(['skip', 'queue', 'allow']),
    }
  }

  async #creates(name: string): Promise<void> {
    const terms = this.#drawn()
    const { cron, ...options } = terms
    const known = this.ledger.asks(name, this.#life.now)
    const answered = await this.#life.answers('creates', () =>
      this.#schedules.create(name, cron, this.#tick, options),
    )
    const isConflict = 'code' in answered && answered.code === 'CONFLICT'
    if ('code' in answered && !isConflict) return
    const isOther = known !== undefined && known !== 'none' && !isSame(known, terms)
    if (known !== undefined && isConflict !== isOther)
      this.ledger.wrong.push(`W1: ${name} is ${JSON.stringify(known)}, and create: ${isConflict}`)
    if (known !== undefined && known !== 'none') this.#is(name, known)
    else if ('answer' in answered && !answered.answer.repeated)
      this.#is(name, { ...terms, isPaused: false })
  }

  #is(name: string, known: ScheduleTerms | 'none'): void {
    const runs = this.#runsOf(name)
    if (runs) this.ledger.is(name, known, this.#life.now, runs)
  }

  async #pauses(name: string, isPaused: boolean): Promise<void> {
    const known = this.ledger.asks(name, this.#life.now)
    const answered = await this.#life.answers(
      isPaused ? 'schedule pauses' : 'schedule resumes',
      () => (isPaused ? this.#schedules.pause(name) : this.#schedules.resume(name)),
    )
    this.#decided(name, isPaused ? 'pause' : 'resume', known, answered, { isPaused })
  }

  async #changes(name: string): Promise<void> {
    const drawn = Object.entries(this.#drawn()).filter(() => this.#life.random() < 0.5)
    const changes =
      drawn.length > 0 ? Object.fromEntries(drawn) : { cron: this.#life.pick(patterns) }
    const known = this.ledger.asks(name, this.#life.now)
    const answered = await this.#life.answers('schedule changes', () =>
      this.#schedules.change(name, changes),
    )
    this.#decided(name, 'change', known, answered, changes)
  }

  /** A change that is refused with `CONFLICT` says that there is no such schedule. */
  #decided(
    name: string,
    what: string,
    known: ReturnType<ScheduleLedger['known']>,
    answered: { readonly answer: unknown } | { readonly code: string },
    changes: Partial<ScheduleTerms>,
  ): void {
    const isRefused = 'code' in answered
    if (isRefused && answered.code !== 'CONFLICT') return
    this.ledger.judgeAnswer(name, what, known, isRefused)
    if (isRefused || known === 'none') this.#is(name, 'none')
    else if (known) this.#is(name, { ...known, ...changes })
  }

  async #deletes(name: string): Promise<void> {
    const known = this.ledger.asks(name, this.#life.now, true)
    const answered = await this.#life.answers('schedule deletes', () =>
      this.#schedules.delete(name),
    )
    if (!('answer' in answered)) return
    this.ledger.judgeAnswer(name, 'delete', known, !answered.answer)
    this.#is(name, 'none')
  }

  async #triggers(name: string): Promise<void> {
    const known = this.ledger.known(name)
    this.ledger.triggers(name)
    const answered = await this.#life.answers('triggers', () => this.#schedules.trigger(name))
    const isRefused = 'code' in answered
    if (isRefused && answered.code !== 'CONFLICT' && answered.code !== 'BUSY') return
    this.ledger.triggered(name, isRefused ? undefined : answered.answer.id)
    const mayBeBusy = known !== undefined && known !== 'none' && known.overlap === 'skip'
    if (!mayBeBusy) this.ledger.judgeAnswer(name, 'trigger', known, isRefused)
    if (isRefused) return
    const { id, waits } = answered.answer
    if (waits) this.#life.count('triggers that wait')
    else if (this.#runsOf(name)?.includes(id) === false)
      this.ledger.wrong.push(`W1: ${id} has not started`)
  }

  /** A schedule of the tree is changed there. */
  async #isOfTree(): Promise<void> {
    const asks = [
      () => this.#schedules.create(ofTree, '@daily', this.#tick),
      () => this.#schedules.change(ofTree, { cron: '@daily' }),
      () => this.#schedules.delete(ofTree),
    ]
    const answered = await this.#life.answers<unknown>(
      'changes of the tree',
      this.#life.pick<() => Promise<unknown>>(asks),
    )
    if ('answer' in answered) this.ledger.wrong.push('W1: a schedule of the tree is changed')
  }

  /** The ids of the runs; `undefined`: the disk has halted since, and nobody can look. */
  #runs(): readonly string[] | undefined {
    try {
      return flow(this.#life.app)
        .list({ type: this.#tick, limit: 1_000 })
        .entries.map(({ id }) => id)
    } catch (error) {
      if (isKeelsonError(error, 'SHARD_DOWN')) return undefined
      throw error
    }
  }

  #runsOf(name: string): readonly string[] | undefined {
    return this.#runs()?.filter((id) => id.startsWith(`${name}/`))
  }

  /** Looks at every schedule and its runs. */
  looks(): void {
    const runs = this.#runs()
    if (!runs) return
    for (const name of [...made, ofTree]) {
      const own = runs.filter((id) => id.startsWith(`${name}/`))
      const row: ScheduleRow | undefined = this.#schedules.get(name)
      this.ledger.looked(name, row, this.#life.now, own)
      this.ledger.runs(name, own, this.#life.now, () => (row?.waiting ?? 0) > 0)
    }
  }

  /** The process of a schedule dies. */
  kills(): void {
    const name = this.#life.pick(made)
    this.#life.app.system.kill(nameOf(`$made-schedules/${name}`) as never)
  }

  /** Nothing is paused any more. Whether no run waits. */
  async isOver(): Promise<boolean> {
    for (const name of [...made, ofTree])
      if (this.#schedules.get(name)?.isPaused) await this.#pauses(name, false)
    const rows = [...made, ofTree].map((name) => this.#schedules.get(name))
    return rows.every((row) => !row || (!row.isPaused && row.waiting === 0))
  }

  /** Judges the end of all lives. */
  judgeEnd(): void {
    this.looks()
    // The run of a time that has only just come may be on its way.
    this.ledger.judgeEnd(this.#life.now - 1_000)
    this.#life.tally['runs of schedules'] = this.#runs()?.length ?? 0
  }
}

const isSame = (known: ScheduleTerms, terms: Omit<ScheduleTerms, 'isPaused'>): boolean =>
  known.cron === terms.cron && known.missed === terms.missed && known.overlap === terms.overlap
