/**
 * The turns of one durable actor on their way into the log, in their order. The messages of a turn
 * leave when its unit is durable, and never before those of an earlier turn. So a new turn may
 * begin on a state that is not durable yet, and no other process can see it.
 *
 * If a write fails, the main row shows which units became durable, and the others are written
 * again. If a unit is refused, the later turns began from a state that does not exist: they are
 * handed back to be handled again. A turn that may wait for space is not handed back: its unit is
 * written again and again. Later turns without a caller wait with it.
 */
import { readMainRow, type Turn, type TurnMark } from '../../storage/index.ts'
import type { Refused } from './after-refusal.ts'

/** The outcome of a unit that was written. */
export type Written = 'durable' | 'unknown' | Refused

type Fate = 'under way' | Written

/** Something that leaves with a turn. It does not throw. */
export interface Held {
  leave(turn?: LoggedTurn): void
  /** The turn was dropped: it never leaves. */
  readonly drop?: (() => void) | undefined
}

/** A turn: what it sends, and the unit that has to be durable before. */
export class LoggedTurn {
  /** `undefined`: it changed nothing, and only waits for the turns before it. */
  unit: Turn | undefined = undefined
  /** The next turn on its way into the log. */
  next: this | undefined = undefined
  /** The frame of its unit; `undefined` without one, or if it is not known. */
  lsn: number | undefined = undefined
  #fate: Fate = 'under way'
  #held: Held[] | undefined = undefined

  /** Whether a caller waits for it. */
  get isAsked(): boolean {
    return false
  }

  get fate(): Fate {
    return this.unit === undefined ? 'durable' : this.#fate
  }

  set fate(fate: Fate) {
    this.#fate = fate
  }

