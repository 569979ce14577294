/**
 * The outputs of a durable actor. The outputs of a turn wait until the unit of the turn is durable.
 * A call or a start that the handler awaits cannot wait for that: the turn would never end. It
 * leaves in the middle of the turn, as soon as the state given to the handler is durable. The call
 * has then happened even if the turn is refused.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type Answerable,
  type Beginner,
  type CallList,
  type ExitReason,
  type ExitTarget,
  isCall,
  type Message,
  type Outputs,
  type PendingCall,
  type Positioned,
  type Process,
  type Ref,
  sendHeld,
} from '../../runtime/index.ts'
import type { Held, LoggedTurn, TurnLog } from './turn-log.ts'

/** A shard, as answers name it. */
type AnswerShard = {
  readonly index: number
  readonly appliedLsn: number
  readonly unsure: KeelsonError | undefined
}

/** The port of one durable actor. */
export class TurnOutputs implements Outputs {
  readonly isDurable = true
  readonly #log: TurnLog
  readonly #self: Ref
  readonly #shard: AnswerShard
  #isNotified = false

  constructor(log: TurnLog, self: Ref, shard: AnswerShard) {
    this.#log = log
    this.#self = self
    this.#shard = shard
  }

  /** The turn to which outputs belong now: the open one, or the last that has ended. */
  get turn(): LoggedTurn | undefined {
    return this.#log.isOpen ? this.#log.open : this.#log.last
  }

  /** The position of the last turn that has left. */
  get position(): Positioned<unknown>['position'] {
    const { index: shard, appliedLsn } = this.#shard
    return { shard, lsn: this.#log.lsn ?? appliedLsn }
  }

  /** Why the answer of a turn without a unit may not leave. */
  get unsure(): KeelsonError | undefined {
    return this.#shard.unsure
  }

  /** Whether a handler runs. */
  get isOpen(): boolean {
    return this.#log.isOpen
  }

  hold(output: () => void, dropped?: () => void): void {
    holdIn(this.turn, { leave: output, drop: dropped })
  }

  /** The answer of a call was taken back. With `isOwed` the actor owes it again. */
  takenBack(call: PendingCall, list: CallList | undefined, isOwed: boolean): void {
    if (call.isSettled) return
    if (!isOwed) call.fail(neverLeft(call))
    // The notice of its end has left without this caller: a dead holder fails the call.
    else if (this.#isNotified) call.handTo(this.#self)
    else list?.add(call)
  }

  send(target: Process, message: Message, ref: Ref<unknown> = target.address): boolean {
    const leave = (): void => sendHeld(target, message, ref)
    if (!isCall(message)) {
      this.turn?.recording?.sends(ref, message)
      this.hold(leave)
    } else if (this.#log.last === undefined) return target.admit(message)
    else {
      // No process owes its answer until it leaves.
      message.list?.remove(message)
      this.#log.last.hold({ leave, drop: () => message.fail(neverLeft(message)) })
    }
    return true
  }

  answering(call: PendingCall): HeldCall {
    return new HeldCall(call, this)
  }

  startTimer(timer: { start(ms: number): void }, ms: number): void {
    this.hold(() => timer.start(ms))
  }

  exit<P>(target: ExitTarget<P>, from: P, reason: ExitReason): void {
    this.hold(() => target.signal(from, reason, false))
  }

  begin(process: Beginner, isAwaited: boolean): void {
    holdIn(isAwaited ? this.#log.last : this.turn, {
      leave: () => process.start(),
      drop: () => process.withdraw(),
    })
  }

  /** Nothing leaves of a turn in which the process ended. The notice of its end waits. */
  ended(notify: () => void): void {
    this.#log.end(() => {
      this.#isNotified = true
      notify()
    })
  }
}

const holdIn = (turn: LoggedTurn | undefined, output: Held): void => {
  if (turn === undefined) output.leave()
  else turn.hold(output)
}

const neverLeft = ({ name }: PendingCall): KeelsonError =>
  new KeelsonError('NOT_SUBMITTED', `${name}: the state that the call stood on was refused`)

/** A call to a durable actor: its answer is an output. */
export class HeldCall implements Answerable, Held {
  readonly call: PendingCall
  readonly #outputs: TurnOutputs
  #outcome: Outcome | undefined = undefined
  /** Where the call was owed until it was answered, and whether its handler ran then. */
  #list: CallList | undefined = undefined
  #wasOpen = false

  constructor(call: PendingCall, outputs: TurnOutputs) {
    this.call = call
    this.#outputs = outputs
  }

  get caller(): Ref | undefined {
    return this.call.caller
  }

  /** The answer that is decided; `undefined` while the actor owes one. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  reply(value: unknown): boolean {
    return this.#decide({ ok: true, value })
  }

  fail(error: unknown): boolean {
    return this.#decide({ ok: false, error })
  }

  handTo(target: Ref<unknown>, note?: unknown): void {
    this.#outputs.hold(() => {
      this.#stands()
      this.call.handTo(target, note)
    })
  }

  #stands(): void {
    if (this.call.asksPosition) this.call.position = this.#outputs.position
  }

  leave(turn?: LoggedTurn): void {
    this.#stands()
    // The log has acknowledged a unit. Another member may have changed a state that was only read.
    const unsure = turn?.unit === undefined ? this.#outputs.unsure : undefined
    if (unsure) this.call.fail(unsure)
    else if (this.#outcome?.ok) this.call.reply(this.#outcome.value)
    else this.call.fail(this.#outcome?.error)
  }

  /**
   * A call that an earlier handler has kept gets the refusal of the turn that answered it: no other turn
   * might. The refusal of the caller's own turn is answered by the actor.
   */
  drop(turn: LoggedTurn, error?: unknown): void {
    if (error !== undefined && this.#wasOpen && turn.run.from !== this) {
      this.#outcome = { ok: false, error }
      turn.hold(this)
    } else {
      this.#outcome = undefined
      this.call.late = undefined
      this.#outputs.takenBack(this.call, this.#list, this.#wasOpen)
    }
  }

  #decide(outcome: Outcome): boolean {
    if (this.#outcome !== undefined) return false
    this.#outcome = outcome
    // Its time may be up. The outcome is remembered all the same if the call has an id.
    const waits = !this.call.isSettled
    const { turn, isOpen } = this.#outputs
    if (turn === undefined) this.leave()
    else {
      this.#list = this.call.list
      this.#wasOpen = isOpen
      if (waits) this.call.release(onItsWay)
      turn.hold(this)
    }
    return waits
  }
}

/** Calls `listener` once, when a caller of a durable actor has its outcome, or its time is up. */
export const onceSettled = (from: object, listener: () => void): void => {
  ;(from as HeldCall).call.onceSettled(listener)
}

/** The answer of a call. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown }

/** The caller's time is up, but what it asked for may still become durable. */
const onItsWay = (): KeelsonError =>
  new KeelsonError('UNKNOWN_OUTCOME', 'the turn has ended, but it is not durable yet')
