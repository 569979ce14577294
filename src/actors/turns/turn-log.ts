/**
 * The turns of one durable actor: the one whose handler runs, the ones on their way into the log, and
 * the runs that have to be handled again. It carries out the decisions of `decide.ts` about them.
 *
 * The messages of a turn are sent when its unit is durable, in the order of the turns. So the next
 * turn may begin before the state is durable: no other process can see that state.
 *
 * If a write fails, the main row shows which units became durable, and the others are written
 * again. If a unit is refused, the later turns began from a state that does not exist: they are
 * taken back, and handled again in their order. A turn that may wait for space is not taken back:
 * its unit is written again and again. Later turns without a caller wait with it.
 */
import type { Message, Ref } from '../../runtime/index.ts'
import { readMainRow, type Turn, type TurnMark } from '../../storage/index.ts'
import {
  decide,
  decideLog,
  isGone,
  type LogPhase,
  mayLeave,
  type Refused,
  type TurnEffect,
  type TurnEvent,
  type TurnKind,
  type TurnPhase,
} from './decide.ts'

/** The outcome of a unit that was written. */
export type Written = 'durable' | 'unknown' | Refused

/** Something that leaves with a turn. It does not throw. */
export interface Held {
  leave(turn?: LoggedTurn): void
  /** The turn was dropped: this never leaves. `error`: the turn was refused, and is not handled again. */
  readonly drop?: ((turn: LoggedTurn, error?: unknown) => void) | undefined
}

/** The work of a turn, as the log knows it. `from`: a caller waits for it. */
export type LoggedRun = { readonly kind: TurnKind; readonly from: object | undefined }

/** The record of a turn while its handler runs, for rehearsals. */
export interface Recording<R = never> {
  /** The time that its handler reads, of the machine and of the shard. It stands still. */
  wall(now: () => number): number
  shard(now: () => number): number
  /** Its handler waits for something: the time goes on. */
  awaits(): void
  /** It sends a message. */
  sends(to: Ref<unknown>, message: Message): void
  /** The bytes for its unit; `undefined`: the record cannot be stored. */
  bytes(run: R): Uint8Array | undefined
}

/** A turn: what it sends, and the unit that has to be durable before. */
export class LoggedTurn<R extends LoggedRun = LoggedRun> {
  readonly run: R
  /** Its record, if its kind has one. */
  recording: Recording<R> | undefined = undefined
  /** `undefined`: it changed nothing, and only waits for the turns before it. */
  unit: Turn | undefined = undefined
  /** The next turn on its way into the log. */
  next: this | undefined = undefined
  /** The frame of its unit; `undefined` without one, or if it is not known. */
  lsn: number | undefined = undefined
  /** Why its unit was refused, until it is written again. */
  refusal: Refused | undefined = undefined
  #phase: TurnPhase = 'runs'
  #held: Held[] | undefined = undefined

  constructor(run: R) {
    this.run = run
  }

  get phase(): TurnPhase {
    return this.#phase
  }

