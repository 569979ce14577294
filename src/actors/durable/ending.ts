/**
 * How a durable actor ends by itself: to rest, because it was asked to, or because its rows are
 * removed. Its end loses no message: its mailbox goes to the process that its name wakes.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type AnyContext,
  describeReason,
  type HandlerLimit,
  isCall,
  isThenable,
  kinds,
  type Message,
  type NextStep,
  type Process,
  stop,
} from '../../runtime/index.ts'
import type { Memory } from '../turns/memory.ts'
import type { HeldCall } from '../turns/turn-outputs.ts'
import { keysMax, someKeysOf } from '../turns/waking.ts'
import type { CurrentTurn, Removal } from './current-turn.ts'
import type { DurableTerms } from './durable-terms.ts'
import type { Idleness } from './idleness.ts'
import type { OwnTurns } from './own-turns.ts'

/** The parts of their actor that ends use. */
interface Mortal {
  readonly terms: DurableTerms
  readonly context: AnyContext
  readonly memory: Memory
  readonly isAwake: boolean
  readonly isNothing: boolean
  /** Reads its rows. `isToDelete`: it is not born if it has none. */
  wake(isToDelete: () => boolean): Promise<void>
  readonly blocked: KeelsonError | undefined
  /** Whether no turn is on its way, and none has to be handled again. */
  readonly isSettled: boolean
  /** Resolves when every turn that has ended is out, or was dropped. */
  settled(): Promise<boolean>
  readonly idleness: Pick<Idleness, 'isLong' | 'watch'>
  readonly limit: Pick<HandlerLimit, 'during'> | undefined
  readonly own: Pick<OwnTurns, 'ready' | 'next' | 'settle'>
  readonly hand: Pick<CurrentTurn, 'remove' | 'removeKeys'>
}

/** The end of one actor. */
export class Ending {
  readonly #actor: Mortal
  readonly #process: Process
  #isResting = false
  #taken: readonly Message[] | undefined = undefined
  /** The last answer, which leaves after `terminate`, as in OTP. */
  lastReply: (() => void) | undefined

  constructor(actor: Mortal, process: Process) {
    this.#actor = actor
    this.#process = process
  }

