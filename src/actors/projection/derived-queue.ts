/**
 * Rows that actors derive from the log, on their way into the projection: groups of operations in
 * the order in which they were accepted, bounded in number and bytes. It lives in the `Shard` value,
 * so that the death of the projection's writer loses none.
 *
 * A producer names the LSN of the frame that a group comes from, and those ascend. The projection
 * keeps the producer's position with its rows. If a group is lost, no later group of the producer is
 * accepted until it has begun again: its position never passes a gap. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import type { Ref } from '../../runtime/index.ts'
import { type DerivedOperation, derivedChanges, type RowChange } from '../../storage/index.ts'
import type { SetAside } from '../core/storage-events.ts'

/** The action after a commit, as data: the message is sent to the process as an info. */
export type AfterFlush = {
  readonly to: Ref
  readonly message: string
  readonly payload?: unknown
}

/** The operations that a producer derived from the frame at `lsn`. All of them take effect, or none. */
export type Derivation = {
  readonly producer: string
  readonly lsn: number
  readonly operations: readonly DerivedOperation[]
  /** Done after the commit that holds the operations; not when they are lost. */
  readonly afterFlush: readonly AfterFlush[]
}

/** The derived rows of a shard, for people and watchdogs. */
export type DerivedHealth = {
  /** The operations that wait. */
  readonly operations: number
  /** The producers whose operations were lost, and that have not begun again. */
  readonly lost: readonly string[]
  /** The groups that cannot be committed, oldest first, at most 100. */
  readonly setAside: readonly SetAside[]
}

/** The bounds of the queue: operations, and bytes of their keys and values. */
export type DerivedLimits = { readonly operations: number; readonly bytes: number }

type Group = Derivation & {
  /** It was there before. Only its actions are left. */
  readonly isKnown: boolean
  readonly bytes: number
  readonly at: number
}

/** The groups that go into one commit: their operations, and the changes of rows. */
export type DerivedBatch = {
  readonly operations: number
  readonly changes: Iterable<RowChange>
}

type Producer = {
  /** The last group that was accepted, and the last one that is durable. */
  lsn: number
  durableLsn: number
  isLost: boolean
  onLost: AfterFlush | undefined
}

/** How many set-aside groups are remembered. */
const setAsideMax = 100

/** Errors that say nothing about the rows: the disk is full, the thread died, the file is damaged. */
const causesElsewhere = ['NO_SPACE', 'SHARD_DOWN', 'CORRUPT', 'READ_ONLY', 'CLOSED']

/** The derived rows of one shard that the projection does not show yet. */
export class DerivedQueue {
  readonly #limits: DerivedLimits
  readonly #producers = new Map<string, Producer>()
  readonly #setAside: SetAside[] = []
  #groups: Group[] = []
  #operations = 0
  #bytes = 0
  /** So many groups at the head are in the present commit. */
  #inFlight = 0
  /** So many groups at the head are tried alone: one of them cannot be committed. */
  #alone = 0
  #accepted = 0

  constructor(limits: DerivedLimits) {
    this.#limits = limits
  }

  /** The operations that wait. A group without any counts as one. */
  get operations(): number {
    return this.#operations
  }

  /** The number of operations that there is room for. */
  get room(): number {
    return this.#bytes < this.#limits.bytes ? this.#limits.operations - this.#operations : 0
  }

  /** Whether a producer has begun. */
  get hasProducers(): boolean {
    return this.#producers.size > 0
  }

  /** When the oldest group was accepted; `undefined` without groups. */
  get oldestAt(): number | undefined {
    return this.#groups[0]?.at
  }

  /** Whether the oldest group may be committed with a projection that shows `lsn`. */
  isReadyAt(lsn: number): boolean {
    const [oldest] = this.#groups
    return oldest !== undefined && oldest.lsn <= lsn
  }

  /** The number of groups accepted so far, and of groups that wait no more. */
  get accepted(): number {
    return this.#accepted
  }

  get ended(): number {
    return this.#accepted - this.#groups.length
  }

