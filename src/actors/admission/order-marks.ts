/**
 * Keeps writes of one key in the order of their issue when they take different ways to the log. A write that does not go
 * straight into the log's queue *marks* its keys until it is there; a later write to a marked key goes behind the mark.
 * Pure: it calls back, and knows nothing of logs, windows or time.
 */

/** The keys that a write changes; `'all'` for one that changes keys that it does not name. */
export type MarkedKeys = readonly string[] | 'all'

/** What a mark is made with. */
export type MarkTerms = {
  readonly keys: MarkedKeys
  /** The window's slot that the write will go to. Writes in one slot keep their order there, and need not wait for each other. */
  readonly slot: string | undefined
  /** Nothing stands before the write any more. Called once, before `enter` returns when that is so from the start. */
  readonly turn: (mark: Mark) => void
  /** Somebody waits behind the write while it is in its slot. Called at most once. */
  readonly hurry: () => void
}

/** One write on its way. */
export class Mark {
  readonly terms: MarkTerms
  /** Marks before this one that have not ended; and those of them that its turn has to wait for. */
  before = 0
  blocking = 0
  /** Those behind it, and whether their turn waits for this one. */
  behind: { readonly mark: Mark; readonly waits: boolean }[] | undefined
  /** Its turn has come: it is in its slot, or wherever else its way leads. */
  hasTurn = false
  /** Somebody waits behind it. */
  isUrgent = false
  hasPassed = false

  constructor(terms: MarkTerms) {
    this.terms = terms
  }
}

/** The marks of one shard. */
export class OrderMarks {
  /** The last mark of each key. */
  readonly #last = new Map<string, Mark>()
  /** Marks that have not ended, in the order of their issue. */
  readonly #open = new Set<Mark>()
  /** The last mark of all keys. */
  #barrier: Mark | undefined
  /** Marks to look at: they, or one before them, have passed. */
  readonly #passed: Mark[] = []
  #isEnding = false

  /** Whether there is no mark at all. */
  get isEmpty(): boolean {
    return this.#open.size === 0
  }

  /** Whether none of the keys is marked: a write to them may go straight into the log's queue. */
  isFree(keys: MarkedKeys): boolean {
    if (this.#open.size === 0) return true
    if (keys === 'all' || this.#barrier) return false
    for (const key of keys) if (this.#last.has(key)) return false
    return true
  }

  /** The slot in which every mark of the keys already stands; `undefined` when there is none, or not one only. */
  slotBefore(keys: MarkedKeys): string | undefined {
    let slot: string | undefined
    for (const mark of this.#before(keys)) {
      if (!mark.hasTurn || mark.terms.slot === undefined) return undefined
      if (slot !== undefined && slot !== mark.terms.slot) return undefined
      slot = mark.terms.slot
    }
    return slot
  }

  /** Marks the keys. Whoever made the mark calls `pass` once, whatever becomes of the write. */
  enter(terms: MarkTerms): Mark {
    const mark = new Mark(terms)
    let blockers: Mark[] | undefined
    for (const other of this.#before(terms.keys)) {
      const waits = !(
        other.hasTurn &&
        other.terms.slot !== undefined &&
        other.terms.slot === terms.slot
      )
      const place = { mark, waits }
      if (other.behind) other.behind.push(place)
      else other.behind = [place]
      mark.before++
      if (!waits) continue
      mark.blocking++
      if (blockers) blockers.push(other)
      else blockers = [other]
    }
    this.#open.add(mark)
    if (terms.keys === 'all') this.#barrier = mark
    else for (const key of terms.keys) this.#last.set(key, mark)
    if (blockers) for (const blocker of blockers) hurry(blocker)
    if (mark.blocking === 0) takeTurn(mark)
    return mark
  }

  /** The write is in the log's queue, or never will be. The mark ends when those before it have ended too. */
  pass(mark: Mark): void {
    if (mark.hasPassed) return
    mark.hasPassed = true
    this.#passed.push(mark)
    this.#endPassed()
  }

  /** The marks that the keys stand behind. Mostly they are one key, and stand behind nothing. */
  #before(keys: MarkedKeys): Iterable<Mark> {
    if (keys === 'all') return [...this.#open]
    const only = keys.length === 1 && !this.#barrier ? keys[0] : undefined
    if (only !== undefined) {
      const mark = this.#last.get(only)
      return mark ? [mark] : []
    }
    const found = new Set<Mark>()
    if (this.#barrier) found.add(this.#barrier)
    for (const key of keys) {
      const mark = this.#last.get(key)
      if (mark) found.add(mark)
    }
    return found
  }

  /** Ends what has passed and waits for nothing. One walk at a time: whoever passes during a turn takes no deeper stack. */
  #endPassed(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    for (let mark = this.#passed.pop(); mark; mark = this.#passed.pop()) {
      if (!mark.hasPassed || mark.before > 0) continue
      this.#forget(mark)
      const { behind = [] } = mark
      mark.behind = undefined
      for (const { mark: next, waits } of behind) {
        next.before--
        if (waits && --next.blocking === 0) takeTurn(next)
        this.#passed.push(next)
      }
    }
    this.#isEnding = false
  }

  #forget(mark: Mark): void {
    const { keys } = mark.terms
    this.#open.delete(mark)
    if (this.#barrier === mark) this.#barrier = undefined
    if (keys === 'all') return
    for (const key of keys) if (this.#last.get(key) === mark) this.#last.delete(key)
  }
}

const takeTurn = (mark: Mark): void => {
  mark.hasTurn = true
  mark.terms.turn(mark)
}

/** Asks a mark to be gone soon: at once when it stands in its slot, else when its turn comes. */
const hurry = (mark: Mark): void => {
  if (mark.isUrgent) return
  mark.isUrgent = true
  if (mark.hasTurn) mark.terms.hurry()
}
