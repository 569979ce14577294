/**
 * The running work of the durable actors of an instance: pending steps and alarms, background work,
 * and promises of machines. During a close no work begins. The close waits for running work, and
 * names the work that it cuts off.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { guardedAbort, type Logger } from '../../runtime/index.ts'
import { type FailedWork, type FailureLog, seconds } from './failure-log.ts'

/** Something that runs: `continue charge` of `order/42`. */
export class Work {
  readonly actor: string
  readonly what: string
  /** Of a turn: since when its handler runs, in ms since 1970. Its actor handles nothing else then. */
  readonly turnSince: number | undefined
  /** The pieces that run now: background work may name its own. */
  pieces: () => readonly string[] = () => []
  /** Called when the instance begins to close. */
  onClose: (() => void) | undefined = undefined
  #isClosing = false
  #closing: AbortController | undefined

  /** The log says that its handler does not end. */
  isSaid = false

  readonly #logger: Logger

  constructor(logger: Logger, actor: string, what: string, turnSince?: number) {
    this.#logger = logger
    this.actor = actor
    this.what = what
    this.turnSince = turnSince
  }

  get isClosing(): boolean {
    return this.#isClosing
  }

  /** Aborts when the instance begins to close. Made on first use: it takes 700 bytes. */
  get closing(): AbortSignal {
    this.#closing ??= guardedAbort(this.#logger, `${this.what} of ${this.actor}`)
    return this.#closing.signal
  }

  close(): void {
    this.#isClosing = true
    this.#closing?.abort(new KeelsonError('CLOSED', 'the instance is closing'))
    this.onClose?.()
  }
}

/** Work that a close has cut off. */
export type LateWork = { readonly actor: string; readonly what: string }

/** A turn whose handler runs since a time. `isRecorded`: the turn of a step or an alarm, not of a message. */
export type TurnAtWork = {
  readonly entity: string
  readonly what: string
  readonly since: number
  readonly isRecorded: boolean
}

/** A handler that has run for so long hangs, in ms. */
export const hangsMs = 10_000

/** The handler of a call or another message, whose promise is pending. A close does not wait for it by itself. */
export type Handled = {
  readonly actor: string
  readonly what: string
  readonly turnSince: number
  isSaid: boolean
}

/** The clock and the log by which hanging handlers are said. */
type Saying = { readonly clock: Clock; readonly log: FailureLog }

/** Keeps what an instance does by itself, beyond the end of its process. */
export interface WorkLedger {
  begins(work: string): void
  over(): void
  /** How many processes have ended under this work. */
  endsUnder(work: string): number
  /** It is parked: what comes after that counts from zero. */
  forget(work: string): void
}

/** `details.reason` of work that is parked because processes end under it. */
const processEnds = 'process ends'

/** Work under which so many processes have ended is not begun again by itself. */
const endsMax = 2

/** Work as the lines of the log name it. */
const namesOf = ({ actor, what }: Pick<Work, 'actor' | 'what'>): FailedWork => {
  const [kind = ''] = actor.split('/', 1)
  const facts = { entity: actor, what }
  return { kind, subject: `${actor}: ${what}`, alike: `${kind}: ${what}`, which: actor, facts }
}

const turnsIn = (
  works: Iterable<Work | Handled>,
  time: number,
  isRecorded: boolean,
): readonly TurnAtWork[] =>
  [...works].flatMap(({ actor: entity, what, turnSince: since }) =>
    since !== undefined && since < time ? [{ entity, what, since, isRecorded }] : [],
  )

