/**
 * The turns that wait for a log, in order: groups of writes, and steps (a sync, a checkpoint, the
 * close), which are done alone, after everything before them. Decides which turn goes next and
 * whether it may. One group is in flight, or two when the second is large: the log's thread finds
 * it when it has synced the first, and works while the callers of the first are answered. Pure.
 */
import type { WriteGroup } from './write-group.ts'

/** The parts of a group that the queue uses. */
type QueuedGroup = Pick<WriteGroup<never>, 'count' | 'isDue' | 'isMany' | 'leave' | 'close'>

/** A group, or a step. */
export type Turn =
  | { readonly kind: 'group'; readonly group: QueuedGroup }
  | { readonly kind: 'step' }

/** Groups in flight at most: one that is written, and one that waits for the log's thread. */
const inFlightMax = 2

/** A shorter queue is not looked through for groups that were withdrawn. */
const pruneAtLeast = 8

/** A queue of turns. */
export class GroupQueue<AnyTurn extends Turn> {
  readonly #dropped: (turn: AnyTurn) => void
  #waiting: AnyTurn[] = []
  #pruneAt = pruneAtLeast
  #inFlight: readonly AnyTurn[] = []

  /**
   * `dropped` gets each group that leaves the queue without a write, because all were withdrawn.
   */
  constructor(dropped: (turn: AnyTurn) => void = () => undefined) {
    this.#dropped = dropped
  }

  /** How many writes and steps wait. */
  get length(): number {
    return this.#waiting.reduce((sum, turn) => sum + countOf(turn), 0)
  }

  /** The turns in flight, in the order in which they left. */
  get inFlight(): readonly AnyTurn[] {
    return this.#inFlight
  }

  /** How many writes are in flight. */
  get writesInFlight(): number {
    return this.#inFlight.reduce(
      (sum, turn) => sum + (turn.kind === 'group' ? countOf(turn) : 0),
      0,
    )
  }

  /** The next turn; `undefined` when nothing waits. */
  first(): AnyTurn | undefined {
    for (let turn = this.#waiting[0]; turn; turn = this.#waiting[0]) {
      if (countOf(turn) > 0) return turn
      this.#waiting.shift()
      this.#drop(turn)
    }
    return undefined
  }

  /**
   * Adds a turn at the end. Nothing joins a group that a step follows, and it waits for no more
   * writes.
   */
  push(turn: AnyTurn): void {
    const last = this.#waiting.at(-1)
    if (turn.kind === 'step' && last?.kind === 'group') {
      last.group.leave()
      last.group.close()
    }
    this.#waiting.push(turn)
    if (this.#waiting.length > this.#pruneAt) this.#prune(turn)
  }

  /** Takes what comes next, if its turn has come: it is in flight until it is `back`. */
  next(): AnyTurn | undefined {
    const turn = this.first()
    if (!turn || !this.#mayLeave(turn)) return undefined
    this.#waiting.shift()
    this.#inFlight = [...this.#inFlight, turn]
    return turn
  }

  /** A turn has ended. */
  back(turn: AnyTurn): void {
    this.#inFlight = this.#inFlight.filter((one) => one !== turn)
  }

  /** Takes everything that waits, whatever is in flight. */
  clear(): readonly AnyTurn[] {
    return this.#waiting.splice(0)
  }

  #mayLeave(turn: AnyTurn): boolean {
    const [ahead] = this.#inFlight
    if (turn.kind === 'step') return ahead === undefined
    if (!turn.group.isDue || ahead?.kind === 'step') return false
    return !ahead || (this.#inFlight.length < inFlightMax && turn.group.isMany)
  }

  /**
   * Groups that were withdrawn must not pile up while a disk hangs. `newest` is empty because it
   * has just begun.
   */
  #prune(newest: AnyTurn): void {
    const isGone = (turn: AnyTurn): boolean => turn !== newest && countOf(turn) === 0
    const gone = this.#waiting.filter(isGone)
    this.#waiting = this.#waiting.filter((turn) => !isGone(turn))
    this.#pruneAt = Math.max(pruneAtLeast, 2 * this.#waiting.length)
    for (const turn of gone) this.#drop(turn)
  }

  /** A group that was dropped is closed, so that later writes begin another. */
  #drop(turn: AnyTurn): void {
    if (turn.kind === 'group') turn.group.close()
    this.#dropped(turn)
  }
}

const countOf = (turn: Turn): number => (turn.kind === 'group' ? turn.group.count : 1)
