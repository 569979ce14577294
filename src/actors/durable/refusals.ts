/**
 * Does what comes after a refused turn, as `after-refusal.ts` decides, and after a step or an alarm
 * that failed: callers are told, tries are recorded, the actor is blocked. While its first turn
 * waits for space, it refuses the calls of users.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type AnyContext, describeReason, isCall, type Process } from '../../runtime/index.ts'
import { tell } from '../shard/storage-events.ts'
import { afterRefusal, afterThrow, type Refused } from '../turns/after-refusal.ts'
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
  /** Makes a turn that changes no state. @throws as `TurnDraft.end` */
  record(what: string, change: (draft: TurnDraft) => void): void
}

/** The refused turns of one actor. */
export class Refusals {
  readonly #actor: Refusing
  readonly #process: Process

  constructor(actor: Refusing, process: Process) {
    this.#actor = actor
    this.#process = process
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
    const at = this.#actor.now() + backoffMs(tries)
    try {
      this.#actor.record(what, (draft) => {
        if (step) draft.keepStep({ ...step, tries, notBefore: at, wakeAt: at })
        if (alarm) draft.setAlarm(alarm.name, { ...alarm.set, tries, dueAt: at })
      })
    } catch (refusal) {
      this.#block(refusal)
      return
    }
    const next = `try ${tries}, the next one is in ${Math.round(at - this.#actor.now())} ms`
    const message = `${this.#entity}: ${what} failed at ${next}: ${describeReason(error)}`
    this.#process.kernel.logger.warn(message, { reason: error, tries, at })
    const facts = { entity: this.#entity, what, tries, retryAt: at, error }
    tell(context.system, terms.shard, 'entity.failed', facts)
  }

  /** The actor cannot go on: it is blocked until `unblock`, or until its row is deleted. */
  #block(cause: unknown): void {
    const { terms, context } = this.#actor
    const reason = blocked(this.#entity, cause)
    this.#actor.blocked = reason
    terms.table.halt?.(context)
    terms.blocks(reason)
    // Calls that a handler has kept would never be answered.
    let call = this.#process.owed.first
    while (call !== undefined) {
      const next = call.after
      if (isCall(call) && !call.name.startsWith('$')) call.fail(reason)
      call = next
    }
  }

  /** `run` waits for space because of `error`; `undefined`: no turn does. */
  short(run: Run | undefined, error: KeelsonError | undefined): void {
    const { terms, context } = this.#actor
    const process = this.#process
    const isNew = process.refusal === undefined
    process.refusal = error
    if (run === undefined) terms.trouble.waitsNot(this.#entity)
    if (run === undefined || !isNew) return
    const { what } = run
    terms.trouble.waits({ entity: this.#entity, what, since: this.#actor.now() })
    tell(context.system, terms.shard, 'entity.waits', { entity: this.#entity, what, error })
    const { current, mailbox } = process
    // The call at hand waits until its turn may begin, or for the turns before it.
    if (process.busy && current && isCall(current)) current.fail(error)
    mailbox.removeAll((message) => isCall(message) && message.fail(error))
  }
}