/** The running work of one instance. */
export class ActorWork {
  readonly #logger: Logger
  readonly #isClosing: () => boolean
  readonly #ledger: WorkLedger | undefined
  readonly #running = new Set<Work>()
  readonly #handled = new Set<Handled>()
  /** The work that was still running at the deadline and has not settled since, with its pieces. */
  readonly #late = new Map<Work, readonly string[]>()
  readonly #lapsing = new Set<(reason: KeelsonError) => void>()
  readonly #onClosing = new Set<() => void>()
  /** Why the lease of this process has lapsed, until it is renewed. */
  #lapsed: KeelsonError | undefined
  #onIdle: (() => void) | undefined
  readonly #saying: Saying | undefined
  /** One timer for all turns: at its end each is looked at. */
  #cancelLook: Cancel | undefined

  readonly #isStarting: () => boolean

  /** `isClosing`: from then on nothing begins. `isStarting`: not all of the tree runs yet. */
  constructor(
    logger: Logger,
    isClosing: () => boolean,
    isStarting = () => false,
    ledger?: WorkLedger,
    saying?: Saying,
  ) {
    this.#logger = logger
    this.#isClosing = isClosing
    this.#isStarting = isStarting
    this.#ledger = ledger
    this.#saying = saying
  }

  /**
   * Calls the function of a step or an alarm. It is noted until it waits for something: it
   * may end the process.
   */
  alone<T>(actor: string, what: string, run: () => T): T {
    const ledger = this.#ledger
    if (ledger === undefined) return run()
    ledger.begins(`${actor} ${what}`)
    try {
      return run()
    } finally {
      ledger.over()
    }
  }

  /** Why a step or an alarm is to be parked, and not begun: two processes have ended under it. */
  endedUnder(actor: string, what: string): KeelsonError | undefined {
    const ends = this.#ledger?.endsUnder(`${actor} ${what}`) ?? 0
    if (ends < endsMax) return undefined
    const text = `${ends} processes have ended while ${actor} began ${what}`
    return new KeelsonError('UNKNOWN_OUTCOME', text, {
      details: { actor, what, ends, reason: processEnds },
    })
  }

  /** Whether `endedUnder` made this failure. */
  isEndedUnder(error: unknown): boolean {
    return isKeelsonError(error, 'UNKNOWN_OUTCOME') && error.details.reason === processEnds
  }

  /**
   * The work is parked. If an operator lets the work begin again, its ends are counted from zero.
   */
  isParked(actor: string, what: string): void {
    this.#ledger?.forget(`${actor} ${what}`)
  }

  /** Whether a failed try found that a part of the tree is not there yet: it does not count. */
  isTooEarly(error: unknown): boolean {
    return this.#isStarting() && isKeelsonError(error, 'NO_PROCESS')
  }