  /** Keeps an output until the turn is durable. */
  hold(output: Held): void {
    if (this.#held === undefined) this.#held = [output]
    else this.#held.push(output)
  }

  /** Lets everything leave, in order. */
  leave(): void {
    for (const output of this.#take()) output.leave(this)
  }

  /** Nothing of it leaves. */
  drop(): void {
    for (const output of this.#take()) output.drop?.()
  }

  #take(): readonly Held[] {
    const held = this.#held ?? []
    this.#held = undefined
    return held
  }
}

/** Resolves when a turn is out; with false if it was dropped. */
const out = (turn: LoggedTurn): Promise<boolean> =>
  new Promise((resolve) => {
    turn.hold({ leave: () => resolve(true), drop: () => resolve(false) })
  })

/** The parts of their actor that the log of turns uses. */
export interface TurnPort<T extends LoggedTurn> {
  /** Writes a unit, and calls `decided` once, later; with the LSN of its frame if it is durable. */
  write(unit: Turn, decided: (fate: Written, lsn?: number) => void): void
  /** A turn is durable. Its messages leave next. */
  durable(turn: T): void
  /**
   * The mark of the main row, `undefined` without one, when every earlier write is decided. Waits
   * longer the more often in a row writes have failed. Rejects when nothing can be decided: the
   * instance has closed.
   */
  mark(tries: number): Promise<TurnMark | undefined>
  /** Whether `turn` waits for space after this refusal. */
  waits(turn: T, refused: Refused): boolean
  /** The first turn waits for space, as after each further try. `undefined`: it does no longer. */
  short(first: T | undefined, error: unknown): void
  /** `turn` was refused. `later` were dropped with it, and have to be handled again in order. */
  refused(turn: T, later: readonly T[], refused: Refused): void
  /** The main row cannot be read: these turns stay undecided. */
  cut(undecided: readonly T[], error: unknown): void
}

/** The turns of one actor that have ended and are not out, linked in their order. */
export class TurnLog<T extends LoggedTurn = LoggedTurn> {
  readonly #port: TurnPort<T>
  readonly #turnsMax: number
  #first: T | undefined = undefined
  #last: T | undefined = undefined
  #count = 0
  #inFlight = 0
  #isDeciding = false
  /** The frame of the last unit that is out; `undefined` without one, or if it is not known. */
  lsn: number | undefined = undefined
  /** How often in a row no unit became durable. */
  #failures = 0
  /** Why the first turn waits for space. */
  #shortage: Refused | undefined = undefined

  constructor(port: TurnPort<T>, turnsMax: number) {
    this.#port = port
    this.#turnsMax = turnsMax
  }

  /** Whether everything is out. */
  get isEmpty(): boolean {
    return this.#first === undefined
  }

  /** Whether a new turn must wait. */
  get isFull(): boolean {
    return this.#count >= this.#turnsMax
  }

  /** The last turn on its way. */
  get last(): T | undefined {
    return this.#last
  }

  /** Resolves when everything that is on its way now is out; with false if the last was dropped. */
  settled(): Promise<boolean> {
    return this.#last === undefined ? Promise.resolve(true) : out(this.#last)
  }

  /** Resolves when nothing is on its way. */
  async drained(): Promise<void> {
    while (!this.isEmpty) await this.settled()
  }

  /** Resolves when there is room for a new turn. */
  async room(): Promise<void> {
    if (this.isFull && this.#first !== undefined) await out(this.#first)
  }

  /** Sends a turn that has ended on its way. */
  commit(turn: T): void {
    if (this.#last === undefined) this.#first = turn
    else this.#last.next = turn
    this.#last = turn
    this.#count++
    if (turn.unit !== undefined && !this.#isDeciding) this.#write(turn, turn.unit)
    this.#release()
  }

  #write(turn: LoggedTurn, unit: Turn): void {
    this.#inFlight++
    turn.fate = 'under way'
    this.#port.write(unit, (fate, lsn) => this.#settle(turn, fate, lsn))
  }

  #settle(turn: LoggedTurn, fate: Written, lsn: number | undefined): void {
    this.#inFlight--
    turn.lsn = lsn
    turn.fate = fate
    if (fate === 'durable') this.#failures = 0
    else this.#isDeciding = true
    this.#release()
    // Units of later turns are refused after this one. Their answers are awaited first.
    if (this.#isDeciding && this.#inFlight === 0) this.#decide()
  }

  /** Lets the turns leave that are durable, up to the first that is not. */
  #release(): void {
    for (let first = this.#first; first?.fate === 'durable'; first = this.#first) {
      this.#first = first.next
      first.next = undefined
      if (this.#first === undefined) this.#last = undefined
      this.#count--
      this.#shorten(undefined)
      if (first.unit !== undefined) this.lsn = first.lsn
      this.#port.durable(first)
      first.leave()
    }
  }

  #decide(): void {
    const first = this.#first
    if (first === undefined) this.#isDeciding = false
    else if (typeof first.fate !== 'object') void this.#lookUp()
    else if (this.#port.waits(first, first.fate)) this.#wait(first, first.fate)
    else this.#refuse(this.#take(), first.fate)
  }

  #refuse([turn, ...later]: readonly T[], refused: Refused): void {
    if (turn === undefined) return
    for (const dropped of [turn, ...later]) dropped.drop()
    this.#port.refused(turn, later, refused)
  }

  /** No call waits for the first turn: calls are refused, and the turns after them are redone. */
  #wait(first: T, refused: Refused): void {
    this.#shorten(refused)
    const asked = this.#takeFrom(({ isAsked }) => isAsked)
    this.#port.short(first, refused.error)
    this.#refuse(asked, refused)
    void this.#lookUp()
  }

  #shorten(shortage: Refused | undefined): void {
    const wasShort = this.#shortage !== undefined
    this.#shortage = shortage
    if (wasShort && shortage === undefined) this.#port.short(undefined, undefined)
  }

  /** The process has ended: the waits for space end. */
  end(): void {
    const shortage = this.#shortage
    if (shortage && this.#inFlight === 0) this.#refuse(this.#take(), shortage)
  }

  /** Reads in the row which of the units became durable, and writes the others again. */
  async #lookUp(): Promise<void> {
    let mark: TurnMark | undefined
    try {
      mark = await this.#port.mark(this.#failures++)
    } catch (error) {
      this.#port.cut(this.#take(), error)
      return
    }
    // The process has ended, and did not wait.
    if (!this.#isDeciding) return
    const turns = this.#all()
    for (const turn of turns)
      if (turn.unit !== undefined) turn.fate = isIn(turn.unit, mark) ? 'durable' : 'unknown'
    this.#isDeciding = false
    const left = turns.filter(({ fate }) => fate !== 'durable')
    this.#release()
    for (const turn of left) if (turn.unit !== undefined) this.#write(turn, turn.unit)
  }

  #all(): T[] {
    const turns: T[] = []
    for (let turn = this.#first; turn !== undefined; turn = turn.next) turns.push(turn)
    return turns
  }

  #take(): T[] {
    this.#isDeciding = false
    this.#shorten(undefined)
    return this.#takeFrom(() => true)
  }

  /** Takes out the first turn that `begins`, and all later ones. */
  #takeFrom(begins: (turn: T) => boolean): T[] {
    const turns = this.#all()
    const at = turns.findIndex(begins)
    const taken = at < 0 ? [] : turns.slice(at)
    this.#count -= taken.length
    this.#last = turns[turns.length - taken.length - 1]
    if (this.#last === undefined) this.#first = undefined
    else this.#last.next = undefined
    return taken
  }
}

/** Whether the row with this mark contains the effect of the unit. */
const isIn = ({ row }: Turn, mark: TurnMark | undefined): boolean => {
  if (row === undefined || mark === undefined) return row === mark
  const { incarnation, seq } = readMainRow(row).mark
  return mark.incarnation === incarnation && seq <= mark.seq
}
