/**
 * The turns of one durable actor on their way into the log, in their order. What a turn sends
 * leaves when its unit is durable, and never before that of an earlier turn. So a new turn begins
 * on a state that is still on its way, and no other process can tell.
 *
 * If a write fails, the main row tells which units became durable, and the others are written
 * again. If the state refuses a unit, the later turns stood on a state that does not exist: they
 * are handed back to be handled again.
 */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { readMainRow, type Turn, type TurnMark } from '../../storage/index.ts'

/** Why a unit will never be durable as it is. */
export type Refused = {
  readonly error: KeelsonError
  /** The main row is not the one that the unit follows. */
  readonly isOvertaken: boolean
}

type Fate = 'under way' | 'durable' | 'unknown' | Refused

/** A turn: what it sends, and the unit that has to be durable before. */
export class LoggedTurn {
  /** `undefined`: it changed nothing, and only waits for the turns before it. */
  unit: Turn | undefined = undefined
  #fate: Fate = 'under way'
  #leaving: Held[] = []

  get fate(): Fate {
    return this.unit === undefined ? 'durable' : this.#fate
  }

  set fate(fate: Fate) {
    this.#fate = fate
  }

  /** Keeps an output until the turn is durable. `undo` runs instead if it is dropped. */
  hold(output: () => void, undo?: () => void): void {
    this.#leaving.push({ output, undo })
  }

  /** Lets everything leave, in order. */
  leave(): void {
    for (const { output } of this.#take()) output()
  }

  /** Nothing of it leaves. */
  drop(): void {
    for (const { undo } of this.#take()) undo?.()
  }

  #take(): Held[] {
    const held = this.#leaving
    this.#leaving = []
    return held
  }
}

type Held = { readonly output: () => void; readonly undo: (() => void) | undefined }

/** What the log of turns needs of the world. */
export interface TurnPort<T extends LoggedTurn> {
  /** Writes a unit. A rejection says nothing about its fate. */
  write(unit: Turn): Promise<'durable' | Refused>
  /**
   * The mark of the main row, `undefined` without one, when every earlier write is decided. Waits
   * longer the more often in a row writes have failed. Rejects when nothing can be decided: the
   * instance has closed.
   */
  mark(tries: number): Promise<TurnMark | undefined>
  /** The state refused `turn`. `later` were dropped, and have to be handled again in order. */
  refused(turn: T, later: readonly T[], error: KeelsonError): void
  /** Another incarnation wrote the row: this one has ended, and `lost` never happened. */
  overtaken(lost: readonly T[]): void
  /** The main row cannot be read: these turns stay undecided. */
  cut(undecided: readonly T[], error: unknown): void
}

/** The turns of one actor that have ended and are not out. */
export class TurnLog<T extends LoggedTurn = LoggedTurn> {
  readonly #port: TurnPort<T>
  readonly #turnsMax: number
  #turns: T[] = []
  #inFlight = 0
  #isDeciding = false
  /** How often in a row no unit became durable. */
  #failures = 0
  #waiting: { readonly behind: LoggedTurn; readonly resolve: (isOut: boolean) => void }[] = []
  #drained: (() => void)[] = []

  constructor(port: TurnPort<T>, turnsMax: number) {
    this.#port = port
    this.#turnsMax = turnsMax
  }

  /** Whether everything is out. */
  get isEmpty(): boolean {
    return this.#turns.length === 0
  }

  /** Whether a new turn must wait. */
  get isFull(): boolean {
    return this.#turns.length >= this.#turnsMax
  }

  /** The last turn on its way. */
  get last(): T | undefined {
    return this.#turns[this.#turns.length - 1]
  }

