/**
 * The world outside of random workflows: it sees every body, try, undo and outcome, and notes what
 * breaks a promise. W2: outcomes come in the recorded order, and decided steps rest. W3: a step of
 * `once` runs once. W6: no new step after an acknowledged cancel, undos from the newest on. W7: no
 * timer is early. W8: signals come in order, each once.
 */

import type { Clock } from '../../../src/clock.ts'
import type { Try } from '../../../src/flow/index.ts'
import type { Part, Plan, PlanWorld } from './flow-plan.ts'

type Step = Extract<Part, { readonly kind: 'step' }>

/** A run, as the world sees it. */
class SeenRun {
  /** The outcomes that bodies of this lap got, in order. */
  outcomes: string[] = []
  /** How many of them the present body got. */
  got = 0
  /** The present body began before its outcomes were taken back: the next one is judged. */
  isOutdated = false
  lap = -1
  /** The steps in the order of asking. */
  readonly asked: string[] = []
  /** How often a try ran, by its key in the outside world. */
  readonly tries = new Map<string, number>()
  /** Steps whose outcome the body got in this lap. */
  readonly decided = new Set<string>()
  /** Steps with undo whose try ran since the run was begun, or tried again. */
  readonly toUndo = new Set<string>()
  readonly undone: string[] = []
  readonly sleepsFrom = new Map<string, number>()
  lastSignal = 0
  lastUpdate = 0
  isCancelled = false
  /** It was, or may have been, ended without undos. */
  isForced = false
  /** The body runs anew under other circumstances: it was retried or settled by hand. */
  wasHelped = false
}

/** The world outside. */
export class OutsideWorld {
  readonly wrong: string[] = []
  readonly #runs = new Map<string, SeenRun>()
  readonly #clock: Clock
  #setMs = 0
  #life = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The world for another program. Nothing that an earlier one still does is seen. */
  nextLife(): PlanWorld {
    const life = ++this.#life
    const isPresent = () => life === this.#life
    return {
      begins: (...args) => isPresent() && this.#begins(...args),
      asks: (...args) => isPresent() && this.#asks(...args),
      tries: (...args) => (isPresent() ? this.#tries(...args) : new Promise(() => undefined)),
      undoes: (...args) => isPresent() && this.#undoes(...args),
      gets: (...args) => isPresent() && this.#gets(...args),
      sleeps: (...args) => isPresent() && this.#sleeps(...args),
      wakes: (...args) => isPresent() && this.#wakes(...args),
    }
  }

  get runs(): Iterable<readonly [id: string, run: SeenRun]> {
    return this.#runs
  }

  run(id: string): SeenRun {
    const found = this.#runs.get(id) ?? new SeenRun()
    this.#runs.set(id, found)
    return found
  }

  #begins(id: string, plan: Plan): void {
    const run = this.run(id)
    const lap = lapsOf(plan)
    if (lap !== run.lap) {
      Object.assign(run, { outcomes: [], lap })
      for (const kept of [run.decided, run.sleepsFrom, run.toUndo]) kept.clear()
      for (const kept of [run.asked, run.undone]) kept.length = 0
    }
    Object.assign(run, { got: 0, isOutdated: false })
  }

