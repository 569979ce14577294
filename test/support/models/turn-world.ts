/**
 * One durable actor around the real log of turns, with a disk of which each write may go wrong. Each
 * event is one thing that may happen next, so a walk over all orders of events meets every state.
 *
 * The world itself notes what may never happen: an answer or a message that leaves before what it
 * rests on is durable, a caller who is told of a refusal although the effect is durable, an effect
 * that happens twice.
 */
import {
  afterRefusal,
  beforeTurn,
  isVoid,
  type Refused,
  type TurnKind,
  type TurnPhase,
} from '../../../src/actors/turns/decide.ts'
import {
  LoggedTurn,
  TurnLog,
  type TurnPort,
  type Written,
} from '../../../src/actors/turns/turn-log.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { markBytes, type Turn, type TurnMark, writeMark } from '../../../src/storage/index.ts'

const incarnation = '0123456789abcdef'
const full: Refused = { error: new KeelsonError('NO_SPACE', 'full'), isOvertaken: false }
const locked: Refused = { error: new KeelsonError('LOCKED', 'locked'), isOvertaken: false }
const overtaken: Refused = { error: new KeelsonError('CONFLICT', 'overtaken'), isOvertaken: true }

/** A caller, and how its call was settled. */
type Caller = { settled: 'answered' | 'refused' | 'unknown' | undefined }

type Run = {
  readonly kind: TurnKind
  readonly from: Caller | undefined
  readonly name: string
  /** Its place among the messages. */
  readonly at: number
  /** The handler throws: the failure of a refused step is recorded. */
  readonly throws: boolean
  /** What became of it, for messages that nobody waits for. */
  readonly ends: string[]
}

/** The state of the actor: the unit that wrote it, and its number. */
type State = { readonly by: ModelTurn | undefined; readonly seq: number }

class ModelTurn extends LoggedTurn<Run> {
  readonly before: State
  hasThrown = false

  constructor(run: Run, before: State) {
    super(run)
    this.before = before
  }

  get seq(): number {
    return this.before.seq + 1
  }
}

type Write = {
  readonly turn: ModelTurn
  readonly answer: (fate: Written) => void
  fate: Written | undefined
}

type Look = { found(mark: TurnMark | undefined): void; failed(error: unknown): void }

/** The limits of a walk: what may happen in one life, so that each life ends. */
export type TurnLimits = {
  readonly messages: readonly ('call' | 'message' | 'step')[]
  readonly pipeline: number
  /** How many writes and looks may go wrong. */
  readonly faults: number
  readonly mayDie: boolean
  /** Handlers may answer with a stop. */
  readonly mayStop: boolean
  /** The shard may go down. It comes back. */
  readonly mayGoDown: boolean
}

/** The actor and its disk, after some events. */
export class TurnWorld implements TurnPort<ModelTurn> {
  /** What happened and never may. */
  readonly wrong: string[] = []
  readonly #log: TurnLog<ModelTurn>
  readonly #runs: readonly Run[]
  readonly #mayDie: boolean
  readonly #mayStop: boolean
  readonly #mayGoDown: boolean
  #isDown = false
  /** The outputs that have neither left nor been dropped. */
  #held = 0
  /** A turn that stops its process, and waits for the turns before it. */
  #stopping: ModelTurn | undefined
  #begun = 0
  #faults: number
  #isAlive = true
  #isBlocked = false
  #isShort = false
  #wasBlind = false
  #known: State = { by: undefined, seq: 0 }
  #writes: Write[] = []
  #look: Look | undefined
  /** The units in the row, in order. */
  readonly #stored: ModelTurn[] = []
  readonly #out: ModelTurn[] = []