  /** Something happens to it. Returns the effect, which the caller carries out. */
  on(event: TurnEvent): TurnEffect {
    const { phase, effect } = decide(this.#phase, event)
    this.#phase = phase
    return effect
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

  /**
   * Drops everything that the turn holds. With an `error` the turn is not handled again, and the
   * callers that it answered get the error.
   */
  drop(error?: unknown): void {
    for (const output of this.#take()) output.drop?.(this, error)
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
   * Reads the mark of the main row, `undefined` without one, when every earlier write is decided, and
   * calls `found`, later. Waits longer the more often in a row writes have failed. Calls `failed` when
   * nothing can be decided: the instance has closed.
   */
  look(
    tries: number,
    found: (mark: TurnMark | undefined) => void,
    failed: (error: unknown) => void,
  ): void
  /** The first turn waits for space, as after each further try. Without a `first`: no turn waits any more. */
  short(first: T | undefined, error: unknown): void
  /**
   * `turn` was refused, and `later` were dropped with it. Returns what is handled in its place,
   * before the later ones are handled again.
   */
  refused(turn: T, later: readonly T[], refused: Refused): T['run'] | undefined
  /** Turns have to be handled again. */
  redo(): void
  /** The process has ended. Calls `notify` when other processes may know. */
  ended(notify: () => void): void
  /** The main row cannot be read: these turns stay undecided. */
  cut(undecided: readonly T[], error: unknown): void
}

/** The turns of one actor. The ended turns that are not out are linked in their order. */
export class TurnLog<T extends LoggedTurn = LoggedTurn> {
  readonly #port: TurnPort<T>
  readonly #turnsMax: number
  /** The turn whose handler runs. */
  open: T | undefined = undefined
  #first: T | undefined = undefined
  #last: T | undefined = undefined
  #count = 0
  #inFlight = 0
  #phase: LogPhase = 'flows'
  /** The frame of the last unit that is out; `undefined` without one, or if it is not known. */
  lsn: number | undefined = undefined
  /** How often in a row no unit became durable. */
  #failures = 0
  /** Why the first turn waits for space. */
  #shortage: Refused | undefined = undefined
  /** These go before new messages: runs that are handled again, and a run that waits until rows can be read. */
  #redo: T['run'][] | undefined
  #isAlive = true

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

  get hasRedo(): boolean {
    return this.#redo !== undefined
  }

  /** Whether everything is out, and nothing has to be handled again. */
  get isSettled(): boolean {
    return this.#first === undefined && this.#redo === undefined
  }

  /** Whether a handler runs whose outputs count. */
  get isOpen(): boolean {
    return this.#isAlive && this.open !== undefined
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

  /** Takes out the next run that has to be handled again. */
  takeRedo(): T['run'] | undefined {
    const run = this.#redo?.shift()
    if (this.#redo?.length === 0) this.#redo = undefined
    return run
  }

  /** Puts a run before all others that are handled again. */
  redoFirst(run: T['run']): void {
    this.#redoFirst([run])
  }

  /** A run is not handled again. */
  dropRedo(run: T['run']): void {
    const left = this.#redo?.filter((each) => each !== run) ?? []
    this.#redo = left.length > 0 ? left : undefined
  }

  #redoFirst(runs: readonly T['run'][]): void {
    if (runs.length > 0) this.#redo = [...runs, ...(this.#redo ?? [])]
  }

  /** Puts a run after all others that are handled again. */
  redoLast(run: T['run']): void {
    this.#redo = [...(this.#redo ?? []), run]
  }

  /** Sends a turn that has ended on its way. */
  commit(turn: T): void {
    if (this.#last === undefined) this.#first = turn
    else this.#last.next = turn
    this.#last = turn
    this.#count++
    const { unit } = turn
    const effect = turn.on(unit === undefined ? 'unchanged' : 'changed')
    if (effect === 'release') this.#release()
    else if (effect === 'write' && this.#phase === 'flows') this.#write(turn, unit as Turn)
  }

  #write(turn: T, unit: Turn): void {
    this.#inFlight++
    this.#port.write(unit, (fate, lsn) => this.#settle(turn, fate, lsn))
  }

  #settle(turn: T, fate: Written, lsn: number | undefined): void {
    this.#inFlight--
    turn.lsn = lsn
    turn.refusal = typeof fate === 'object' ? fate : undefined
    const effect = turn.on(typeof fate === 'object' ? 'refused' : fate)
    if (fate === 'durable') this.#failures = 0
    if (effect === 'release') this.#release()
    else if (effect === 'halt') this.#phase = 'halts'
    // The units after a missing one are refused, too, as overtaken: all answers are awaited first.
    if (this.#phase === 'halts' && this.#inFlight === 0) this.#decide()
  }

  /** Lets the turns leave that are durable, up to the first that is not. */
  #release(): void {
    for (let first = this.#first; first && mayLeave(first.phase); first = this.#first) {
      this.#first = first.next
      first.next = undefined
      if (this.#first === undefined) this.#last = undefined
      this.#count--
      this.#shorten(undefined)
      if (first.unit !== undefined) this.lsn = first.lsn
      const effect = first.on('left')
      this.#port.durable(first)
      if (effect === 'leave') first.leave()
    }
  }

  #decide(): void {
    const first = this.#first
    const kind = first?.run.kind ?? 'call'
    const refused = first?.refusal
    const next = decideLog(first?.phase, kind, refused, this.#isAlive)
    if (next === 'flow') this.#phase = 'flows'
    else if (next === 'look') this.#look()
    else if (next === 'wait') this.#wait(first as T, refused as Refused)
    else this.#refuse(this.#take(), refused as Refused)
  }

  /**
   * `turn` never was. Its refusal has its consequence, then the later turns are handled again, and
   * the one whose handler runs: it began on a state that does not exist.
   */
  #refuse([turn, ...later]: readonly T[], refused: Refused): void {
    if (turn === undefined) return
    if (turn.on('takenBack') === 'drop')
      turn.drop(isGone(turn.run.kind, refused) ? refused.error : undefined)
    turn.leave()
    const runs: T['run'][] = []
    for (const dropped of later) {
      if (dropped.on('undone') === 'redo') runs.push(dropped.run)
      dropped.drop()
    }
    const { open } = this
    if (open?.on('undone') === 'redo') runs.push(open.run)
    const next = this.#port.refused(turn, later, refused)
    if (next !== undefined) runs.unshift(next)
    this.#redoFirst(runs)
    this.#port.redo()
  }

  /** No call waits for the first turn: calls are refused, and the turns after them are redone. */
  #wait(first: T, refused: Refused): void {
    this.#shorten(refused)
    const asked = this.#takeFrom(({ run }) => run.from !== undefined)
    this.#port.short(first, refused.error)
    this.#refuse(asked, refused)
    this.#look()
  }

  #shorten(shortage: Refused | undefined): void {
    const wasShort = this.#shortage !== undefined
    this.#shortage = shortage
    if (wasShort && shortage === undefined) this.#port.short(undefined, undefined)
  }

  /**
   * The process has ended: nothing of the open turn leaves, and the waits for space end. `notify` is
   * called when other processes may know.
   */
  end(notify: () => void): void {
    this.#isAlive = false
    this.open?.on('failed')
    this.open?.drop()
    const shortage = this.#shortage
    if (shortage && this.#inFlight === 0) this.#refuse(this.#take(), shortage)
    this.#port.ended(notify)
  }

  /** Reads in the row which of the units became durable, and writes the others again. */
  #look(): void {
    this.#phase = 'looks'
    this.#port.look(
      this.#failures++,
      (mark) => this.#looked(mark),
      (error) => this.#cut(error),
    )
  }

  #looked(mark: TurnMark | undefined): void {
    // The process ended during the look, and took the turns out.
    if (this.#phase !== 'looks') return
    const turns = this.#all()
    for (const turn of turns)
      if (turn.unit !== undefined) {
        turn.refusal = undefined
        turn.on(isIn(turn.unit, mark) ? 'durable' : 'unknown')
      }
    this.#phase = 'flows'
    this.#release()
    for (let turn = this.#first; turn; turn = turn.next)
      if (turn.on('rewritten') === 'write') this.#write(turn, turn.unit as Turn)
  }

  #cut(error: unknown): void {
    const turns = this.#take()
    for (const turn of turns) turn.on('cut')
    this.#port.cut(turns, error)
  }

  #all(): T[] {
    const turns: T[] = []
    for (let turn = this.#first; turn !== undefined; turn = turn.next) turns.push(turn)
    return turns
  }

  #take(): T[] {
    this.#phase = 'flows'
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
