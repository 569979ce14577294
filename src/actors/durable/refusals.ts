/**
 * Does what comes after a refused turn, as `decide.ts` decides: callers get the error,
 * failed tries are recorded, the actor is blocked. While its first turn waits for space, it refuses
 * the calls of users.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { describeReason, isCall, type Process } from '../../runtime/index.ts'
import { emit } from '../core/storage-events.ts'
import { afterRefusal, afterThrow, type Refused } from '../turns/decide.ts'
import { isDamageOf } from '../turns/own-rows.ts'
import { failing, overtaken, type Run, throwing } from '../turns/turn-run.ts'
import { blocked } from '../turns/waking.ts'
import { FailedTries, type Trying } from './failed-tries.ts'

/** The parts of their actor that refusals use. */
interface Refusing extends Trying {
  /** The actor is blocked from now on. */
  blocks(reason: KeelsonError): void
}

/** The refused turns of one actor. */
export class Refusals {
  readonly #actor: Refusing
  readonly #process: Process
  /** The failed tries of its steps and alarms. */
  readonly tries: FailedTries
  #cutOff: (() => void) | undefined

  constructor(actor: Refusing, process: Process) {
    this.#actor = actor
    this.#process = process
    this.tries = new FailedTries(actor, process)
  }

  get #entity(): string {
    return this.#actor.terms.identity.entity
  }

  /**
   * Does the next step after a refusal; `fail` answers the caller. Returns the turn that is to be
   * handled next, if there is one.
   */
  after(run: Run, refused: Refused, fail: () => boolean | undefined): Run | undefined {
    const { error } = refused
    const { table } = this.#actor.terms
    const next = afterRefusal(run.kind, refused)
    if ((next === 'retry' || next === 'park') && this.#process.alive) return run.by(throwing(error))
    const onError = table.refused[run.name]
    if (next === 'onError' && onError) return failing(onError, run, error)
    if (next === 'end') this.#process.fail(refused.isOvertaken ? overtaken(this.#entity) : error)
    else if (next === 'block') this.#block(run, error)
    else this.reported(run, error, fail())
    return undefined
  }

  /** A turn was refused. `isAnswered`: its caller has the error; otherwise it is logged. */
  reported(run: Run, error: unknown, isAnswered: boolean | undefined): void {
    const { context, terms } = this.#actor
    const code = isKeelsonError(error) ? error.code : 'INVALID_ARGUMENT'
    terms.trouble.refuses(code)
    const { what } = run
    emit(context.system, terms.shard, 'entity.refused', { entity: this.#entity, what, error })
    // A recorded turn runs again when its actor wakes.
    if (isAnswered || run.step || run.alarm) return
    const message = `${this.#entity}: ${what} was refused: ${describeReason(error)}`
    this.#process.kernel.logger.error(message, { ...this.#process.logged, reason: error })
  }

  /** The process has ended before these turns could be handled again. */
  cut(runs: readonly Run[], error: unknown): void {
    for (const run of runs) if (run.from === undefined) this.reported(run, error, false)
  }

  /** The handler of a turn threw whose throw does not end the process. */
  threw(run: Run, error: unknown): void {
    if (afterThrow(run.kind, isDamageOf(this.#entity, error)) === 'block') this.#block(run, error)
    else this.tries.failed(run, error)
  }

  /** The actor cannot go on: it is blocked until `unblock`, or until its row is deleted. */
  #block(run: Run, cause: unknown): void {
    const { terms } = this.#actor
    const reason = blocked(this.#entity, this.tries.shown(run, cause))
    this.#actor.blocks(reason)
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

  /** The reason why a process that must end waits no longer: its turns wait for space. */
  get cutOff(): KeelsonError | undefined {
    const { refusal, shutdownAt } = this.#process
    return shutdownAt === undefined ? undefined : refusal?.()
  }

  /** Resolves when `work` is done, nothing can become durable for now, or the process is cut off. */
  unlessCutOff(work: Promise<unknown>): Promise<unknown> {
    const done = this.#actor.terms.shard.unlessStill(work)
    return new Promise<void>((resolve) => {
      this.#cutOff = () => {
        if (this.cutOff) resolve()
      }
      this.#process.onceShutdown(this.#cutOff)
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
    emit(context.system, terms.shard, 'entity.waits', { entity, what, error })
    const { current, mailbox } = process
    // The current call waits until its turn may begin, or for the turns before it.
    if (process.busy && current && isCall(current)) current.fail(error)
    mailbox.removeAll((message) => isCall(message) && message.fail(error))
  }
}