  /** For people and watchdogs. */
  get health(): DerivedHealth {
    const lost = [...this.#producers].flatMap(([name, { isLost }]) => (isLost ? [name] : []))
    return { operations: this.#operations, lost, setAside: [...this.#setAside] }
  }

  /** Whether groups are tried alone: no frame goes with them. */
  get isolates(): boolean {
    return this.#alone > 0
  }

  /**
   * The LSN after which a producer goes on. `durableLsn`: its position in the projection. `onLost`
   * is done when its groups are lost.
   */
  begin(name: string, durableLsn: number, onLost: AfterFlush | undefined): number {
    const last = this.#groups.findLast(({ producer }) => producer === name)
    const lsn = Math.max(durableLsn, last?.lsn ?? 0)
    this.#producers.set(name, { lsn, durableLsn, isLost: false, onLost })
    return lsn
  }

  /**
   * Accepts a group, at `now`. One that the producer has given before has no effect but its actions.
   * @throws KeelsonError `BUSY` if there is no room, `TOO_LARGE` if there never is, `DISCARDED` if
   * the producer has to begin, `INVALID_ARGUMENT` if the group was set aside: nothing changed
   */
  add(derivation: Derivation, now: number): void {
    const { producer: name, lsn } = derivation
    const producer = this.#producers.get(name)
    if (!producer || producer.isLost) throw notBegun(name)
    const isKnown = lsn <= producer.lsn
    if (isKnown && derivation.afterFlush.length === 0) return
    const left = isKnown ? { ...derivation, operations: [] } : derivation
    const bytes = bytesOf(left.operations)
    this.#check(left, bytes)
    producer.lsn = Math.max(producer.lsn, lsn)
    const group = { ...left, isKnown, bytes, at: now }
    this.#groups.push(group)
    this.#accepted++
    this.#count(group)
  }

  /** The next groups up to frame `lsnMax`, about `rows` operations. They are in a commit now. */
  take(lsnMax: number, rows: number): DerivedBatch {
    const groupsMax = this.#alone > 0 ? 1 : Number.POSITIVE_INFINITY
    let operations = 0
    this.#inFlight = 0
    for (const { lsn, operations: more } of this.#groups) {
      if (lsn > lsnMax || operations >= rows || this.#inFlight >= groupsMax) break
      operations += more.length
      this.#inFlight++
    }
    const groups = this.#groups.slice(0, this.#inFlight).filter(({ isKnown }) => !isKnown)
    return { operations, changes: changesOf(groups) }
  }

  /** Records that the present commit was made. Returns the actions after it. */
  committed(): readonly AfterFlush[] {
    const groups = this.#drop(this.#inFlight)
    this.#alone = Math.max(0, this.#alone - groups.length)
    this.#inFlight = 0
    for (const { producer, lsn, isKnown } of groups) {
      const known = this.#producers.get(producer)
      if (known && !isKnown) known.durableLsn = lsn
    }
    return groups.flatMap(({ afterFlush }) => afterFlush)
  }

  /**
   * Records that the present commit failed. If the cause may be a group, its groups are tried one
   * by one; a group that fails alone is set aside. `isAlone`: no other rows were in that commit.
   * Returns the group.
   */
  failed(isAlone: boolean, { code, message }: { code?: unknown; message: string }) {
    const groups = this.#inFlight
    this.#inFlight = 0
    if (groups === 0 || causesElsewhere.includes(code as string)) return undefined
    this.#alone = groups
    const [group] = this.#groups
    if (groups > 1 || !isAlone || !group) return undefined
    this.#alone = 0
    const { producer, lsn } = group
    const setAside: SetAside = { producer, lsn, reason: message }
    this.#setAside.push(setAside)
    if (this.#setAside.length > setAsideMax) this.#setAside.shift()
    return { setAside, onLost: this.#lose((each) => each.producer === producer) }
  }

  /** Records that a group of a producer was not accepted, and cannot be. Returns what is to be done. */
  refused(name: string): readonly AfterFlush[] {
    const producer = this.#producers.get(name)
    if (!producer || producer.isLost) return []
    producer.isLost = true
    return producer.onLost ? [producer.onLost] : []
  }

  /** Repeats the restart notice for producers whose rows were lost. */
  reminders(): readonly AfterFlush[] {
    return [...this.#producers.values()].flatMap(({ isLost, onLost }) =>
      isLost && onLost ? [onLost] : [],
    )
  }

  /** Drops what waits, but not what is being committed. Returns what is to be done. */
  discard(): readonly AfterFlush[] {
    return this.#lose((_, at) => at >= this.#inFlight)
  }

  /**
   * Compares with a projection that a new writer found. `durableLsnOf`: the position of a producer in
   * it. Groups that it has are done. A producer whose rows it lost has to begin again. Returns what
   * is to be done.
   */
  reconcile(durableLsnOf: (producer: string) => number): readonly AfterFlush[] {
    this.#inFlight = 0
    const behind = new Set<string>()
    for (const [name, producer] of this.#producers) {
      const durableLsn = durableLsnOf(name)
      if (durableLsn < producer.durableLsn) behind.add(name)
      producer.durableLsn = durableLsn
    }
    const onLost = this.#lose(({ producer }) => behind.has(producer), behind)
    const isDone = ({ producer, lsn }: Group): boolean =>
      lsn <= (this.#producers.get(producer)?.durableLsn ?? 0)
    const done = this.#groups.filter(isDone)
    this.#keep((group) => !isDone(group))
    return [...onLost, ...done.flatMap(({ afterFlush }) => afterFlush)]
  }

  #check({ producer, lsn, operations }: Derivation, bytes: number): void {
    const aside = this.#setAside.find((each) => each.producer === producer && each.lsn === lsn)
    if (aside)
      throw new KeelsonError('INVALID_ARGUMENT', `the projection cannot take it: ${aside.reason}`, {
        details: { ...aside },
      })
    const { operations: operationsMax, bytes: bytesMax } = this.#limits
    const weight = weightOf(operations)
    const details = { operations: weight, bytes, operationsMax, bytesMax }
    if (weight > operationsMax || bytes > bytesMax)
      throw new KeelsonError('TOO_LARGE', 'the group is larger than the whole queue', { details })
    if (this.#operations + weight > operationsMax || this.#bytes + bytes > bytesMax)
      throw new KeelsonError('BUSY', 'the queue of derived rows has no room', {
        details: { ...details, room: this.room },
      })
  }

  /** Drops the groups that `isLost` names. Their producers, and `more`, have to begin again. */
  #lose(
    isLost: (group: Group, at: number) => boolean,
    more: ReadonlySet<string> = new Set(),
  ): readonly AfterFlush[] {
    const names = new Set(more)
    for (const [at, group] of this.#groups.entries())
      if (isLost(group, at)) names.add(group.producer)
    this.#keep((group, at) => !isLost(group, at))
    return [...names].flatMap((name) => this.refused(name))
  }

  #drop(count: number): readonly Group[] {
    const gone = this.#groups.slice(0, count)
    this.#keep((_, at) => at >= count)
    return gone
  }

  #keep(isKept: (group: Group, at: number) => boolean): void {
    const groups = this.#groups
    this.#groups = groups.filter(isKept)
    this.#operations = 0
    this.#bytes = 0
    for (const group of this.#groups) this.#count(group)
  }

  #count({ operations, bytes }: Group): void {
    this.#operations += weightOf(operations)
    this.#bytes += bytes
  }
}

function* changesOf(groups: readonly Group[]): IterableIterator<RowChange> {
  for (const { producer, lsn, operations } of groups)
    yield* derivedChanges(producer, lsn, operations)
}

const notBegun = (producer: string): KeelsonError =>
  new KeelsonError(
    'DISCARDED',
    `the producer ${producer} has to begin: its position is not known`,
    {
      details: { producer },
    },
  )

/** A group of actions alone counts as one operation: they take memory too. */
const weightOf = (operations: readonly DerivedOperation[]): number => Math.max(1, operations.length)

/** The least weight of a key or an object. */
const overhead = 64

const bytesOf = (operations: readonly DerivedOperation[]): number => {
  let bytes = 0
  for (const each of operations)
    bytes += overhead + each.key.length + (each.kind === 'put' ? each.value.bytes.length : 0)
  return bytes
}
