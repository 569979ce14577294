/**
 * Handles failed tries of steps and alarms, as `retry-policy.ts` decides. A turn records each failure
 * before the next try: the count of tries, the error, and the time of the next try.
 * When the tries have ended, the handler `onFailed` runs, or the step or the alarm is parked. The
 * actor goes on in each case. A try for which the program lacks a declaration has not happened: no
 * row changes, and it comes again after a pause that is in memory. It is apart from
 * `durable-process.ts`, its only importer, because it remembers failures over many turns.
 */
import { backoffMs } from '../../clock.ts'
import { isMissing, type KeelsonError, keptError } from '../../errors.ts'
import { alikeText, keptText } from '../../failure-record.ts'
import { type FormatStatus, type Process, shownStatus } from '../../runtime/index.ts'
import { emit } from '../core/storage-events.ts'
import type { FailedTurn } from '../turns/actor-trouble.ts'
import { type FailedWork, stuckTries } from '../turns/failure-log.ts'
import { type Crash, isParked, type Memory, settingOf } from '../turns/memory.ts'
import { type AfterTry, afterTry, type Failure, failureOf } from '../turns/retry-policy.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { Run } from '../turns/turn-run.ts'
import type { DurableTerms } from './durable-terms.ts'
import { alarmAt, stepAt } from './recorded-work.ts'

/** Makes a turn that changes no state. False: it was refused. */
type RecordTurn = (what: string, change: (draft: TurnDraft) => void) => boolean

/** The pause after a try that came before the tree had started. */
const earlyMs = 100

/** The pauses before the program is asked again for a declaration that it lacks. */
const lackingPauses = { baseMs: 100, maxMs: 30_000 }

/** A step or an alarm that waits for a declaration: how often it was asked for, and its next try. */
type Lacking = { readonly tries: number; readonly until: number }

/** The failed tries of one actor. */
export class FailedTries {
  readonly #terms: DurableTerms
  readonly #process: Process
  /** Whether it has noted failures that its next turn may have ended. */
  #isFailing: boolean
  /** By their settings. */
  readonly #lacking = new Map<string, Lacking>()
  /** The steps and alarms whose tries have ended, and which `onFailed` consumes. */
  readonly #handedOver = new Set<string>()

  constructor(terms: DurableTerms, process: Process) {
    this.#terms = terms
    this.#process = process
    const { trouble, identity } = terms
    this.#isFailing = trouble.failing.has(identity.entity)
  }

