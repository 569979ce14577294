/**
 * The replay of a run: the operations that its body has asked for, the outcomes in the order of
 * their places, and which operation may start. The body gets one outcome after another in that
 * order, live as in a replay, so that its races come out the same. New operations are held until the
 * body has asked for every recorded key. A retry reopens an operation: its row keeps the place and
 * loses the outcome, and it runs again when the replay comes to that place. `Refusals` are those of a body:
 * they come before its next outcome. Pure.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { cancelKey, type Operation, type OperationKind, type Recorded } from './record.ts'

/** An operation that the body has asked for. */
export interface Asked {
  readonly kind: OperationKind
  readonly key: string
  /** Of a child: its workflow. */
  readonly type: string | undefined
  /** Its row, if it has one. */
  recorded: Recorded | undefined
}

/** A recorded operation with its outcome. */
export type Decided = Recorded & Required<Pick<Operation, 'outcome' | 'place'>>

/** The replay of one activation of a run. `A`: the operations as the activation knows them. */
export class Replay<A extends Asked = Asked> {
  /** The operations that were asked for, in that order. */
  readonly asked = new Map<string, A>()
  /** The operations that wait for their outcome. */
  readonly inFlight = new Set<A>()
  /** The operations that were asked for since the last outcome. */
  #lastAsked: A[] = []
  /** Operations that wait for their start in this activation. */
  readonly #held: A[] = []
  readonly #recorded: Map<string, Recorded>
  /** The rows that have a place, by it. A reopened operation has no outcome: it runs at its place. */
  readonly #placed = new Map<number, Recorded>()
  /**
   * The places of outcomes that an earlier body may have got, in order. Outcomes at later places
   * are new.
   */
  #places: readonly number[]
  /** The last of them. */
  readonly #last: number
  #delivered = 0
  /** How many keys of the record were not asked for. */
  #missing: number
  #isComplete = false
  #isCancelled = false
  /** The body acts on an outcome in this turn of the event loop: it may cancel what it asked for. */
  #isDelivering = false
  /** The last place whose outcome is known here. */
  known: number

