/**
 * The children of an instance's supervisors that fail again and again, for `health()`. It counts the
 * reports of supervisors, which come with each end of a child that is not orderly and with each
 * start that fails: a child without failures costs nothing. Memory is bounded.
 */
import { describeReason, type SupervisorReport, type System } from '../../runtime/index.ts'

/** A child that fails again and again. */
export type CrashLoop = {
  /** Its supervisor, by label or name, and its id: `app/mailer`. */
  readonly child: string
  /** How often it ended or did not start in the last minute; 100 at most. */
  readonly failures: number
  /** When it failed first, with at most a minute between two failures. In ms since 1970. */
  readonly since: number
  /** When it failed last, in ms since 1970. */
  readonly at: number
  readonly reason: string
}

type Failing = { readonly times: number[]; readonly since: number; last: SupervisorReport }

/** So many failures within the time are a loop: as many as a supervisor bears by default. */
const failuresMin = 3
const withinMs = 60_000

const failuresMax = 100
const childrenMax = 1_000

/** The crash loops of one instance. */
export class CrashLoops {
  readonly #system: System
  readonly #instance: string
  /** The child that failed last is at the end. */
  readonly #failing = new Map<string, Failing>()

  /** It listens until `signal` aborts. */
  constructor(system: System, instance: string, signal: AbortSignal) {
    this.#system = system
    this.#instance = instance
    system.events.on('supervisor.report', this.#reported)
    signal.addEventListener('abort', () => {
      system.events.off('supervisor.report', this.#reported)
    })
  }

  /** The present ones. */
  get all(): readonly CrashLoop[] {
    const begin = this.#system.clock.now() - withinMs
    return [...this.#failing].flatMap(([child, { times, since, last }]) => {
      const failures = times.filter((at) => at > begin).length
      const reason = describeReason(last.reason)
      return failures < failuresMin ? [] : [{ child, failures, since, at: last.at, reason }]
    })
  }

  readonly #reported = (report: SupervisorReport): void => {
    const { instance, child, errorContext, label, name, kind, at } = report
    if (instance !== this.#instance || errorContext === 'shutdown_error') return
    if (child.restart === 'temporary') return
    const title = `${label ?? name ?? kind}/${child.id}`
    const before = this.#failing.get(title)
    const times = before?.times ?? []
    const since = before && at - before.last.at <= withinMs ? before.since : at
    times.push(at)
    if (times.length > failuresMax) times.shift()
    this.#failing.delete(title)
    if (this.#failing.size >= childrenMax) this.#forgetOldest()
    this.#failing.set(title, { times, since, last: report })
  }

  #forgetOldest(): void {
    for (const title of this.#failing.keys()) {
      this.#failing.delete(title)
      return
    }
  }
}