  /** Resolves when everything that is on its way now is out; with false if the last was dropped. */
  settled(): Promise<boolean> {
    const behind = this.last
    if (behind === undefined) return Promise.resolve(true)
    return new Promise((resolve) => this.#waiting.push({ behind, resolve }))
  }

  /** Resolves when nothing is on its way. */
  drained(): Promise<void> {
    if (this.isEmpty) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /** Resolves when there is room for a new turn. */
  async room(): Promise<void> {
    const first = this.#turns[0]
    if (!this.isFull || first === undefined) return
    await new Promise((resolve) => this.#waiting.push({ behind: first, resolve }))
  }

  /** Sends a turn that has ended on its way. */
  commit(turn: T): void {
    this.#turns.push(turn)
    if (turn.unit !== undefined && !this.#isDeciding) this.#write(turn, turn.unit)
    this.#release()
  }

  #write(turn: LoggedTurn, unit: Turn): void {
    this.#inFlight++
    turn.fate = 'under way'
    this.#port.write(unit).then(
      (fate) => this.#settle(turn, fate),
      (error) => this.#settle(turn, unwritten(error)),
    )
  }

  #settle(turn: LoggedTurn, fate: 'durable' | 'unknown' | Refused): void {
    this.#inFlight--
    turn.fate = fate
    if (fate === 'durable') this.#failures = 0
    else this.#isDeciding = true
    this.#release()
    // Units of later turns are refused after this one. Their answers are awaited first.
    if (this.#isDeciding && this.#inFlight === 0) this.#decide()
  }

  /** Lets the turns leave that are durable, up to the first that is not. */
  #release(): void {
    for (let first = this.#turns[0]; first?.fate === 'durable'; first = this.#turns[0]) {
      this.#turns.shift()
      first.leave()
      this.#passed(first, true)
    }
  }

  #passed(turn: LoggedTurn, isOut: boolean): void {
    if (this.#waiting.length > 0) this.#tellWaiting(turn, isOut)
    if (this.#drained.length > 0 && this.isEmpty)
      for (const resolve of this.#drained.splice(0)) resolve()
  }

  #tellWaiting(turn: LoggedTurn, isOut: boolean): void {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ behind }) => behind !== turn)
    for (const { behind, resolve } of waiting) if (behind === turn) resolve(isOut)
  }

  #decide(): void {
    const first = this.#turns[0]
    if (first === undefined) this.#isDeciding = false
    else if (typeof first.fate === 'object') this.#refuse(first, first.fate)
    else void this.#lookUp()
  }

  #refuse(turn: T, { error, isOvertaken }: Refused): void {
    const turns = this.#take()
    if (isOvertaken) {
      this.#port.overtaken(turns)
    } else {
      for (const dropped of turns) dropped.drop()
      this.#port.refused(turn, turns.slice(1), error)
    }
    for (const gone of turns) this.#passed(gone, false)
  }

  /** Reads in the row which of the units became durable, and writes the others again. */
  async #lookUp(): Promise<void> {
    let mark: TurnMark | undefined
    try {
      mark = await this.#port.mark(this.#failures++)
    } catch (error) {
      const undecided = this.#take()
      this.#port.cut(undecided, error)
      for (const gone of undecided) this.#passed(gone, false)
      return
    }
    for (const turn of this.#turns)
      if (turn.unit !== undefined) turn.fate = isIn(turn.unit, mark) ? 'durable' : 'unknown'
    this.#isDeciding = false
    const left = this.#turns.filter(({ fate }) => fate !== 'durable')
    this.#release()
    for (const turn of left) if (turn.unit !== undefined) this.#write(turn, turn.unit)
  }

  #take(): T[] {
    this.#isDeciding = false
    return this.#turns.splice(0)
  }
}

/** A unit that fits no log never will. Any other failure says nothing about its fate. */
const unwritten = (error: unknown): 'unknown' | Refused =>
  isKeelsonError(error, 'TOO_LARGE') ? { error, isOvertaken: false } : 'unknown'

/** Whether the row with this mark contains the effect of the unit. */
const isIn = ({ row }: Turn, mark: TurnMark | undefined): boolean => {
  if (row === undefined || mark === undefined) return row === mark
  const { incarnation, seq } = readMainRow(row).mark
  return mark.incarnation === incarnation && seq <= mark.seq
}