  constructor({ messages, pipeline, faults, mayDie, mayStop, mayGoDown }: TurnLimits) {
    this.#mayGoDown = mayGoDown
    this.#mayStop = mayStop
    this.#log = new TurnLog<ModelTurn>(this, pipeline)
    this.#faults = faults
    this.#mayDie = mayDie
    this.#runs = messages.map((kind, at) => ({
      kind,
      from: kind === 'call' ? { settled: undefined } : undefined,
      name: `${kind} ${at}`,
      at,
      throws: false,
      ends: [],
    }))
  }

  // The events.

  /** What may happen next. */
  get events(): readonly string[] {
    const events: string[] = []
    const { open, hasRedo, isEmpty } = this.#log
    const mayFail = this.#faults > 0
    if (this.#isAlive) {
      if (this.#stopping) {
        if (isEmpty) events.push('stop')
      } else if (open === undefined) {
        if (hasRedo || this.#takesNext) events.push('begin')
      } else if (open.hasThrown) {
        if (isEmpty) events.push('throw')
      } else if (open.run.throws) events.push('threw')
      else {
        events.push('changed', 'unchanged')
        if (this.#mayStop) events.push('stops')
        if (mayFail) events.push('threw', 'spoilt')
        if (!this.#wasBlind) events.push('blind')
      }
      if (this.#mayDie) events.push('die')
    }
    if (this.#isDown) events.push('comes back')
    else if (this.#mayGoDown && mayFail) events.push('goes down')
    const next = this.#writes.find(({ fate }) => fate === undefined)
    if (next && !this.#isDown) {
      const fits = next.turn.before.by === this.#stored.at(-1)
      if (fits) events.push('stores')
      if (!fits) events.push('overtakes')
      if (mayFail) events.push('loses')
      if (mayFail && fits) events.push('stores unsaid', 'is full', 'is locked')
    }
    this.#writes.forEach(({ fate }, at) => {
      if (fate !== undefined) events.push(`answers ${at}`)
    })
    if (this.#look && !this.#isDown) events.push('found')
    if (this.#look && mayFail) events.push('unreadable')
    return events
  }

  /** Lets one of the events happen. */
  on(event: string): void {
    const { open } = this.#log
    if (event === 'begin') this.#begin()
    else if (event === 'stop') this.#stop()
    else if (event === 'goes down') this.#goesDown()
    else if (event === 'comes back') this.#isDown = false
    else if (event === 'die') this.#die()
    else if (event === 'found') this.#takeLook()?.found(this.#mark)
    else if (event === 'unreadable') {
      this.#faults--
      this.#takeLook()?.failed(new KeelsonError('CORRUPT', 'unreadable'))
    } else if (event.startsWith('answers')) {
      const [write] = this.#writes.splice(Number(event.slice(8)), 1)
      if (write?.fate) write.answer(write.fate)
    } else if (
      open &&
      ['changed', 'unchanged', 'stops', 'threw', 'throw', 'spoilt', 'blind'].includes(event)
    )
      this.#ends(open, event)
    else this.#decides(event)
  }

  /** The state, as a text: two worlds with the same text go on alike. */
  get key(): string {
    const names = new Map<ModelTurn, number>()
    const turn = (each: ModelTurn | undefined): unknown => {
      if (each === undefined) return 0
      if (!names.has(each)) names.set(each, names.size)
      const { run, phase, hasThrown, refusal, unit } = each
      const error = refusal && (refusal.error as KeelsonError).code
      return [
        names.get(each),
        run.name,
        run.throws,
        phase,
        hasThrown,
        error,
        unit !== undefined,
        each.seq,
      ]
    }
    const redo: Run[] = []
    for (let run = this.#log.takeRedo(); run; run = this.#log.takeRedo()) redo.push(run)
    for (const run of redo) this.#log.redoLast(run)
    const line = this.#turns.filter(({ phase }) => onItsWay.has(phase))
    return JSON.stringify([
      line.map((each) => [turn(each), turn(each.before.by)]),
      turn(this.#log.open),
      turn(this.#stopping),
      redo.map(({ name, throws }) => [name, throws]),
      this.#writes.map(({ turn: each, fate }) => [
        turn(each),
        typeof fate === 'object' ? (fate.error as KeelsonError).code : fate,
      ]),
      turn(this.#stored.at(-1)),
      [this.#known.seq, turn(this.#known.by)],
      [
        this.#begun,
        this.#faults,
        this.#isAlive,
        this.#isBlocked,
        this.#isShort,
        this.#wasBlind,
        this.#isDown,
        this.#held,
        this.#look !== undefined,
      ],
      this.#runs.map(({ from, ends }) => [from?.settled, ends.length]),
      this.wrong,
    ])
  }

  /** What is wrong with a world in which nothing more can happen. */
  get leftOver(): readonly string[] {
    const left: string[] = []
    if (!this.#log.isEmpty) left.push('a turn is still on its way')
    if (this.#isAlive && this.#log.hasRedo) left.push('a turn is not handled again')
    if (this.#held > 0) left.push('an output neither leaves nor is dropped')
    if (!this.#isAlive) return left
    // The end of a process answers the callers of what it left undone.
    for (const { name, from, ends } of this.#runs) {
      if (from && from.settled === undefined) left.push(`${name} has no answer`)
      if (!from && ends.length === 0) left.push(`${name} ended in silence`)
    }
    return left
  }

  // The actor.

  readonly #turns: ModelTurn[] = []

  #goesDown(): void {
    this.#faults--
    this.#isDown = true
  }

  /** Whether the turn of the next message begins now, or is refused. */
  get #takesNext(): boolean {
    const next = this.#runs[this.#begun]
    if (next === undefined) return false
    const { hasRedo, isFull } = this.#log
    const condition = { isAlive: this.#isAlive, hasRedo, isFull, isStill: this.#isDown, ...awake }
    const before = beforeTurn(condition, next.from !== undefined, false)
    return before === 'begin' || before === 'refuse: shard down'
  }

  #begin(): void {
    const run = this.#log.takeRedo() ?? (this.#runs[this.#begun++] as Run)
    if (run.from?.settled) return
    const isRefused = this.#isShort || this.#isBlocked || this.#isDown
    if (run.from && isRefused) this.#settle(run, 'refused')
    else if (this.#isBlocked) run.ends.push('blocked')
    else this.#opens(run)
  }

  #opens(run: Run): ModelTurn {
    const turn = new ModelTurn(run, this.#known)
    this.#turns.push(turn)
    this.#log.open = turn
    return turn
  }

  #ends(turn: ModelTurn, event: string): void {
    if (event === 'blind') {
      this.#wasBlind = true
      turn.on('blind')
      return
    }
    if (event === 'threw' && !turn.run.throws) this.#faults--
    if (event === 'spoilt') this.#faults--
    // The throw of a message ends its process after the turns before it.
    if (event === 'threw' && turn.run.kind !== 'step') {
      turn.hasThrown = true
      return
    }
    const effect = turn.on('ended')
    if (effect !== 'judge') {
      if (effect === 'nothing') this.wrong.push(`a turn ends that is ${turn.phase}`)
      this.#log.open = undefined
      turn.drop()
      if (effect === 'awaitRows') this.#log.redoFirst(turn.run)
    } else if (event === 'throw') {
      turn.on('failed')
      this.#die()
    } else if (event === 'threw') this.#fails(turn)
    else if (event === 'spoilt') this.#spoils(turn)
    else this.#commits(turn, event === 'changed', event === 'stops')
  }

  #commits(turn: ModelTurn, isChanged: boolean, isStop = false): void {
    if (!isStop) this.#holds(turn, 'answered')
    else this.#stopping = turn
    if (isChanged) {
      turn.unit = unitOf(turn.seq)
      this.#known = { by: turn, seq: turn.seq }
    }
    this.#log.open = undefined
    this.#log.commit(turn)
  }

  #holds(turn: ModelTurn, how: 'answered' | 'refused'): void {
    const { run } = turn
    this.#held++
    turn.hold({
      drop: () => {
        this.#held--
      },
      leave: () => {
        this.#held--
        this.#mustBeStored(turn)
        if (run.from) this.#settle(run, how)
        else run.ends.push('left')
      },
    })
  }

  /** The turns before a stop are decided, and the stop itself. Its answer is the last thing. */
  #stop(): void {
    const turn = this.#stopping as ModelTurn
    this.#stopping = undefined
    if (isVoid(turn.phase)) return
    this.#mustBeStored(turn)
    this.#settle(turn.run, 'answered')
    this.#die()
  }

  /** A failed try is recorded. */
  #fails(turn: ModelTurn): void {
    turn.on('failed')
    this.#log.open = undefined
    turn.drop()
    this.#commits(this.#opens({ ...turn.run, kind: 'record', throws: false }), true)
  }

  #spoils(turn: ModelTurn): void {
    turn.on('spoilt')
    turn.drop()
    const { run } = turn
    if (afterRefusal(run.kind, locked) === 'retry') {
      this.#log.open = undefined
      this.#log.redoFirst({ ...run, throws: true })
      return
    }
    this.#holds(turn, 'refused')
    this.#log.open = undefined
    this.#log.commit(turn)
  }

  #die(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#log.end(() => undefined)
  }

  #settle({ name, from }: Run, how: NonNullable<Caller['settled']>): boolean {
    if (from === undefined || from.settled !== undefined) return false
    from.settled = how
    if (how === 'refused' && this.#stored.some(({ run }) => run.name === name))
      this.wrong.push(`${name} is refused, and its effect is durable`)
    return true
  }

  // Its port.

  write(unit: Turn, answer: (fate: Written) => void): void {
    const turn = this.#turns.findLast((each) => each.unit === unit) as ModelTurn
    if (this.#writes.some((write) => write.turn === turn))
      this.wrong.push('a unit is written twice')
    this.#writes.push({ turn, answer, fate: undefined })
  }

  durable(turn: ModelTurn): void {
    this.#mustBeStored(turn)
    this.#out.push(turn)
  }

  look(
    _: number,
    found: (mark: TurnMark | undefined) => void,
    failed: (error: unknown) => void,
  ): void {
    if (this.#look || this.#writes.length > 0)
      this.wrong.push('a row is read while a write is open')
    const waits = this.#turns.some(
      ({ run, phase }) => onItsWay.has(phase) && run.from && run.from.settled === undefined,
    )
    if (this.#isShort && waits) this.wrong.push('a call waits for space')
    this.#look = { found, failed }
  }

  short(first: ModelTurn | undefined): void {
    const { open } = this.#log
    this.#isShort = first !== undefined
    if (first && !this.#isAlive) this.wrong.push('a process that has ended waits for space')
    if (first && open && this.#settle(open.run, 'refused')) open.on('short')
  }

  refused(turn: ModelTurn, later: readonly ModelTurn[], refused: Refused): Run | undefined {
    this.#known = turn.before
    if (later.some(({ phase }) => phase !== 'undone')) this.wrong.push('a later turn is not undone')
    const { run } = turn
    const next = afterRefusal(run.kind, refused)
    if (next === 'retry' && this.#isAlive) return { ...run, throws: true }
    if (next === 'end') this.#die()
    else if (next === 'block') this.#isBlocked = true
    if (!this.#settle(run, 'refused')) run.ends.push(next)
    return undefined
  }

  redo(): void {}

  ended(): void {}

  cut(undecided: readonly ModelTurn[]): void {
    for (const turn of undecided) {
      this.#settle(turn.run, 'unknown')
      turn.drop()
    }
    this.#die()
  }

  // The disk.

  get #mark(): TurnMark | undefined {
    const last = this.#stored.at(-1)
    return last && { incarnation, seq: last.seq }
  }

  #takeLook(): Look | undefined {
    const look = this.#look
    this.#look = undefined
    return look
  }

  #decides(event: string): void {
    const write = this.#writes.find(({ fate }) => fate === undefined) as Write
    if (event === 'stores' || event === 'stores unsaid') this.#store(write.turn)
    if (event !== 'stores' && event !== 'overtakes') this.#faults--
    write.fate = fates[event]
  }

  #store(turn: ModelTurn): void {
    const { run } = turn
    if (turn.run.from?.settled === 'refused')
      this.wrong.push(`${run.name} was refused, and is stored`)
    const isAgain = this.#stored.some(
      (each) => each.run.name === run.name && each.run.kind === run.kind,
    )
    if (isAgain) this.wrong.push(`${run.name} happens twice`)
    const last = this.#stored.at(-1)
    if (last && last.run.at > run.at) this.wrong.push(`${run.name} comes after ${last.run.name}`)
    this.#stored.push(turn)
  }

  /** Its own unit, and the state that its handler was given. */
  #mustBeStored(turn: ModelTurn): void {
    const { unit, before } = turn
    const rests = [...(unit === undefined ? [] : [turn]), ...(before.by ? [before.by] : [])]
    if (rests.some((each) => !this.#stored.includes(each)))
      this.wrong.push(`${turn.run.name} leaves before it is durable`)
    const last = this.#out.at(-1)
    if (last && last !== turn && last.seq > turn.seq)
      this.wrong.push(`${turn.run.name} leaves late`)
  }
}

const onItsWay = new Set<TurnPhase>(['spoilt', 'written', 'unsure', 'refused', 'durable'])

const awake = { isAwake: true, knowsIds: true, isClosed: false, isCutOff: false }

const fates: Readonly<Record<string, Written>> = {
  stores: 'durable',
  'stores unsaid': 'unknown',
  loses: 'unknown',
  'is full': full,
  'is locked': locked,
  overtakes: overtaken,
}

const unitOf = (seq: number): Turn => {
  const row = Buffer.alloc(markBytes)
  writeMark(row, 0, { incarnation, seq })
  return { kind: 'turn', entity: 'a/1', follows: undefined, row, rows: [], writes: [] }
}
