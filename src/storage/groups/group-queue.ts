/**
 * The turns that wait for a log, in order: groups of writes, and steps (a sync, a checkpoint, the close), which are done
 * alone, behind everything before them. Decides which turn goes next and whether it may. One group is in flight, or two
 * when the second is large: the log's thread finds it when it has synced the first, and works while the callers of the first
 * are answered. Pure.
 */
import type { WriteGroup } from './write-group.ts'

/** What the queue asks of a group. */
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
  #head = 0
  #pruneAt = pruneAtLeast
  #inFlight: readonly AnyTurn[] = []

  /** `dropped` gets each group that leaves the queue without a write, because all were withdrawn. */
  constructor(dropped: (turn: AnyTurn) => void = () => undefined) {
    this.#dropped = dropped
  }

  /** How many writes and steps wait. */
  get length(): number {
    return this.#left().reduce((sum, turn) => sum + countOf(turn), 0)
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

  /** What comes next; `undefined` when nothing waits. */
  first(): AnyTurn | undefined {
    for (let turn = this.#waiting[this.#head]; turn; turn = this.#waiting[this.#head]) {
      if (countOf(turn) > 0) return turn
      this.#shift()
      this.#drop(turn)
    }
    return undefined
  }

  /** Adds a turn at the end. Nothing joins a group that a step stands behind, and it waits for no more writes. */
  push(turn: AnyTurn): void {
    if (turn.kind === 'step') {
      const last = this.#waiting.at(-1)
      if (last?.kind === 'group') {
        last.group.leave()
        last.group.close()
      }
    }
    if (this.#waiting.length - this.#head >= this.#pruneAt) this.#prune()
    this.#waiting.push(turn)
  }

  /** Takes what comes next, if its turn has come: it is in flight until it is `back`. */
  next(): AnyTurn | undefined {
    const turn = this.first()
    if (!turn || !this.#mayLeave(turn)) return undefined
    this.#shift()
    this.#inFlight = [...this.#inFlight, turn]
    return turn
  }

  /** A turn has ended. */
  back(turn: AnyTurn): void {
    this.#inFlight = this.#inFlight.filter((one) => one !== turn)
  }

  /** Takes everything that waits, whatever is in flight. */
  clear(): readonly AnyTurn[] {
    const left = this.#left()
    this.#waiting = []
    this.#head = 0
    return left
  }

  #mayLeave(turn: AnyTurn): boolean {
    const [ahead] = this.#inFlight
    if (turn.kind === 'step') return ahead === undefined
    if (!turn.group.isDue || ahead?.kind === 'step') return false
    return !ahead || (this.#inFlight.length < inFlightMax && turn.group.isMany)
  }

  #left(): AnyTurn[] {
    return this.#waiting.slice(this.#head)
  }

  #shift(): void {
    this.#head += 1
    // Moving what is left pays off once as much was taken: a constant share for each.
    if (this.#head * 2 < this.#waiting.length) return
    this.#waiting = this.#left()
    this.#head = 0
  }

  /** Groups that were withdrawn must not pile up while a disk hangs. The last group still fills. */
  #prune(): void {
    const left = this.#left()
    const last = left.at(-1)
    this.#waiting = left.filter((turn) => turn === last || countOf(turn) > 0)
    this.#head = 0
    this.#pruneAt = Math.max(pruneAtLeast, 2 * this.#waiting.length)
    for (const turn of left) if (turn !== last && countOf(turn) === 0) this.#drop(turn)
  }

  /** A group that was dropped is closed, so that later writes begin another. */
  #drop(turn: AnyTurn): void {
    if (turn.kind === 'group') turn.group.close()
    this.#dropped(turn)
  }
}

const countOf = (turn: Turn): number => (turn.kind === 'group' ? turn.group.count : 1)