  #asks(id: string, key: string): void {
    const { asked } = this.run(id)
    if (!asked.includes(key)) asked.push(key)
  }

  async #tries(id: string, step: Step, { key, attempt, signal }: Try): Promise<string> {
    const run = this.run(id)
    const path = stepOf(key)
    const count = (run.tries.get(key) ?? 0) + 1
    const isNew = count === 1
    run.tries.set(key, count)
    if (run.decided.has(path)) this.#fails('W2', id, `${path} runs after its outcome`)
    if (step.isOnce && count > 1 && !run.wasHelped) this.#fails('W3', id, `${path} ran twice`)
    if (run.isCancelled && isNew) this.#fails('W6', id, `${path} begins after the cancel`)
    if (step.hasUndo) run.toUndo.add(key)
    if (step.lastsMs > 0) await this.later(step.lastsMs)
    if (signal.aborted) throw new Error('aborted')
    if (attempt <= step.fails) throw new Error(`try ${attempt} fails`)
    return `${count}`
  }

  #undoes(id: string, key: string): void {
    const { undone } = this.run(id)
    if (!undone.includes(key)) undone.push(key)
  }

  #gets(id: string, key: string, outcome: string): void {
    const run = this.run(id)
    if (run.isOutdated) return
    const at = run.got++
    const before = run.outcomes[at]
    if (before === undefined) run.outcomes.push(outcome)
    else if (before !== outcome) this.#fails('W2', id, `${outcome}, in an earlier life ${before}`)
    // A branch that was cancelled leaves no outcome: its step may run again under its key.
    const isDecided = !outcome.endsWith('!CANCELLED')
    if (isDecided && run.asked.includes(key)) run.decided.add(key)
    if (before !== undefined) return
    const update = /^tell=(\d+)$/.exec(outcome)
    if (update) {
      const told = Number(update[1])
      if (told <= run.lastUpdate) this.#fails('W8', id, `update ${told} after ${run.lastUpdate}`)
      run.lastUpdate = told
    }
    const signal = /^[^=!]*wait\d+=(\d+)$/.exec(outcome)
    if (!signal) return
    const number = Number(signal[1])
    if (number <= run.lastSignal) this.#fails('W8', id, `signal ${number} after ${run.lastSignal}`)
    run.lastSignal = number
  }

  /**
   * The clock was set by so much. An instance that starts at any time later takes it for time that has passed. Of whole ms of
   * one clock and the other clock's fractions it knows the step to a ms: a sleep that lasts over it ends up to 1 ms early.
   */
  clockSet(ms: number): void {
    this.#setMs += Math.max(0, ms) + 1
  }

  /** The time that has passed, whatever was set. */
  get #now(): number {
    return Math.floor(this.#clock.monotonic())
  }

  #sleeps(id: string, key: string): void {
    const { sleepsFrom } = this.run(id)
    if (!sleepsFrom.has(key)) sleepsFrom.set(key, this.#now)
  }

  #wakes(id: string, key: string, ms: number): void {
    const from = this.run(id).sleepsFrom.get(key) ?? Number.NEGATIVE_INFINITY
    if (this.#now - from + this.#setMs < ms)
      this.#fails('W7', id, `${key} wakes after ${this.#now - from} ms`)
  }

  /**
   * The run `id` has a fork, which begins with its outcomes from before an operation: their steps do
   * not run, and are undone under their keys. A run that `wasUndone`, or is being undone, promises less: those of its
   * steps run again.
   */
  forks(id: string, other: string, from: string, wasUndone: boolean): void {
    const [run, fork] = [this.run(id), this.run(other)]
    const end = run.outcomes.findIndex((each) =>
      [`${from}=`, `${from}!`].some((key) => each.startsWith(key)),
    )
    fork.lap = run.lap
    // An operation that was cancelled has no outcome, so it has no place before which others are.
    const wasCancelled = run.outcomes[end]?.endsWith('!CANCELLED') === true
    const isVague = wasUndone || wasCancelled || run.wasHelped
    for (const [key, at] of run.sleepsFrom) if (isVague) fork.sleepsFrom.set(key, at)
    if (isVague) fork.wasHelped = true
    else {
      fork.outcomes = run.outcomes.slice(0, end < 0 ? undefined : end)
      const keys = new Set(fork.outcomes.filter((each) => !each.endsWith('!CANCELLED')).map(keyOf))
      for (const [key, at] of run.sleepsFrom) if (keys.has(key)) fork.sleepsFrom.set(key, at)
      for (const key of run.decided) if (keys.has(key)) fork.decided.add(key)
      for (const key of run.toUndo) if (fork.decided.has(stepOf(key))) fork.toUndo.add(key)
    }
  }

  /** The run begins again from outcomes that were taken back. */
  helped(id: string): void {
    const run = this.run(id)
    const anew = { outcomes: [], got: 0, lastSignal: 0, lastUpdate: 0, isForced: false }
    Object.assign(run, { ...anew, wasHelped: true, isOutdated: true, isCancelled: false })
    for (const kept of [run.decided, run.toUndo]) kept.clear()
    run.undone.length = 0
  }

  /** Judges a run that has ended. */
  ended(id: string, status: string): void {
    const { toUndo, undone, asked, wasHelped, isForced } = this.run(id)
    if (status === 'completed' && undone.length > 0 && !wasHelped)
      this.#fails('W6', id, `it has completed, and ${undone} were undone`)
    if (status === 'completed' || wasHelped) return
    const missing = [...toUndo].filter((key) => !undone.includes(key))
    if (missing.length > 0 && !isForced)
      this.#fails('W6', id, `${missing} ran, and were not undone`)
    const places = undone.map((key) => asked.indexOf(stepOf(key)))
    const isNewestFirst = places.every((place, at) => at === 0 || place < (places[at - 1] ?? 0))
    if (!isNewestFirst) this.#fails('W6', id, `undone in the order ${undone}`)
  }

  later(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, () => resolve()))
  }

  #fails(promise: string, id: string, text: string): void {
    this.wrong.push(`${promise}: the run ${id}: ${text}`)
  }
}

/** The key of a step in the key of its tries. */
const stepOf = (key: string): string => key.split('/').slice(5).join('/')

/** The key of an outcome. */
const keyOf = (outcome: string): string => outcome.split(/[=!]/)[0] ?? ''

/** How many laps a plan has: another number in each lap of a run. */
const lapsOf = ({ end }: Plan): number => (typeof end === 'object' ? 1 + lapsOf(end.again) : 1)
