/**
 * Does what comes after a refused turn, as `after-refusal.ts` decides, and after a step or an alarm
 * that failed: callers are told, tries are recorded, the actor is blocked. While its first turn
 * waits for space, it refuses the calls of users.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type AnyContext, describeReason, isCall, type Process } from '../../runtime/index.ts'
import { tell } from '../shard/storage-events.ts'
import type { FailingTurn } from '../turns/actor-trouble.ts'
import { afterRefusal, afterThrow, type Refused } from '../turns/after-refusal.ts'
import type { Memory } from '../turns/memory.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import { backoffMs, failing, overtaken, type Run, throwing } from '../turns/turn-run.ts'
import { blocked } from '../turns/waking.ts'
import type { DurableTerms } from './durable-terms.ts'

/** What refusals need of their actor. */
interface Refusing {
  readonly terms: DurableTerms
  readonly context: AnyContext
  blocked: KeelsonError | undefined
  /** Milliseconds since 1970, as the shard counts them. */
  now(): number
  /** Makes a turn that changes no state. False: it was refused. */
  record(what: string, change: (draft: TurnDraft) => void): boolean
}

/** The refused turns of one actor. */
export class Refusals {
  readonly #actor: Refusing
  readonly #process: Process
  /** Whether it has noted failures that its next turn may have ended. */
  #isFailing: boolean
  #cutOff: (() => void) | undefined

  constructor(actor: Refusing, process: Process) {
    this.#actor = actor
    this.#process = process
    const { trouble, identity } = actor.terms
    this.#isFailing = trouble.failing.has(identity.entity)
  }