  /** Whether a failed try found that the instance closes, or its own shard leaves: it does not count. */
  isTooLate(error: unknown, isLeaving = false): boolean {
    return (isLeaving || this.#isClosing()) && isKeelsonError(error, 'CLOSED')
  }

  /** Whether the user's tree starts: a kind that is not known may be on its way. */
  get isStarting(): boolean {
    return this.#isStarting()
  }

  /** Whether a step, an alarm or background work may begin. */
  get mayBegin(): boolean {
    return !this.#isClosing()
  }

  begins(actor: string, what: string, turnSince?: number): Work {
    const work = new Work(this.#logger, actor, what, turnSince)
    this.#running.add(work)
    if (turnSince !== undefined && !this.#cancelLook) this.#lookIn(hangsMs)
    return work
  }

  /** The handler of a message waits for its promise. `answered` ends that. */
  handles(actor: string, what: string, turnSince: number): Handled {
    const handled = { actor, what, turnSince, isSaid: false }
    this.#handled.add(handled)
    if (!this.#cancelLook) this.#lookIn(hangsMs)
    return handled
  }

  /** The promise has settled, or its actor has ended first. */
  answered(handled: Handled, hasSettled: boolean): void {
    if (this.#handled.delete(handled) && hasSettled) this.#isSaidToEnd(handled)
  }

  #isSaidToEnd(work: Work | Handled): void {
    if (!work.isSaid || !this.#saying) return
    const ranMs = this.#saying.clock.now() - (work.turnSince ?? 0)
    this.#saying.log.recovered(namesOf(work), `has ended after ${seconds(ranMs)}`)
  }

  #lookIn(ms: number): void {
    const look = (): void => this.#lookForHanging()
    this.#cancelLook = this.#saying?.clock.after(ms, look, { holdsProcess: false })
  }

  /** Each handler that hangs is said once. */
  #lookForHanging(): void {
    this.#cancelLook = undefined
    if (!this.#saying) return
    const { clock, log } = this.#saying
    const now = clock.now()
    const turns = [...this.#running, ...this.#handled].filter(
      ({ turnSince, isSaid }) => turnSince !== undefined && !isSaid,
    )
    let next = Number.POSITIVE_INFINITY
    for (const work of turns) {
      const leftMs = (work.turnSince ?? now) + hangsMs - now
      if (leftMs > 0) next = Math.min(next, leftMs)
      else {
        work.isSaid = true
        log.hangs(namesOf(work), hangsMs - leftMs)
      }
    }
    if (Number.isFinite(next)) this.#lookIn(next)
  }

  /** Some work has settled, or its actor has ended first. */
  ends(work: Work, hasSettled: boolean): void {
    if (!this.#running.delete(work)) return
    if (hasSettled) this.#late.delete(work)
    if (hasSettled) this.#isSaidToEnd(work)
    if (this.#running.size === 0) this.#onIdle?.()
  }

  /** The turns of steps and alarms whose handlers have run since before this time, in ms since 1970. */
  turnsBefore(time: number): readonly TurnAtWork[] {
    return turnsIn(this.#running, time, true)
  }

  /** The turns of calls and other messages whose handlers have run since before this time. */
  handledBefore(time: number): readonly TurnAtWork[] {
    return turnsIn(this.#handled, time, false)
  }

  /**
   * Calls `abort` whenever this process may have lost the instance: another member may do
   * the same work. At once, if that is so now. Returns the function that forgets it.
   */
  whenLapsed(abort: (reason: KeelsonError) => void): () => void {
    if (this.#lapsed) abort(this.#lapsed)
    this.#lapsing.add(abort)
    return () => this.#lapsing.delete(abort)
  }

  /** The lease of this process has lapsed. It may come back. */
  lapse(reason: KeelsonError): void {
    this.#lapsed = reason
    for (const abort of [...this.#lapsing]) abort(reason)
  }

  /** The lease is renewed. */
  resume(): void {
    this.#lapsed = undefined
  }

  /**
   * Calls `hear` when the instance closes; at once, if it does. Returns the function that forgets it.
   * Work may wait for something that comes only after the next start, and the close waits for the work.
   */
  whenCloses(hear: () => void): () => void {
    if (this.#isClosing()) hear()
    else this.#onClosing.add(hear)
    return () => this.#onClosing.delete(hear)
  }

  /**
   * Asks the running work of each actor that `isLeaving` names to end, as at a close. Returns
   * whether any such work runs.
   */
  closes(isLeaving: (actor: string) => boolean): boolean {
    const work = [...this.#running].filter(({ actor }) => isLeaving(actor))
    for (const each of work) each.close()
    return work.length > 0
  }

  /** The instance closes. Resolves when nothing runs. */
  drained(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    for (const work of this.#running) work.close()
    for (const hear of [...this.#onClosing]) hear()
    this.#cancelLook?.()
    return this.#running.size === 0 ? Promise.resolve() : idle
  }

  /** The time is up: what runs now is late. */
  expire(): void {
    for (const work of this.#running) this.#late.set(work, work.pieces())
  }

  /** The late work, by its pieces if it has named them: it was cut off. */
  get late(): readonly LateWork[] {
    return [...this.#late].flatMap(([{ actor, what }, pieces]) =>
      (pieces.length > 0 ? pieces : [what]).map((piece) => ({ actor, what: piece })),
    )
  }
}
