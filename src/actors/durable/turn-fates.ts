/**
 * The fates of one actor's turns, as their log decides them. A durable turn shows its state. A
 * refused one is taken back together with the turns after it, which began on a state that does not
 * exist: they are handled again, in their order, after the consequence of the refusal.
 *
 * The only importer is `durable-process.ts`, which runs handlers. This file is apart from it because
 * it is the port of `TurnLog`: it is called when a turn is decided, which may be while a later
 * handler runs.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import type { AnyContext, Process } from '../../runtime/index.ts'
import type { Turn, TurnMark } from '../../storage/index.ts'
import { afterRefusal, type Refused } from '../turns/after-refusal.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { TurnPort, Written } from '../turns/turn-log.ts'
import { type Run, undecidable } from '../turns/turn-run.ts'
import { decidedMark, writeTurn } from '../turns/turn-storage.ts'
import type { CurrentTurn } from './current-turn.ts'
import type { DurableTerms } from './durable-terms.ts'
import type { Refusals } from './refusals.ts'

/** The parts of their actor that fates use. */
interface Fated {
  readonly terms: DurableTerms
  readonly context: AnyContext
  readonly hand: Pick<CurrentTurn, 'open' | 'takeBack'>
  readonly refusals: Pick<Refusals, 'after' | 'cut' | 'short' | 'tries'>
  /** Handles these turns again, before the turns that already wait to be. */
  redo(runs: readonly Run[]): void
}

/** Carries out the decision of the log about each turn of one actor. */
export class TurnFates implements TurnPort<TurnDraft> {
  readonly #actor: Fated
  readonly #process: Process
  /** The state that the outside may see: the last one that is durable. */
  shown: unknown

  constructor(actor: Fated, process: Process) {
    this.#actor = actor
    this.#process = process
  }

  get #entity(): string {
    return this.#actor.terms.identity.entity
  }

  write(unit: Turn, decided: (fate: Written) => void): void {
    const { context, terms } = this.#actor
    writeTurn(context.system, terms.shard, unit, decided)
  }

  durable({ after }: TurnDraft): void {
    if (after === undefined) return
    this.shown = after.state
    this.#actor.refusals.tries.durable(after)
    // An idle actor keeps no message in memory.
    if (!this.#process.busy) this.#process.current = undefined
  }

  mark(tries: number): Promise<TurnMark | undefined> {
    const { context, terms } = this.#actor
    return decidedMark(context.system, terms.shard, this.#entity, tries)
  }

  waits({ run }: TurnDraft, refused: Refused): boolean {
    return this.#process.alive && afterRefusal(run.kind, refused) === 'wait'
  }

  short(first: TurnDraft | undefined, error: KeelsonError): void {
    const { hand, refusals } = this.#actor
    const { open } = hand
    // The current turn is refused too, though its handler still runs.
    if (first && open?.run.from?.call.fail(error)) open.isDoomed = true
    refusals.short(first?.run, error)
  }

  refused(turn: TurnDraft, later: readonly TurnDraft[], refused: Refused): void {
    const { hand, refusals } = this.#actor
    for (const undone of [turn, ...later].reverse()) undone.undo()
    hand.takeBack(turn)
    const runs = later.map(({ run }) => run)
    const { run } = turn
    const { open } = hand
    const atHand = open?.isDoomed === false ? [open.run] : []
    if (open) open.isDoomed = true
    const next = refusals.after(run, refused, () => run.from?.call.fail(refused.error))
    if (!this.#process.alive) refusals.cut(runs, refused.error)
    if (next) runs.unshift(next)
    turn.refused(refused.error)
    this.#actor.redo([...runs, ...atHand])
  }

  cut(undecided: readonly TurnDraft[], error: unknown): void {
    for (const { run } of undecided) run.from?.call.fail(undecidable(this.#entity, error))
    for (const turn of undecided) {
      turn.failed(undecidable(this.#entity, error))
      turn.drop()
    }
    if (!isKeelsonError(error, 'CLOSED')) this.#process.fail(error as KeelsonError)
  }
}
