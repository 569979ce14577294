/** Jobs, schedules, and turns and batches that ask for runs, of the built package, under SIGKILL, and their ledgers outside of them. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import type { JobLook, ScheduleRow } from '../../src/flow/index.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { type JobBefore, JobLedger, type JobTerms } from '../support/models/job-ledger.ts'
import { type ScheduleKnown, ScheduleLedger } from '../support/models/schedule-ledger.ts'
import { TurnLedger } from '../support/models/turn-ledger.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { countOf } from '../support/tier.ts'

const rounds = countOf('KEELSON_KILL_ROUNDS', 10, 200)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const reportsMax = 900
const cron = '* * * * * *'
const terms = { cron, missed: 'all', overlap: 'allow' } as const

/** The ledgers, and what the lines of the program tell them. */
class World {
  readonly jobs = new JobLedger({ concurrency: 2, triesMax: 3 })
  readonly schedules = new ScheduleLedger({ [cron]: 1_000 })
  readonly orders = new TurnLedger()
  readonly counts: Record<string, number> = {}
  #last = new Map<string, JobLook | undefined>()
  #next = 0
  readonly #before = new Map<string, unknown>()

  get known(): string {
    return JSON.stringify({ ids: this.jobs.ids, orders: this.orders.open, next: this.#next })
  }

  get wrong(): readonly string[] {
    return [this.jobs, this.schedules, this.orders].flatMap(({ wrong }) => wrong)
  }

  /** The program was killed: requests may be without an answer. */
  dies(): void {
    this.jobs.dies('kill')
    this.jobs.unknownAdd()
    this.schedules.dies()
    this.#next += 1_000
  }

  read(line: string): void {
    const [ledger, what, about, ...given] = JSON.parse(line)
    const name = `${ledger} ${what}`
    this.counts[name] = (this.counts[name] ?? 0) + 1
    const special = this.#readers[name]
    if (special) special(about, ...(given as never[]))
    else (this as never as Record<string, Any>)[ledger]?.[what]?.(about, ...given)
  }

  readonly #readers: Record<string, (about: string, ...given: never[]) => void> = {
    'jobs removes': (id) => void this.#before.set(id, this.jobs.removes(id)),
    'jobs removed': (id, state: string | null) =>
      this.jobs.removed(id, state ?? undefined, this.#before.get(id) as boolean),
    'jobs updates': (id, at: number) => void this.#before.set(id, this.jobs.updates(id, at)),
    'jobs updated': (id, change: Partial<JobTerms>) =>
      this.jobs.updated(id, change, this.#before.get(id) as JobBefore),
    'jobs refusedUpdate': (id) => this.jobs.refusedUpdate(id, this.#before.get(id) as JobBefore),
    'jobs retries': (id) => void this.#before.set(id, this.jobs.retries(id)),
    'jobs retried': (id, done: boolean) =>
      this.jobs.retried(id, done, this.#before.get(id) as ReturnType<JobLedger['retries']>),
    'jobs looked': (id, look: JobLook | null) => this.jobs.looked(id, look ?? undefined),
    'jobs last': (id, look: JobLook | null) => void this.#last.set(id, look ?? undefined),
    'schedules asks': (name, at: number, isDelete: boolean) =>
      void this.#before.set(name, this.schedules.asks(name, at, isDelete)),
    'schedules triggers': (name) => {
      this.#before.set(name, this.schedules.known(name))
      this.schedules.triggers(name)
    },
    'schedules answered': (name, ...given) =>
      this.#answered(name, ...(given as unknown as Answered)),
    'schedules looked': (name, row: ScheduleRow | null, at: number, runs: string[]) => {
      this.schedules.looked(name, row ?? undefined, at, runs)
      this.schedules.runs(name, runs, at, () => (row?.waiting ?? 0) > 0)
    },
    'orders last': (durable, statuses: Record<string, string>, at: number) => {
      this.jobs.judgeEnd(this.#last)
      this.schedules.judgeEnd(at)
      this.orders.judgeEnd(new Set(durable), (id) => statuses[id])
    },
  }

  #answered(name: string, ...[what, isRefused, run, at, runs]: Answered): void {
    const known = this.#before.get(name) as ScheduleKnown
    if (what !== 'create') this.schedules.judgeAnswer(name, what, known, isRefused)
    if (what === 'trigger') this.schedules.triggered(name, run ?? undefined)
    else if (what === 'create' && isRefused) this.schedules.wrong.push(`${name} is not created`)
    else if (what === 'delete' || (isRefused && what !== 'create'))
      this.schedules.is(name, 'none', at, runs)
    else if (known !== undefined && known !== 'none') {
      const isPaused = what === 'create' ? known.isPaused : what === 'pause'
      this.schedules.is(name, { ...known, isPaused }, at, runs)
    } else if (what === 'create' && known === 'none')
      this.schedules.is(name, { ...terms, isPaused: false }, at, runs)
  }
}

type Any = Record<string, (...given: unknown[]) => void>
type Answered = [what: string, isRefused: boolean, run: string | null, at: number, runs: string[]]

test(`what callers of jobs, schedules, turns and batches were promised holds over ${rounds} kills`, {
  tags: ['W1', 'W3', 'W7', 'W10'],
  timeout: (rounds + 1) * 60_000,
}, async () => {
  const dir = tempFolder()
  const random = seededRandom(seed)
  const world = new World()

  for (let round = 0; round <= rounds; round++) {
    const isLast = round === rounds
    let left = isLast ? Number.POSITIVE_INFINITY : 1 + Math.floor(random() * reportsMax)
    const args = [dir, isLast ? 'last' : 'new', world.known]
    const child = childProgram('flow-handles.mjs', args, (line) => {
      world.read(line)
      if (--left === 0) child.process.kill('SIGKILL')
    })
    const end = await child.ended
    const expected = isLast ? { code: 0, signal: null } : { code: null, signal: 'SIGKILL' }
    expect(end, `seed ${seed}, round ${round}: ${child.stderr()}`).toEqual(expected)
    expect(world.wrong, `seed ${seed}, round ${round}`).toEqual([])
    world.dies()
  }

  if (process.env.KEELSON_TALLY) console.log(world.counts)
  for (const what of ['jobs removed', 'jobs updated', 'schedules answered', 'orders hears'])
    expect(world.counts[what], what).toBeGreaterThan(0)
})
