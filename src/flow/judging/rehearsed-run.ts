/**
 * A run whose record is replayed with the body of a program, without an entity: it gets its outcomes as
 * in an activation, one in a turn of the event loop, and nothing that it asks for is carried out. Its
 * end is judged by `run-verdict.ts`.
 */

import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, type KeptError } from '../../errors.ts'
import type { Logger } from '../../runtime/index.ts'
import type { Workflow } from '../runs/body.ts'
import { type BodyHost, Unhandled } from '../runs/context.ts'
import type { RunBackground } from '../runs/messages.ts'
import { Active, type ActiveParts, Scope, takenIn } from '../runs/operations.ts'
import { rejectionOf } from '../runs/parts.ts'
import { cancelKey } from '../runs/record.ts'
import { Refusals, Replay } from '../runs/replay.ts'
import { type LoadedRun, Patches } from '../runs/replaying.ts'
import { type BodyEnd, bodyOf, endOfBody } from '../runs/run-end.ts'
import { SaidMessages } from '../runs/said.ts'

/** Where the replay of a run is. */
export type ReplayPlace =
  /** The body has more to do. */
  | 'goes'
  /** It waits for nothing that `ctx` has given: it may go on after something else. */
  | 'still'
  /** It is where the run was, has ended, or has diverged. */
  | 'there'

/** The parts of a System that a replay needs. */
export type ReplayParts = { readonly clock: Clock; readonly logger: Logger }

/** A run in a rehearsal. Its program has a body for its version. */
export class RehearsedRun implements BodyHost {
  readonly workflow: Workflow
  readonly type: string
  readonly id: string
  readonly state: LoadedRun['state']
  readonly replay: Replay<Active>
  readonly background: RunBackground
  readonly scope = new Scope()
  readonly undoScope = new Scope()
  readonly counters = new Map<string, number>()
  readonly handling = new Set<Promise<unknown>>()
  readonly unhandled: Unhandled
  time: number
  /** The first operation that does not fit its record. */
  divergence: KeelsonError | undefined
  /** Where its body has asked for that. */
  divergedAt: Error | undefined
  said: SaidMessages | undefined = undefined
  /** It gets nothing but refusals. */
  isStuck = false
  /** How its body has ended. */
  end: BodyEnd | undefined
  /** It has stood still, and then gone on: it awaits something that `ctx` does not give. */
  awaitsOthers = false
  readonly #loaded: LoadedRun
  readonly #refusals = new Refusals()
  readonly #patches: Patches
  #stillFor = 0

  constructor(workflow: Workflow, id: string, loaded: LoadedRun, system: ReplayParts) {
    const { state, record } = loaded
    this.workflow = workflow
    this.type = workflow.name
    this.id = id
    this.#loaded = loaded
    this.state = state
    this.time = (state.fork ?? state).startedAt
    this.background = { system } as unknown as RunBackground
    this.unhandled = new Unhandled(this)
    this.replay = new Replay(record, state.outcomes)
    this.#patches = new Patches(this)
  }

  get isBodyOver(): boolean {
    return this.end !== undefined
  }

  get isStopped(): boolean {
    return this.divergence !== undefined || this.isStuck
  }

  get cancelled(): Error {
    return new KeelsonError('CANCELLED', this.state.cancel?.reason ?? 'the rest was cancelled')
  }

  /** The body begins. */
  begin(): void {
    const { record, input } = this.#loaded
    if (record.some(({ key }) => key === cancelKey))
      this.replay.ask(new Active({ kind: 'cancel', key: cancelKey, scope: this.undoScope }))
    const body = bodyOf(this.workflow, this.state.version)
    if (body) void endOfBody(this, body, input).then((end) => this.#bodyEnds(end))
  }

  /** One turn of the event loop: the body gets what is next. It has stood still for two turns before it is `still`. */
  goesOn(): ReplayPlace {
    if (this.isStopped) return 'there'
    if (this.#gives()) {
      this.#stillFor = 0
      return 'goes'
    }
    if (this.isBodyOver) return 'there'
    if (++this.#stillFor < 2) return 'goes'
    const { replay } = this
    return replay.hasArrived && replay.inFlight.size > 0 ? 'there' : 'still'
  }

  #gives(): boolean {
    if (this.#refusals.areWaiting) {
      this.replay.acts()
      this.#refusals.give(this.scope.cancelled !== undefined)
      if (this.#refusals.isStuck && !this.isBodyOver) this.isStuck = true
      return true
    }
    this.replay.turns()
    const next = this.replay.next()
    if (!next) return false
    const { asked, decided } = next
    this.replay.delivered(asked)
    this.#refusals.ends()
    this.said?.acts()
    this.time = Math.max(this.time, decided.at)
    const { outcome } = decided
    if (asked.kind === 'cancel') this.#cancels()
    if (outcome.kind === 'ok') asked.resolve(outcome.value)
    else asked.reject(rejectionOf(decided, outcome))
    return true
  }

  #cancels(): void {
    const reason = this.cancelled
    this.scope.cancel(reason)
    for (const active of takenIn(this.replay, this.scope)) active.reject(reason)
  }

  #bodyEnds(end: BodyEnd): void {
    if (this.isStopped || this.isBodyOver) return
    this.end = end
    this.#refusals.drop()
  }

  ask(parts: ActiveParts): Active {
    const active = new Active(parts)
    const { scope, key } = parts
    this.said?.acts()
    try {
      if (this.isBodyOver && scope.cancelled) throw scope.cancelled
      this.expectBody()
      this.replay.expectRoom(key, this.workflow.options.stepsMax)
      this.replay.ask(active)
    } catch (error) {
      if (isKeelsonError(error, 'DIVERGED')) {
        this.divergence ??= error
        // The stack of the other one is full before it comes to the body.
        this.divergedAt ??= new Error(key)
      }
      this.refuse(() => active.reject(error))
      return active
    }
    if (scope.cancelled) {
      this.replay.drop(active)
      this.refuse(() => active.reject(scope.cancelled))
    }
    return active
  }

  refuse(reject: () => void): void {
    if (this.#refusals.wasLast && !this.isBodyOver)
      this.#bodyEnds({ status: 'failed', error: this.cancelled })
    else this.#refusals.add(reject)
  }

  leave(scope: Scope, reason: unknown): void {
    scope.leave(reason)
    for (const active of takenIn(this.replay, scope)) active.stop(reason)
  }

  expectOpen(): void {
    if (this.isBodyOver) throw new KeelsonError('CLOSED', 'the body has ended')
  }

  expectBody(): void {
    this.expectOpen()
  }

  again(input: unknown): void {
    this.#bodyEnds({ status: 'failed', again: [input] })
  }

  get hasBegunAgain(): boolean {
    return this.end?.status === 'failed' && this.end.again !== undefined
  }

  patched(change: string): boolean {
    return this.#patches.has(change)
  }

  /** The failure of an operation that the body has left unhandled. */
  unhandledFailure(): Promise<KeptError | undefined> {
    const { end } = this
    const isItsOwn = end?.status === 'failed' && !end.again
    return isItsOwn ? Promise.resolve(undefined) : this.unhandled.first()
  }

  // An activation carries operations out and records them. Nothing does here.

  does(): void {}

  report(): void {}

  say(stream: string, text: string): void {
    this.said ??= new SaidMessages(this.state.said)
    try {
      this.said.say(stream, text)
    } catch (error) {
      if (isKeelsonError(error, 'DIVERGED')) this.divergence ??= error
      throw error
    }
  }

  turn = never
}

const never = (): Promise<never> => new Promise(() => undefined)
