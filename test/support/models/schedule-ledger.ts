/**
 * Schedules that are made, changed, paused, triggered and deleted at run time, as their callers have
 * seen them over all lives of a program, and what of it breaks a promise. W1: what was acknowledged
 * stands. W7: a run begins at a time of the pattern, never before it; a paused or deleted schedule
 * begins none; with `missed: 'all'` and `overlap: 'allow'` each time has its run. W3: a trigger has one.
 */
import type { ScheduleRow } from '../../../src/flow/index.ts'

/** What a schedule is. */
export type ScheduleTerms = Pick<ScheduleRow, 'cron' | 'missed' | 'overlap'> & {
  readonly isPaused: boolean
}

/** What is known of a schedule: its terms; `none`: it is not there; `undefined`: nobody knows. */
export type ScheduleKnown = ScheduleTerms | 'none' | undefined

/** A time in which something was known for sure. Times in ms since 1970. */
type Fact = {
  readonly from: number
  until: number
  readonly known: ScheduleTerms | 'none'
  /** It was, or may have been, deleted since: what waited then has no run. */
  isLost: boolean
}

class SeenSchedule {
  known: ScheduleKnown = 'none'
  /** When it was first asked for: a request without an answer may have made it. */
  askedAt: number | undefined
  readonly facts: Fact[] = []
  readonly runs = new Set<string>()
  /** The runs that there were when it was paused or deleted. */
  quiet: ReadonlySet<string> | undefined
  /** Triggers that were asked for and may have a run. */
  triggers = 0
  /** The triggered runs that must be there in the end. */
  readonly owed = new Set<string>()
  /** The life in which a request had no answer. */
  unknownIn = 0
}

/** What happened to schedules. */
export class ScheduleLedger {
  readonly wrong: string[] = []
  readonly #schedules = new Map<string, SeenSchedule>()
  readonly #everyMs: Readonly<Record<string, number>>
  /** The keys of the steps of runs, by their ids. */
  readonly #keys = new Map<string, string>()
  #life = 1

  /** `everyMs`: the time between two times of each pattern. They are multiples of it. */
  constructor(everyMs: Readonly<Record<string, number>>) {
    this.#everyMs = everyMs
  }

  /** The program has another life: no request of the last one is on its way. */
  dies(): void {
    this.#life++
  }

