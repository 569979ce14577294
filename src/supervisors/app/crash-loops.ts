/**
 * The children of an instance's supervisors, and its entities, that fail again and again, for
 * `health()`. It counts the reports of supervisors, which come with each end of a child that is not
 * orderly and with each start that fails. No supervisor starts an entity again, the next message
 * does: its crashes are counted. A process without failures costs nothing. Memory is bounded.
 */
import {
  type CrashFacts,
  describeReason,
  type SupervisorReport,
  type System,
  type TelemetryEvents,
} from '../../runtime/index.ts'

/** A child or an entity that fails again and again. */
export type CrashLoop = {
  /** Of a child its supervisor, by label or name, and its id: `app/mailer`. An entity: `order/17`. */
  readonly child: string
  /** Of an entity the message that it handled when it failed last, such as `call pay`. */
  readonly message: string | undefined
  readonly isEntity: boolean
  /** How often it ended or did not start in the last minute; 100 at most. */
  readonly failures: number
  /** When it failed first, with at most a minute between two failures. In ms since 1970. */
  readonly since: number
  /** When it failed last, in ms since 1970. */
  readonly at: number
  readonly reason: string
}

/** A supervisor that spent its restarts, and ended. */
export type GivenUp = {
  /** By label or name. */
  readonly supervisor: string
  /** The child whose end was one too many, by its id. */
  readonly child: string
  readonly reason: string
  /** When it ended last, in ms since 1970. */
  readonly at: number
  /** How often it did in the last ten minutes; 100 at most. */
  readonly times: number
}

/** The last failure of a process. */
type Failure = Pick<CrashLoop, 'message' | 'isEntity' | 'at'> & { readonly reason: unknown }

type Failing = { readonly times: number[]; readonly since: number; readonly last: Failure }

/** So many failures within the time are a loop: as many as a supervisor bears by default. */
const failuresMin = 3
const withinMs = 60_000

/** A supervisor that gave up longer ago is history. */
const gaveUpWithinMs = 600_000
const gaveUpMax = 10

const failuresMax = 100
const childrenMax = 1_000

/** The crash loops of one instance. */
export class CrashLoops {
  readonly #system: System
  readonly #instance: string
  /** The child that failed last is at the end. */
  readonly #failing = new Map<string, Failing>()
  /** The one that gave up last is at the end. */
  readonly #gaveUp = new Map<string, Omit<GivenUp, 'times'> & { readonly ends: number[] }>()

  /** It listens until `signal` aborts. */
  constructor(system: System, instance: string, signal: AbortSignal) {
    this.#system = system
    this.#instance = instance
    system.events.on('supervisor.report', this.#reported)
    system.events.on('process.crashed', this.#crashed)
    system.events.on('supervisor.gave_up', this.#spent)
    signal.addEventListener('abort', () => {
      system.events.off('supervisor.report', this.#reported)
      system.events.off('process.crashed', this.#crashed)
      system.events.off('supervisor.gave_up', this.#spent)
    })
  }

  /** The present ones. */
  get all(): readonly CrashLoop[] {
    const begin = this.#system.clock.now() - withinMs
    return [...this.#failing].flatMap(([child, { times, since, last }]) => {
      const failures = times.filter((at) => at > begin).length
      const reason = describeReason(last.reason)
      return failures < failuresMin ? [] : [{ child, failures, since, ...last, reason }]
    })
  }

  /** The supervisors that gave up in the last ten minutes, each once; ten at most. */
  get gaveUp(): readonly GivenUp[] {
    const begin = this.#system.clock.now() - gaveUpWithinMs
    return [...this.#gaveUp.values()].flatMap(({ ends, ...last }) =>
      last.at > begin ? [{ ...last, times: ends.filter((at) => at > begin).length }] : [],
    )
  }

  readonly #spent: TelemetryEvents['supervisor.gave_up'] = (event) => {
    const { instance, label, name, kind, id: child, at, reason } = event
    if (instance !== this.#instance) return
    const supervisor = label ?? name ?? kind
    const ends = [...(this.#gaveUp.get(supervisor)?.ends ?? []), at].slice(-failuresMax)
    this.#gaveUp.delete(supervisor)
    this.#gaveUp.set(supervisor, { supervisor, child, reason: describeReason(reason), at, ends })
    const [oldest = ''] = this.#gaveUp.keys()
    if (this.#gaveUp.size > gaveUpMax) this.#gaveUp.delete(oldest)
  }

  readonly #reported = (report: SupervisorReport): void => {
    const { instance, child, errorContext, label, name, kind, at } = report
    if (instance !== this.#instance || errorContext === 'shutdown_error') return
    if (child.restart === 'temporary') return
    const title = `${label ?? name ?? kind}/${child.id}`
    this.#failed(title, { at, reason: report.reason, message: undefined, isEntity: false })
  }

  readonly #crashed = ({ instance, kind, label, at, reason, lastMessage }: CrashFacts): void => {
    if (instance !== this.#instance || kind !== 'entity' || label === undefined) return
    this.#failed(label, { at, reason, message: lastMessage?.what, isEntity: true })
  }

  #failed(title: string, last: Failure): void {
    const { at } = last
    const before = this.#failing.get(title)
    const times = before?.times ?? []
    const since = before && at - before.last.at <= withinMs ? before.since : at
    times.push(at)
    if (times.length > failuresMax) times.shift()
    this.#failing.delete(title)
    if (this.#failing.size >= childrenMax) this.#forgetOldest()
    this.#failing.set(title, { times, since, last })
  }

  #forgetOldest(): void {
    for (const title of this.#failing.keys()) {
      this.#failing.delete(title)
      return
    }
  }
}