  /** `outcomes`: the last place whose outcome a body may have got. */
  constructor(record: readonly Recorded[], outcomes: number) {
    this.#recorded = new Map(record.map((each) => [each.key, each]))
    for (const each of record) if (each.place !== undefined) this.#placed.set(each.place, each)
    const places = [...this.#placed.keys()].sort((left, right) => left - right)
    this.#places = places.filter((place) => place <= outcomes)
    this.#last = outcomes
    this.known = Math.max(outcomes, places.at(-1) ?? 0)
    this.#missing = record.length
  }

  /** Whether the body is beyond its record: new operations may start. */
  get isComplete(): boolean {
    this.#isComplete ||= !this.#isDelivering && this.isAtEnd
    return this.#isComplete
  }

  /** Whether the body has got all of its record. It may act on the last outcome yet. */
  get isAtEnd(): boolean {
    const hasAll = this.#missing === 0 && this.#delivered >= this.#places.length
    return hasAll || this.#isCancelled
  }

  /** Whether the body is where it was: at the end of its record, or at an operation that is tried again. */
  get hasArrived(): boolean {
    return this.isComplete || this.reopened !== undefined
  }

  /** How far the replay is: it grows with each operation and each outcome. */
  get progress(): number {
    return this.asked.size + this.#delivered
  }

  /**
   * The body asks for an operation.
   * @throws KeelsonError `INVALID_ARGUMENT` for a key that it has used; `DIVERGED` for one that is
   * recorded with another kind, or as a run of another workflow
   */
  ask(asked: A): A {
    const { key } = asked
    if (this.asked.has(key)) throw invalidArgument('key', 'a key that this run has not used', key)
    const recorded = this.#recorded.get(key)
    if (recorded && !isSame(recorded, asked)) throw divergedAt(asked, recorded)
    if (recorded) this.#missing--
    asked.recorded = recorded
    this.asked.set(key, asked)
    this.inFlight.add(asked)
    this.#lastAsked.push(asked)
    // An operation with an outcome never starts again.
    if (!recorded?.outcome) this.#held.push(asked)
    return asked
  }

  /**
   * Checks that the body may ask for another operation, of at most `stepsMax`.
   * @throws KeelsonError `TOO_MANY_STEPS`, `BUSY`
   */
  expectRoom(key: string, stepsMax: number): void {
    if (this.asked.size >= stepsMax && !this.#recorded.has(key)) throw tooMany(stepsMax)
    if (this.inFlight.size >= inFlightMax) throw tooBusy()
  }

  /** Whether the run has the outcome of an operation that its body asks for, or its row alone. */
  knows(key: string): 'decided' | 'begun' | 'nothing' {
    const recorded = this.#recorded.get(key)
    if (!recorded) return 'nothing'
    return recorded.outcome ? 'decided' : 'begun'
  }

  /** A turn has recorded the present row of an operation. */
  record(recorded: Recorded): void {
    const { key } = recorded
    const asked = this.asked.get(key)
    if (asked) asked.recorded = recorded
    // The end of a child may come before the body has asked for it again.
    else if (this.#recorded.has(key)) this.#recorded.set(key, recorded)
    if (recorded.place === undefined) return
    this.#placed.set(recorded.place, recorded)
    this.known = Math.max(this.known, recorded.place)
  }

  /** The operation of this number, if the body has asked for it. */
  recordedAs(number: number): Recorded | undefined {
    const asked = [...this.asked.values()]
    return asked.find(({ recorded }) => recorded?.number === number)?.recorded
  }

  /** The body gets control, and no outcome. */
  acts(): void {
    this.#isDelivering = true
  }

  /** Another turn of the event loop begins: the body has acted on the outcome before. */
  turns(): void {
    this.#isDelivering = false
    this.#isComplete ||= this.isAtEnd
  }

  /** The outcome that the body gets next, if it is there and the body has asked for it. */
  next(): { readonly asked: A; readonly decided: Decided } | undefined {
    const recorded = this.#placed.get(this.#place)
    const asked = recorded?.outcome && this.asked.get(recorded.key)
    // A cancel is not among the operations that it counts.
    if (!asked || (recorded.asked ?? 0) > this.asked.size - 1) return undefined
    return { asked, decided: recorded as Decided }
  }

  /** Steps and children that the body has asked for since its last outcome, and that wait for theirs. */
  get unawaited(): readonly A[] {
    const isWork = ({ kind }: A): boolean => kind === 'step' || kind === 'child'
    return this.#lastAsked.filter((asked) => isWork(asked) && this.inFlight.has(asked))
  }

  /** The body has got the outcome that `next` returned. */
  delivered(asked: A): void {
    this.drop(asked)
    // Nothing of a body starts after its cancel.
    this.#isCancelled ||= asked.kind === 'cancel'
    this.#isDelivering = true
    this.#lastAsked = []
    this.#placed.delete(this.#place)
    this.#delivered++
  }

  /** The body waits for this operation no more. */
  drop(asked: A): void {
    this.inFlight.delete(asked)
    this.#releases(asked)
    const { place, outcome } = asked.recorded ?? {}
    if (place === undefined || outcome) return
    // It was to run again, and will not: nothing comes at its place.
    this.#placed.delete(place)
    this.#places = this.#places.filter((each) => each !== place)
  }

  /**
   * The operations that start now: each is returned once. Within the record that is only one
   * that is reopened, at its place.
   */
  starting(): readonly A[] {
    if (this.#held.length === 0) return []
    if (this.isComplete)
      return this.#held.splice(0).sort((left, right) => startsAt(left) - startsAt(right))
    return this.open.filter((asked) => this.#releases(asked))
  }

  /** The operations whose outcome may come now: within the record only one that is reopened. */
  get open(): readonly A[] {
    if (this.isComplete) return [...this.inFlight]
    const row = this.reopened === undefined ? undefined : this.#placed.get(this.#place)
    const asked = row && this.asked.get(row.key)
    return asked ? [asked] : []
  }

  /** It waits for its start no more. False: it did not. */
  #releases(asked: A): boolean {
    const at = this.#held.indexOf(asked)
    return at >= 0 && this.#held.splice(at, 1).length > 0
  }

  /**
   * The place of the next outcome, if its operation is reopened. While the body acts on the outcome before,
   * nobody knows: it may cancel that operation.
   */
  get reopened(): number | undefined {
    if (this.#isDelivering) return undefined
    const next = this.#placed.get(this.#place)
    return next && !next.outcome && this.asked.has(next.key) ? next.place : undefined
  }

  /** A cancel takes this place: the record has only what was asked for and has an outcome. */
  endAt(place: number): void {
    for (const key of this.#recorded.keys()) if (!this.asked.has(key)) this.#recorded.delete(key)
    for (const [at, { key, outcome }] of this.#placed) {
      const asked = this.asked.get(key)
      if (asked && outcome) continue
      this.#placed.delete(at)
      if (asked?.recorded) asked.recorded = withoutPlace(asked.recorded)
    }
    const isKept = (at: number): boolean => at <= place || this.#placed.has(at)
    this.#places = this.#places.filter(isKept)
  }

  /** The recorded keys that the body has not asked for. */
  missing(): readonly string[] {
    if (this.#isCancelled) return []
    return [...this.#recorded.keys()].filter((key) => key !== cancelKey && !this.asked.has(key))
  }

  /** The place of the last outcome that the body has got. */
  get reached(): number {
    return this.#place - 1
  }

  /** The place of the next outcome: those of the record first, then one after another. */
  get #place(): number {
    const known = this.#places[this.#delivered]
    return known ?? this.#last + 1 + this.#delivered - this.#places.length
  }
}

/**
 * Timers that a crash made late fire in their order. A step with a start mark blocks the run, so it
 * comes before any step begins for which a mark would be left too.
 */
const startsAt = ({ recorded }: Asked): number => (recorded?.hasBegun ? -1 : (recorded?.dueAt ?? 0))

const withoutPlace = ({ place: _, ...others }: Recorded): Recorded => others

/** The body does not do what the record says. */
export const diverged = (message: string, details: object): KeelsonError =>
  new KeelsonError('DIVERGED', message, { details: { ...details } })

/** A child that is tried again may have another id, so its row has none. */
const isSame = ({ kind, child }: Recorded, asked: Asked): boolean =>
  (kind === asked.kind || kind === 'settled') &&
  (child === undefined || child.startsWith(`${asked.type}/`))

const divergedAt = ({ key, kind, type = '' }: Asked, before: Recorded): KeelsonError => {
  const [recorded, asked] = [`${before.kind} ${before.child ?? ''}`, `${kind} ${type}`]
  const text = `the run has recorded ${key} as a ${recorded.trim()}, now it is a ${asked.trim()}`
  return diverged(text, { key, recorded: before.kind, asked: kind })
}

/** The most operations of a run that are in flight. */
const inFlightMax = 1_000

const tooMany = (max: number): KeelsonError =>
  new KeelsonError('TOO_MANY_STEPS', `a run has at most ${max} operations: use again`, {
    details: { max },
  })

const tooBusy = (): KeelsonError =>
  new KeelsonError('BUSY', `a run has at most ${inFlightMax} operations in flight`)

// The refusals of a body: of operations after its cancel or its end, under keys that it has used, beyond a
// bound. Each refusal gives control to the body, which may ask at once again. So refusals wait for the next
// turn of the event loop, and a body that gets nothing else for too many turns is stuck.

/** So many turns of the event loop in a row a body may get refusals alone. */
const turnsMax = 1_000

/** The refusals of one activation. */
export class Refusals {
  #waiting: (() => void)[] = []
  #turns = 0
  /** A turn has refused what was asked for after the cancel of the whole body. */
  #isLast = false

  get areWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** The body has got nothing but refusals for too long. */
  get isStuck(): boolean {
    return this.#turns > turnsMax
  }

  /** The body was refused something after its cancel, and had its turn for that. */
  get wasLast(): boolean {
    return this.#isLast
  }

  /** `reject` refuses something to the body: in the next turn of the event loop. */
  add(reject: () => void): void {
    this.#waiting.push(reject)
  }

  /** The next turn has come. `isCancelled`: the whole body is cancelled. */
  give(isCancelled: boolean): void {
    this.#turns++
    this.#isLast ||= isCancelled
    if (!this.isStuck) for (const reject of this.#waiting.splice(0)) reject()
  }

  /** The body has ended: nobody waits for them. */
  drop(): void {
    this.#waiting = []
  }

  /** The body has got an outcome. */
  ends(): void {
    this.#turns = 0
  }
}