  get names(): readonly string[] {
    return [...this.#schedules.keys()]
  }

  known(name: string): ScheduleKnown {
    return this.#of(name).known
  }

  /** A change is asked for: from now on nobody knows. Answers what was known. */
  asks(name: string, at: number, isDelete = false): ScheduleKnown {
    const seen = this.#of(name)
    const { known } = seen
    seen.askedAt ??= at
    this.#closes(seen, at)
    Object.assign(seen, { known: undefined, quiet: undefined, unknownIn: this.#life })
    if (isDelete) for (const fact of seen.facts) fact.isLost = true
    if (isDelete) seen.owed.clear()
    return known
  }

  #closes({ facts }: SeenSchedule, at: number): void {
    const last = facts.at(-1)
    if (last?.until === Number.POSITIVE_INFINITY) last.until = at
  }

  /** It is known what a schedule is. `runs`: the ids of its runs. */
  is(name: string, known: ScheduleTerms | 'none', at: number, runs: readonly string[]): void {
    const seen = this.#of(name)
    this.#closes(seen, at)
    seen.known = known
    seen.facts.push({ from: at, until: Number.POSITIVE_INFINITY, known, isLost: false })
    if (known === 'none' || known.isPaused) seen.quiet = new Set(runs)
  }

  /** A request was refused with `CONFLICT`, or answered, though `known` says otherwise. */
  judgeAnswer(name: string, what: string, known: ScheduleKnown, isRefused: boolean): void {
    if (known === undefined) return
    if ((known === 'none') !== isRefused)
      this.#fails(
        'W1',
        name,
        `${what} is ${isRefused ? 'refused' : 'done'}, and it is ${text(known)}`,
      )
  }

  /** A trigger is asked for. */
  triggers(name: string): void {
    this.#of(name).triggers++
  }

  /** A trigger is answered with its run; `undefined`: it is refused. */
  triggered(name: string, id: string | undefined): void {
    const seen = this.#of(name)
    if (id === undefined) seen.triggers--
    else seen.owed.add(id)
  }

  /** A look at a schedule. */
  looked(name: string, row: ScheduleRow | undefined, at: number, runs: readonly string[]): void {
    const seen = this.#of(name)
    const found = row
      ? { cron: row.cron, missed: row.missed, overlap: row.overlap, isPaused: row.isPaused }
      : 'none'
    if (seen.known !== undefined) {
      if (text(found) !== text(seen.known))
        this.#fails('W1', name, `is ${text(found)}, and not ${text(seen.known)}`)
    } else if (seen.unknownIn < this.#life) this.is(name, found, at, runs)
  }

  /** The step of a run is tried, which got the time `at`. */
  begins(id: string, at: number, key: string): void {
    const name = id.split('/')[0] ?? ''
    const known = this.#keys.get(id)
    if (known !== undefined && known !== key) this.#fails('W3', name, `${id} has two runs`)
    this.#keys.set(id, key)
    if (at !== timeOf(id))
      this.#fails('W7', name, `${id} got the time ${new Date(at).toISOString()}`)
  }

  /** The runs that there are now, and those of them that have not started yet. */
  runs(name: string, ids: readonly string[], at: number, waits: (id: string) => boolean): void {
    const seen = this.#of(name)
    const found = new Set(ids)
    for (const id of ids) if (!seen.runs.has(id)) this.#judgeRun(name, seen, id, at)
    for (const id of seen.runs) if (!found.has(id)) this.#fails('W1', name, `the run ${id} is lost`)
    for (const id of seen.owed)
      if (!found.has(id) && !waits(id)) this.#fails('W1', name, `the triggered ${id} has no run`)
    const triggered = [...seen.runs].filter(isTriggered).length
    if (triggered > seen.triggers)
      this.#fails('W3', name, `${seen.triggers} triggers have ${triggered} runs`)
  }

  #judgeRun(name: string, seen: SeenSchedule, id: string, at: number): void {
    seen.runs.add(id)
    const time = timeOf(id)
    if (time > at) this.#fails('W7', name, `${id} begins before its time`)
    const isOfTime = !isTriggered(id)
    const isQuiet = seen.quiet && (seen.known === 'none' || isOfTime)
    if (isQuiet && !seen.quiet?.has(id)) this.#fails('W7', name, `${id} begins, and it is at rest`)
    if (!isOfTime) return
    const known = seen.facts[0]?.from ?? Number.POSITIVE_INFINITY
    if (time <= Math.min(known, seen.askedAt ?? known))
      this.#fails('W7', name, `${id} is of a time before its first`)
    for (const { from, until, known } of seen.facts) {
      if (time <= from || time >= until) continue
      const isTime = known !== 'none' && !known.isPaused && time % this.#every(known) === 0
      if (!isTime) this.#fails('W7', name, `${id} begins, and at its time it is ${text(known)}`)
    }
  }

  #every({ cron }: ScheduleTerms): number {
    return this.#everyMs[cron] ?? Number.NaN
  }

  /** Judges the end of all lives: nothing waits any more. */
  judgeEnd(at: number): void {
    for (const [name, seen] of this.#schedules) {
      this.#closes(seen, at)
      for (const id of seen.owed)
        if (!seen.runs.has(id)) this.#fails('W1', name, `the triggered ${id} has no run in the end`)
      for (const { from, until, known, isLost } of seen.facts) {
        if (known === 'none' || isLost || known.isPaused) continue
        if (known.missed !== 'all' || known.overlap !== 'allow') continue
        const every = this.#every(known)
        for (let time = (Math.floor(from / every) + 1) * every; time < until; time += every) {
          const id = `${name}/${new Date(time).toISOString()}`
          if (!seen.runs.has(id)) this.#fails('W7', name, `the time ${id} has no run`)
        }
      }
    }
  }

  #of(name: string): SeenSchedule {
    const found = this.#schedules.get(name) ?? new SeenSchedule()
    this.#schedules.set(name, found)
    return found
  }

  #fails(promise: string, name: string, text: string): void {
    this.wrong.push(`${promise}: the schedule ${name}: ${text}`)
  }
}

/** The id of a triggered run ends with letters after its time. */
const isTriggered = (id: string): boolean => id.split('/').length > 2

const timeOf = (id: string): number => Date.parse(id.split('/')[1] ?? '')

const text = (known: ScheduleKnown): string =>
  known === 'none' || known === undefined
    ? `${known}`
    : `${known.cron} ${known.missed} ${known.overlap}${known.isPaused ? ' paused' : ''}`