  get #entity(): string {
    return this.#actor.terms.identity.entity
  }

  /**
   * Does the next step after a refusal; `fail` tells the caller. Returns the turn that is to be
   * handled next, if there is one.
   */
  after(run: Run, refused: Refused, fail: () => boolean | undefined): Run | undefined {
    const { error } = refused
    const { table } = this.#actor.terms
    const next = afterRefusal(run.kind, refused)
    if (next === 'retry' && this.#process.alive) return run.by(throwing(error))
    const onError = table.refused[run.name]
    if (next === 'onError' && onError) return failing(onError, run, error)
    if (next === 'end') this.#process.fail(refused.isOvertaken ? overtaken(this.#entity) : error)
    else if (next === 'block') this.#block(error)
    else this.told(run, error, fail())
    return undefined
  }

  /** A turn was refused. `isTold`: its caller has the error; otherwise it is logged. */
  told(run: Run, error: unknown, isTold: boolean | undefined): void {
    const { context, terms } = this.#actor
    const code = isKeelsonError(error) ? error.code : 'INVALID_ARGUMENT'
    terms.trouble.refuses(code)
    const { what } = run
    tell(context.system, terms.shard, 'entity.refused', { entity: this.#entity, what, error })
    // A recorded turn runs again when its actor wakes.
    if (isTold || run.step || run.alarm || run.kind === 'record' || run.kind === 'birth') return
    const message = `${this.#entity}: ${what} was refused: ${describeReason(error)}`
    this.#process.kernel.logger.error(message, { reason: error })
  }

  /** The process has ended before these turns could be handled again. */
  cut(runs: readonly Run[], error: unknown): void {
    for (const run of runs) if (run.from === undefined) this.told(run, error, false)
  }

  /** The handler of a turn threw whose throw does not end the process. */
  threw(run: Run, error: unknown): void {
    if (afterThrow(run.kind) === 'block') this.#block(error)
    else this.#tryLater(run, error)
  }

  /** Records that a step or an alarm failed, and when it is tried again. */
  #tryLater({ step, alarm, what }: Run, error: unknown): void {
    const { terms, context } = this.#actor
    const tries = (step?.tries ?? alarm?.set.tries ?? 0) + 1
    const retryAt = this.#actor.now() + backoffMs(tries)
    const isRecorded = this.#actor.record(what, (draft) => {
      if (step) draft.keepStep({ ...step, tries, notBefore: retryAt, wakeAt: retryAt })
      if (alarm) draft.setAlarm(alarm.name, { ...alarm.set, tries, dueAt: retryAt })
    })
    if (!isRecorded) return
    const failure = { entity: this.#entity, what, tries, retryAt, error: describeReason(error) }
    terms.trouble.fails(step?.step ?? alarm?.name ?? what, failure)
    this.#isFailing = true
    this.#logFailure(failure, error)
    tell(context.system, terms.shard, 'entity.failed', { ...failure, error })
  }

  /** Logs the first failure of a step of this kind with its stack; of the others the count. */
  #logFailure({ what, tries, retryAt, error: text }: FailingTurn, error: unknown): void {
    const { terms } = this.#actor
    const { kind } = terms.identity
    const { logger } = this.#process.kernel
    const now = this.#actor.now()
    const inMs = Math.round(retryAt - now)
    // A text that was thrown may differ each time.
    const name = isKeelsonError(error) ? error.code : error instanceof Error ? error.name : ''
    const count = terms.trouble.seen(`${kind} ${what} ${name}`, now)
    const next = `try ${tries}, the next one is in ${inMs} ms: ${text}`
    if (count === 1)
      logger.warn(`${this.#entity}: ${what} failed at ${next}`, {
        reason: error,
        ...{ tries, at: retryAt },
      })
    else if (Number.isInteger(Math.log10(count)))
      logger.warn(`${kind}: ${what} has failed ${count} times; ${this.#entity} at ${next}`, {
        ...{ count, tries, at: retryAt },
      })
  }

  /** A turn is durable: steps and alarms that it removed do not fail any more. */
  durable({ steps, alarms }: Memory): void {
    if (!this.#isFailing) return
    const failing = new Set<string>()
    for (const { step, tries } of steps) if (tries > 0) failing.add(step)
    for (const [name, { tries }] of alarms) if (tries > 0) failing.add(name)
    this.#isFailing = this.#actor.terms.trouble.keeps(this.#entity, failing)
  }

  /** The actor cannot go on: it is blocked until `unblock`, or until its row is deleted. */
  #block(cause: unknown): void {
    const { terms } = this.#actor
    const reason = blocked(this.#entity, cause)
    this.#actor.blocked = reason
    terms.trouble.failing.delete(this.#entity)
    terms.blocks(reason)
    // Calls that a handler has kept would never be answered.
    let call = this.#process.owed.first
    while (call !== undefined) {
      const next = call.after
      if (isCall(call) && !call.name.startsWith('$')) call.fail(reason)
      call = next
    }
  }

  /** Why a process that is told to end waits no longer: its turns wait for space. */
  get cutOff(): KeelsonError | undefined {
    const { refusal, toldToEndAt } = this.#process
    return toldToEndAt === undefined ? undefined : refusal?.()
  }

  /** Resolves when `work` is done, nothing can become durable for now, or the process is cut off. */
  unlessCutOff(work: Promise<unknown>): Promise<unknown> {
    const done = this.#actor.terms.shard.unlessStill(work)
    return new Promise<void>((resolve) => {
      this.#cutOff = () => {
        if (this.cutOff) resolve()
      }
      this.#process.onceToldToEnd(this.#cutOff)
      void done.then(() => resolve())
    })
  }

  /** `run` waits for space because of `error`; `undefined`: no turn does. */
  short(run: Run | undefined, error: KeelsonError | undefined): void {
    const { terms, context } = this.#actor
    const process = this.#process
    const isNew = process.refusal === undefined
    // The shard may go down while the turn waits.
    const { shard } = terms
    process.refusal = error && (() => (shard.isStill ? shard.unavailable() : error))
    this.#cutOff?.()
    const { waiting } = terms.trouble
    const entity = this.#entity
    if (run === undefined) waiting.delete(entity)
    if (run === undefined || !isNew) return
    const { what } = run
    waiting.set(entity, { entity, what, since: this.#actor.now() })
    tell(context.system, terms.shard, 'entity.waits', { entity, what, error })
    const { current, mailbox } = process
    // The call at hand waits until its turn may begin, or for the turns before it.
    if (process.busy && current && isCall(current)) current.fail(error)
    mailbox.removeAll((message) => isCall(message) && message.fail(error))
  }
}