  get #entity(): string {
    return this.#actor.terms.identity.entity
  }

  /** Whether there is a state that the user's functions may see. */
  get #hasState(): boolean {
    return this.#actor.isAwake && this.#actor.blocked === undefined
  }

  /** Ends the process if it has nothing to do. */
  rest(): NextStep {
    const { idleness, isSettled, own, terms, memory } = this.#actor
    const isBusy = own.ready !== undefined || (this.#hasState && terms.table.isBusy(memory.state))
    if (idleness.isLong && isSettled && !isBusy) return this.#end()
    idleness.watch()
    return own.next()
  }

  /** Ends the process when its turns are durable. */
  async stop(from: HeldCall): Promise<NextStep> {
    const { own } = this.#actor
    const refused = await own.settle('$stop', from)
    if (refused) return refused
    // Its caller has the error that the disk is full.
    if (from.call.isSettled) return own.next()
    this.lastReply = () => void from.reply(true)
    return this.#end()
  }

  /**
   * Removes the rows, and ends the process. If the shard goes down during the removal, the process
   * ends too: later messages go to a process that has read none of the rows.
   */
  async delete(from: HeldCall, keys: boolean): Promise<NextStep> {
    const { own, isAwake, isNothing } = this.#actor
    // Its process began while the shard was down.
    if (!isAwake && !isNothing) await this.#actor.wake(() => true)
    if (this.#actor.isNothing) {
      this.lastReply = () => void from.reply(false)
      return this.#end()
    }
    return (await own.settle('$delete', from)) ?? this.#remove(from, keys, 'delete')
  }

  /** The time of an actor that has ended is over. Nothing more of it is due. */
  expire(from: HeldCall, keys: boolean): Promise<NextStep> {
    return this.#remove(from, keys, 'end')
  }

  async #remove(from: HeldCall, keys: boolean, why: Removal): Promise<NextStep> {
    const { own, terms } = this.#actor
    if (from.call.isSettled) return own.next()
    // Its rows are read.
    await terms.shard.settled()
    if (!(await this.#removeKeys(from, keys, why))) return own.next()
    if (!this.#removes(from, why)) return own.next()
    return (await this.#isOut()) === false ? own.next() : this.#end()
  }

  /** Whether what was sent is out; `undefined` if the shard is down. */
  async #isOut(): Promise<boolean | undefined> {
    let isOut: boolean | undefined
    const settled = this.#actor.settled().then((done) => {
      isOut = done
    })
    await this.#actor.terms.shard.unlessStill(settled)
    return isOut
  }

  /**
   * Removes the notes of users' keys, some with each turn. False: `from` has the reason why some
   * are left.
   */
  async #removeKeys(from: HeldCall, isDeep: boolean, why: Removal): Promise<boolean> {
    const { shard } = this.#actor.terms
    try {
      for (;;) {
        // The process may have ended while a turn was on its way: its caller knows.
        if (!this.#process.alive) return false
        const keys = someKeysOf(shard, this.#entity)
        // Few notes go with the other rows: a removal that is cut short has then lost none. So do
        // those of a state that cannot be read, which is not written again.
        const isWithRows = !isDeep && (this.#actor.blocked || keys.size < keysMax)
        if (keys.size === 0 || isWithRows) return true
        if (this.#actor.blocked) throw this.#actor.blocked
        this.#actor.hand.removeKeys(keys, isDeep, from, why)
        const isOut = await this.#isOut()
        if (isOut === undefined) throw shard.unavailable()
        if (!isOut) return false
      }
    } catch (error) {
      from.fail(error)
      return false
    }
  }

  /** Whether there are rows, and their removal is on its way. Otherwise the caller is answered. */
  #removes(from: HeldCall, why: Removal): boolean {
    // A kill may come between the last look at the keys and this, and a successor may have rows by
    // now: a dead process removes none of them.
    if (!this.#process.alive) return false
    const { hand, blocked } = this.#actor
    try {
      if (hand.remove(from, why, blocked !== undefined)) return true
      from.reply(false)
    } catch (error) {
      from.fail(blocked ?? error)
    }
    return false
  }

  #end(): NextStep {
    this.#isResting = true
    return stop('normal', this.#actor) as never
  }

  /** Runs the user's `terminate`. The last answer leaves after it, also if it fails (OTP). */
  terminate(reason: unknown): unknown {
    if (this.#isResting) return this.#rests(reason)
    let done: unknown
    try {
      done = this.#usersTerminate(reason)
    } finally {
      if (!isThenable(done)) this.lastReply?.()
    }
    return isThenable(done) ? this.#limited(done).finally(() => this.lastReply?.()) : undefined
  }

  #usersTerminate(reason: unknown): unknown {
    const { terms, memory, context } = this.#actor
    return this.#hasState ? terms.table.terminate?.(memory.state, reason, context) : undefined
  }

  /** It ends at once, and takes no message that it will not handle. A failure is logged. */
  #rests(reason: unknown): void {
    const failed = (error: unknown): void =>
      this.#process.kernel.logger.error(
        `${this.#entity}: its terminate failed: ${describeReason(error)}`,
        { reason: error },
      )
    try {
      Promise.resolve(this.#usersTerminate(reason)).catch(failed)
    } catch (error) {
      failed(error)
    }
    this.#take()
    this.lastReply?.()
  }

  #limited(work: PromiseLike<unknown>): Promise<unknown> {
    return this.#actor.limit?.during(work) ?? Promise.resolve(work)
  }

  /** Takes the messages of users out of the mailbox. */
  #take(): void {
    const taken: Message[] = []
    this.#process.mailbox.removeAll((message) => {
      const isUsers = message.kind <= kinds.info && !message.name.startsWith('$')
      if (!isCall(message) && !isUsers) return false
      taken.push(message)
      return true
    })
    this.#taken = taken
  }

  /** The process has ended, and its name is free: the messages go to its successor. */
  passOn(): void {
    const taken = (this.#taken ?? []).filter((message) => !isCall(message) || !message.isSettled)
    this.#taken = undefined
    if (taken.length === 0) return
    const next = this.#actor.terms.successor()
    for (const message of taken)
      if (next?.admit(message)) {
        if (isCall(message)) next.owed.add(message)
      } else if (isCall(message)) message.fail(hasEnded(this.#entity))
  }
}

const hasEnded = (entity: string): KeelsonError =>
  new KeelsonError('EXITED', `${entity} ended: normal`, { details: { reason: 'normal' } })
