/**
 * The lines of the log about work of the user that fails: the first failure of each kind and error, and
 * the 10th, the 100th …; each work that is stuck, each that has ended so, and each that recovers. A kind
 * gets at most ten lines of each of these sorts in a minute, and a line says how many were left out.
 */
import type { Clock } from '../../clock.ts'
import { errorOf, type KeptError } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import type { Logger, LogLevel } from '../../runtime/index.ts'

/** Work that fails, as lines name it. */
export type FailedWork = {
  /** The kind of its actor, its workflow or its queue: the limit is one for all work of a kind. */
  readonly kind: string
  /** `order/17: continue charge`, `payment/7: step charge`, `mails: job 91`. */
  readonly subject: string
  /** As `subject`, without its id: `order: continue charge`, `mails: job`. */
  readonly alike: string
  /** That id: `order/17`, `job 91`. */
  readonly which: string
  /** The facts of its lines. */
  readonly facts: Readonly<Record<string, unknown>>
}

/** A try that has failed. */
export type FailedTry = {
  readonly tries: number
  readonly triesMax: number | undefined
  /** The next event: `the next one is in 1000 ms`. */
  readonly next: string
  /** When the next try begins, in ms since 1970; `undefined`: there is none. */
  readonly retryAt: number | undefined
  /** When the work failed first. */
  readonly since: number | undefined
}

/** Work that failed so often is stuck. */
export const stuckTries = 3

/** The most kinds of failures that are kept. A further one takes the place of the quietest. */
const seenMax = 1_000

/** A failure that was not seen for this long counts from 1 again. */
const forgetMs = 600_000

const windowMs = 60_000
const linesMax = 10

type Line = { readonly level: LogLevel; readonly text: string; readonly reason?: unknown }

/** Writes the lines of one instance. */
export class FailureLog {
  readonly #logger: Logger
  readonly #clock: Pick<Clock, 'now'>
  /** The kind that was seen last is at the end, in both. */
  readonly #seen = new Map<string, { count: number; at: number }>()
  readonly #windows = new Map<string, { readonly since: number; lines: number; leftOut: number }>()

  constructor({ logger, clock }: { readonly logger: Logger; readonly clock: Pick<Clock, 'now'> }) {
    this.#logger = logger
    this.#clock = clock
  }

  /** A try has failed. `reason`: the error itself, if that may be shown. */
  failed(work: FailedWork, tried: FailedTry, error: KeptError, reason?: unknown): void {
    const { tries, triesMax, next, retryAt, since } = tried
    const now = this.#clock.now()
    const at = `try ${tries}${triesMax === undefined ? '' : ` of ${triesMax}`}, ${next}`
    const text = keptText(error)
    const facts = { tries, ...(triesMax !== undefined && { triesMax }), at: retryAt }
    const [shown, said] = [
      reason ?? errorOf(error),
      { ...work, facts: { ...work.facts, ...facts } },
    ]
    const count = this.seen(`${work.alike} ${error.code ?? error.name}`, now)
    if (count === 1) {
      this.#line('failed', said, { ...warning(`failed at ${at}: ${text}`), reason: shown })
      return
    }
    if (Number.isInteger(Math.log10(count)))
      this.#logger.warn(
        `${work.alike} has failed ${count} times; ${work.which} at ${at}: ${text}`,
        { ...said.facts, count },
      )
    if (tries !== stuckTries || retryAt === undefined) return
    const within = since === undefined ? '' : ` within ${seconds(now - since)}`
    const stuck = `is stuck: it has failed ${tries} times${within}, ${next}: ${text}`
    this.#line('stuck', said, { ...warning(stuck), reason: shown })
  }

  /** It has ended with this failure, or waits for a person. `how`: `is dead after 12 tries`. */
  ended(work: FailedWork, how: string, error: KeptError, reason?: unknown): void {
    const text = `${how}: ${keptText(error)}`
    this.#line('ended', work, { level: 'error', text, reason: reason ?? errorOf(error) })
  }

  /** Its handler has run for so long, and its actor handles nothing else. */
  hangs(work: FailedWork, ranMs: number): void {
    const text = `hangs: it has run for ${seconds(ranMs)}, and ${work.which} handles nothing else`
    this.#line('hangs', work, warning(text))
  }

  /** It was stuck, or had ended so, and fails no longer. `how`: `has succeeded at try 4`. */
  recovered(work: FailedWork, how: string): void {
    this.#line('recovered', work, { level: 'info', text: how })
  }

  /** Counts a failure of this kind; returns how often it was seen. */
  seen(kind: string, now: number): number {
    const before = this.#seen.get(kind)
    const count = before !== undefined && now - before.at < forgetMs ? before.count + 1 : 1
    place(this.#seen, kind, { count, at: now })
    return count
  }

  #line(sort: string, { kind, subject, facts }: FailedWork, { level, text, reason }: Line): void {
    const now = this.#clock.now()
    const key = `${sort} ${kind}`
    const known = this.#windows.get(key)
    const isOpen = known !== undefined && now - known.since < windowMs
    const window = isOpen ? known : { since: now, lines: 0, leftOut: 0 }
    if (window.lines >= linesMax) {
      window.leftOut++
      return
    }
    window.lines++
    place(this.#windows, key, window)
    const leftOut = isOpen ? 0 : (known?.leftOut ?? 0)
    const notes = [
      leftOut > 0 ? ` (${leftOut} lines like this one were left out)` : '',
      window.lines === linesMax
        ? ` (further ones of ${kind} are left out for ${seconds(window.since + windowMs - now)})`
        : '',
    ]
    this.#logger[level](`${subject} ${text}${notes.join('')}`, {
      ...facts,
      ...(reason !== undefined && { reason }),
      ...(leftOut > 0 && { leftOut }),
    })
  }
}

const warning = (text: string): Line => ({ level: 'warn', text })

/** A time in whole seconds. */
export const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1_000))} s`

/** Puts an entry at the end of a map, in which the first one makes room for it. */
const place = <T>(map: Map<string, T>, key: string, value: T): void => {
  map.delete(key)
  const [first] = map.size >= seenMax ? map.keys() : []
  if (first !== undefined) map.delete(first)
  map.set(key, value)
}