  get #entity(): string {
    return this.#terms.identity.entity
  }

  /**
   * Takes the failure of a try of a step or an alarm, or of the handler `onFailed`. `state` is the state
   * of the actor; `record` makes the turn that records the failure.
   */
  failed(run: Run, thrown: unknown, state: unknown, record: RecordTurn): void {
    const { step, alarm, what } = run
    const { work, shard } = this.#terms
    // Nothing begins in a close, and in a shard that leaves: at the next owner the same try comes again.
    if (work.isTooLate(thrown, shard.isLeaving)) return
    if (work.isTooEarly(thrown)) {
      this.#tryLater(run, record)
      return
    }
    if (isMissing(thrown)) {
      this.#lacks(run, thrown)
      return
    }
    const before = step?.tries ?? alarm?.set.tries ?? 0
    const tries = run.kind === 'onFailed' ? before : before + 1
    const now = this.#terms.shard.now()
    const { inMs, ...after } = this.#after(run, tries, thrown)
    const retryAt = now + inMs
    const shown = this.shown(run, after.error, state)
    const failure = failureOf({ ...after, error: shown }, now, step?.failure ?? alarm?.set.failure)
    const isRecorded = record(what, (draft) => {
      if (step) draft.keepStep({ ...step, tries, failure, notBefore: retryAt, wakeAt: retryAt })
      if (alarm) draft.setAlarm(alarm.name, { ...alarm.set, tries, failure, dueAt: retryAt })
    })
    if (!isRecorded) return
    if (failure.next === 'unblock') work.isParked(this.#entity, what)
    const text = keptText(failure.error)
    const failing = { entity: this.#entity, what, tries, retryAt, error: text }
    const name = step?.step ?? alarm?.name ?? what
    if (failure.next !== 'unblock') this.#terms.trouble.fails(name, failing, now)
    if (failure.next === 'onFailed') this.#handedOver.add(name)
    this.#isFailing = true
    this.#log(failing, failure, shown)
    this.#report(failing, failure, shown)
  }

  /** The record of a crash in a handler, after those with the same error. */
  crashed(run: Run, thrown: unknown, { state, crash: before }: Memory): Crash {
    const what = this.#messageOf(run)
    const error = this.shown(run, thrown, state)
    const now = this.#terms.shard.now()
    const isSame =
      before?.what === what && alikeText(before.failure.error) === alikeText(keptError(error))
    const failure = failureOf({ next: 'retry', error }, now, isSame ? before.failure : undefined)
    return { what, count: isSame ? before.count + 1 : 1, failure }
  }

  /** A handler has succeeded: the record of its crash goes. */
  succeeded(draft: TurnDraft, crash: Crash): void {
    if (crash.what === this.#messageOf(draft.run)) draft.keepCrash(undefined)
  }

  /** The message of a turn in two words; of a machine the event. */
  #messageOf({ what, name, payload }: Run): string {
    const event = this.#terms.table.eventOf?.(name, payload)
    return event === undefined ? what : `event ${event}`
  }

  /** The order of the parts of a tree does not matter: the same try comes again, and does not count. */
  #tryLater({ step, alarm, what }: Run, record: RecordTurn): void {
    const at = this.#terms.shard.now() + earlyMs
    record(what, (draft) => {
      if (step) draft.keepStep({ ...step, notBefore: at, wakeAt: at })
      if (alarm) draft.setAlarm(alarm.name, { ...alarm.set, dueAt: at })
    })
  }

  /** The program lacks what this step or alarm names: it is left alone for a while, as it is. */
  #lacks({ step, alarm, what }: Run, error: KeelsonError): void {
    const { trouble } = this.#terms
    const now = this.#terms.shard.now()
    const name = step?.step ?? alarm?.name ?? what
    const setting = alarm ? settingOf(alarm.name, alarm.set) : name
    const known = this.#lacking.get(setting) ?? trouble.failing.get(this.#entity)?.get(name)
    const tries = (known?.tries ?? 0) + 1
    const retryAt = now + backoffMs(lackingPauses, tries)
    this.#lacking.set(setting, { tries, until: retryAt })
    this.#isFailing = true
    const text = keptText(keptError(error))
    trouble.fails(name, { entity: this.#entity, what, tries, retryAt, error: text }, now)
    const { kernel, logged } = this.#process
    if (trouble.log.seen(`lacking ${error.message}`, now) === 1)
      kernel.logger.warn(`${this.#entity}: ${what} waits: ${error.message}`, logged)
  }

  /** Until when this step or alarm waits for a declaration; 0: it may run. */
  waitsUntil(setting: string): number {
    return this.#lacking.get(setting)?.until ?? 0
  }

  #after(run: Run, tries: number, error: unknown): AfterTry {
    const { retry, onFailed, triedOnce } = this.#terms.table
    if (run.kind === 'onFailed' || this.#terms.work.isEndedUnder(error))
      return { error, next: 'unblock', inMs: 0 }
    if (run.step && triedOnce[run.name]) return { error, next: 'onFailed', inMs: 0 }
    const section = run.step ? 'continues' : 'alarms'
    const tried = { section, name: run.name, tries } as const
    const drawn = this.#process.kernel.clock.random()
    return afterTry(retry, tried, error, onFailed !== undefined, drawn)
  }

  #report({ entity, what, tries, retryAt }: FailedTurn, { next }: Failure, error: unknown): void {
    const { kernel } = this.#process
    const { shard } = this.#terms
    const isAgain = next === 'retry'
    emit(kernel, shard, 'entity.failed', {
      entity,
      what,
      tries,
      retryAt: isAgain ? retryAt : undefined,
      error,
    })
    if (next === 'unblock') emit(kernel, shard, 'entity.parked', { entity, what, tries, error })
  }

  /**
   * The error as the server's `formatStatus` shows it. Rows, events and lines of the log have this one
   * only, and so has the reason why an actor is blocked: rows are shown by many words, and some know no server.
   */
  shown({ what, payload }: Run, reason: unknown, state: unknown): unknown {
    const formatStatus = this.#terms.table.formatStatus as FormatStatus | undefined
    if (formatStatus === undefined) return reason
    const status = { state, lastMessage: { what, payload }, reason }
    return shownStatus(formatStatus, status).reason
  }

  #log({ what, tries, retryAt }: FailedTurn, failure: Failure, shown: unknown): void {
    const { log } = this.#terms.trouble
    const { next, error, triesMax, since } = failure
    const work = this.#workOf(what)
    if (next === 'unblock') {
      log.ended(work, `is parked after ${tries} tries until unblock`, error, shown)
      return
    }
    const inMs = Math.max(0, Math.round(retryAt - this.#terms.shard.now()))
    const isAgain = next === 'retry'
    const tried = {
      tries,
      triesMax,
      since,
      retryAt: isAgain ? retryAt : undefined,
      next: isAgain ? `the next one is in ${inMs} ms` : 'onFailed is next',
    }
    log.failed(work, tried, error, shown)
  }

  #workOf(what: string): FailedWork {
    const { kind } = this.#terms.identity
    return {
      kind,
      subject: `${this.#entity}: ${what}`,
      alike: `${kind}: ${what}`,
      which: this.#entity,
      facts: this.#process.logged,
    }
  }

  /** A turn is durable. Forgets the failures of steps and alarms that it removed. */
  durable({ steps, alarms }: Memory): void {
    if (!this.#isFailing) return
    const failing = new Set<string>()
    const parked = new Set<string>()
    const settings = new Set<string>()
    const keep = (
      name: string,
      setting: string,
      tried: Parameters<typeof isParked>[0],
      tries: number,
    ) => {
      settings.add(setting)
      if (isParked(tried)) parked.add(name)
      else if (tries > 0 || this.#lacking.has(setting)) failing.add(name)
    }
    for (const step of steps) keep(step.step, step.step, step, step.tries)
    for (const [name, alarm] of alarms) keep(name, settingOf(name, alarm), alarm, alarm.tries)
    for (const setting of this.#lacking.keys())
      if (!settings.has(setting)) this.#lacking.delete(setting)
    this.#recovered((name) => failing.has(name) || parked.has(name))
    this.#isFailing = this.#terms.trouble.keeps(this.#entity, failing)
  }

  /** Says which of the work that was stuck fails no longer. */
  #recovered(isFailing: (name: string) => boolean): void {
    const { trouble } = this.#terms
    for (const [name, { what, tries }] of trouble.failing.get(this.#entity) ?? []) {
      if (isFailing(name) || this.#handedOver.delete(name) || tries < stuckTries) continue
      trouble.log.recovered(this.#workOf(what), `fails no longer, after ${tries} failed tries`)
    }
  }

  /** Lets parked steps and alarms run again. Returns false if there is none. */
  unpark(draft: TurnDraft): boolean {
    const { steps, alarms } = draft.before.memory
    const now = this.#terms.shard.now()
    const [parkedSteps, parkedAlarms] = [steps.filter(isParked), [...alarms].filter(isSetParked)]
    for (const step of parkedSteps) draft.keepStep(stepAt(step, now))
    for (const [name, set] of parkedAlarms) draft.setAlarm(name, alarmAt(set, now))
    return parkedSteps.length + parkedAlarms.length > 0
  }
}

const isSetParked = ([, set]: readonly [string, Parameters<typeof isParked>[0]]): boolean =>
  isParked(set)
