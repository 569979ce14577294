/**
 * Keeps writes to one key in the order of their calls while a blob is on its way. A large write
 * marks its keys until it is in the log's queue; a later write to a marked key marks its own keys
 * and waits.
 */
import { type Cancel, type Clock, leftUntil } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  commandsOf,
  entityRowKey,
  type FrameUnits,
  namedKeys,
  unitsIn,
} from '../../storage/index.ts'

/** The keys that a write changes; `'all'` if it changes keys that it does not name. */
export type MarkedKeys = readonly string[] | 'all'

/** The keys that the units change, `'all'` if one of them does not name its keys. Pure. */
export const markedKeys = (units: FrameUnits): MarkedKeys => {
  const keys: string[] = []
  for (const unit of unitsIn(units)) {
    // Each turn of an entity follows the one before it.
    if (unit.kind === 'turn') keys.push(entityRowKey(unit.entity))
    for (const command of commandsOf(unit)) {
      if (command.kind === 'clear') return 'all'
      keys.push(...namedKeys(command))
    }
  }
  return keys
}

/** One write that marks keys. */
export class KeyMark {
  readonly keys: MarkedKeys
  /** Called once, when no earlier mark of the keys is left. */
  readonly turn: (mark: KeyMark) => void
  /** How many earlier marks have not ended. */
  before = 0
  readonly behind: KeyMark[] = []
  hasPassed = false

  constructor(keys: MarkedKeys, turn: (mark: KeyMark) => void) {
    this.keys = keys
    this.turn = turn
  }
}

/** The marks of one shard. */
export class KeyMarks {
  /** The last mark of each key. */
  readonly #last = new Map<string, KeyMark>()
  /** Marks that have not ended, in the order of the calls. */
  readonly #open = new Set<KeyMark>()
  /** The last mark of all keys. */
  #barrier: KeyMark | undefined
  /** Marks to look at: they, or one before them, have passed. */
  readonly #passed: KeyMark[] = []
  #isEnding = false

  /** Whether there is no mark at all. */
  get isEmpty(): boolean {
    return this.#open.size === 0
  }

  /** Whether none of the keys is marked. */
  isFree(keys: MarkedKeys): boolean {
    if (this.#open.size === 0) return true
    if (keys === 'all' || this.#barrier) return false
    for (const key of keys) if (this.#last.has(key)) return false
    return true
  }

  /**
   * Marks the keys. Calls `turn` when no earlier mark of them is left, before it returns if that is
   * so already. The caller passes the mark once.
   */
  enter(keys: MarkedKeys, turn: (mark: KeyMark) => void): KeyMark {
    const mark = this.#behind(this.#before(keys), new KeyMark(keys, turn))
    if (keys === 'all') this.#barrier = mark
    else for (const key of keys) this.#last.set(key, mark)
    if (mark.before === 0) turn(mark)
    return mark
  }

  /** Resolves when every mark that is open now has ended. Holds up no later write. */
  settled(): Promise<void> {
    if (this.isEmpty) return Promise.resolve()
    return new Promise((resolve) => {
      const turn = (mark: KeyMark): void => {
        this.pass(mark)
        resolve()
      }
      this.#behind([...this.#open], new KeyMark([], turn))
    })
  }

  /**
   * The write is in the log's queue, or never will be. The mark ends when those before it have
   * ended.
   */
  pass(mark: KeyMark): void {
    if (mark.hasPassed) return
    mark.hasPassed = true
    this.#passed.push(mark)
    this.#endPassed()
  }

  #behind(others: Iterable<KeyMark>, mark: KeyMark): KeyMark {
    for (const other of others) {
      other.behind.push(mark)
      mark.before++
    }
    this.#open.add(mark)
    return mark
  }

  #before(keys: MarkedKeys): Iterable<KeyMark> {
    if (keys === 'all') return [...this.#open]
    const found = new Set<KeyMark>()
    if (this.#barrier) found.add(this.#barrier)
    for (const key of keys) {
      const mark = this.#last.get(key)
      if (mark) found.add(mark)
    }
    return found
  }

  /**
   * Ends the marks that have passed and wait for nothing. A mark that passes during a turn deepens
   * no stack.
   */
  #endPassed(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    for (let mark = this.#passed.pop(); mark; mark = this.#passed.pop()) {
      if (!mark.hasPassed || mark.before > 0) continue
      this.#forget(mark)
      for (const next of mark.behind.splice(0)) {
        if (--next.before === 0 && !next.hasPassed) next.turn(next)
        this.#passed.push(next)
      }
    }
    this.#isEnding = false
  }

  #forget(mark: KeyMark): void {
    const { keys } = mark
    this.#open.delete(mark)
    if (this.#barrier === mark) this.#barrier = undefined
    if (keys === 'all') return
    for (const key of keys) if (this.#last.get(key) === mark) this.#last.delete(key)
  }
}

/**
 * A write that takes its turn. `endsAt`: its deadline by the monotonic clock; `deadlineMs`: as its
 * caller gave it.
 */
export type TurnTerms = {
  readonly marks: KeyMarks
  readonly clock: Clock
  readonly keys: MarkedKeys
  readonly endsAt: number
  readonly deadlineMs: number
}

/**
 * Marks the keys, and does `work` when no earlier mark of them is left: before it returns if that
 * is so already. Later writes to the keys wait until `work` has settled.
 * @throws KeelsonError `NOT_SUBMITTED` if the deadline passes first; what `work` rejects with
 */
export const inTurn = (terms: TurnTerms, work: () => Promise<void>): Promise<void> => {
  const { marks, clock, keys, endsAt, deadlineMs } = terms
  return new Promise((resolve, reject) => {
    let waits = true
    let cancelDeadline: Cancel = () => undefined
    const turn = (mark: KeyMark): void => {
      waits = false
      cancelDeadline()
      work()
        .finally(() => marks.pass(mark))
        .then(resolve, reject)
    }
    const mark = marks.enter(keys, turn)
    if (!waits) return
    cancelDeadline = clock.after(leftUntil(clock, endsAt), () => {
      marks.pass(mark)
      reject(tooLate(deadlineMs))
    })
  })
}

const tooLate = (deadlineMs: number): KeelsonError =>
  new KeelsonError(
    'NOT_SUBMITTED',
    'The write waited past its deadline behind an earlier write to one of its keys.',
    { details: { deadlineMs } },
  )
