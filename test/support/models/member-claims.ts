/**
 * What several members of a cluster promise (M1 to M11), judged from outside: the engine's own record of the groups that took
 * effect, in their order, is the truth, and each write has a mark in it that no other one has. A claim that does not hold is
 * noted once, under the name of the promise.
 */
import { readU64, viewOf } from '../../../src/bytes/u64.ts'
import type { Unit } from '../../../src/storage/commands/command.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { type EngineGroup, engineStart, isSamePosition } from '../../../src/storage/index.ts'
import { readMainRow, type TurnMark } from '../../../src/storage/values/entity-row.ts'

/** The place of a mark in the logs. `order` grows with each mark that takes effect. */
export type Place = {
  readonly log: string
  readonly lsn: number
  readonly epoch: number
  readonly order: number
}

/** What the world knows when a client begins something. */
export type Moment = {
  readonly at: number
  /** The order of the newest write to each register that a client has seen. */
  readonly seen: ReadonlyMap<string, number>
  /** The epoch of each log. */
  readonly epochs: ReadonlyMap<string, number>
}

/** One process of a member. */
export type Witnessed = {
  readonly name: string
  /** Nothing of the engine reaches it since then; `undefined`: it is not cut off. */
  readonly cutSince: number | undefined
  /** The logs of which it knows what the engine has lost. */
  readonly lost: ReadonlySet<string>
}

/** The record of an engine at one moment. */
type EngineRecord = {
  readonly places: ReadonlyMap<string, Place>
  readonly ends: ReadonlyMap<string, EngineGroup['end']>
  readonly writers: ReadonlyMap<string, string>
  readonly turns: ReadonlyMap<string, string>
}

/** What a process has sent, and what the engine has acknowledged to it. */
class Known {
  readonly sent = new Set<string>()
  readonly acknowledged = new Map<string, number>()
}

/** The marks in the bytes of a group. */
const marksIn = (bytes: Uint8Array): readonly string[] =>
  Buffer.from(bytes)
    .toString('latin1')
    .match(/(put|add|paid):\d+\./g) ?? []

/** The marks in the bytes of a unit. */
const marksWithin = (found: unknown): readonly string[] => {
  if (found instanceof Uint8Array) return marksIn(found)
  return typeof found === 'object' && found !== null
    ? Object.values(found).flatMap(marksWithin)
    : []
}

const turnMark = ({ incarnation, seq }: TurnMark): string => `${incarnation} ${seq}`

/** The mark of a write. */
export const markOf = (kind: 'put' | 'add' | 'paid', number: number): string => `${kind}:${number}.`

/** What was claimed in one life. */
export class MemberClaims {
  readonly refuted = new Set<string>()
  readonly places = new Map<string, Place>()
  /** What the engine has acknowledged, while it shows more than that. */
  #durable: EngineRecord | undefined
  /** The engine has lost what it had acknowledged: what follows from its record is not judged any more. */
  isLost = false
  readonly #now: () => number
  readonly #leaseMs: number
  readonly #ends = new Map<string, EngineGroup['end']>()
  readonly #times = new Map<string, number>()
  readonly #writers = new Map<string, string>()
  /** The last turn of each entity. */
  readonly #turns = new Map<string, string>()
  readonly #acknowledgers = new Map<string, Witnessed>()
  readonly #known = new Map<Witnessed, Known>()
  readonly #seen = new Map<string, number>()
  readonly #registers = new Map<string, string>()
  readonly #never = new Set<string>()
  readonly #charged = new Map<number, string>()
  /** Features that no member of this version knows: no group of one may follow. */
  #isNewer = false

  constructor(now: () => number, leaseMs: number) {
    this.#now = now
    this.#leaseMs = leaseMs
  }

  refute(isBroken: boolean, what: string): void {
    if (isBroken) this.refuted.add(what)
  }

  // The engine and its connections.

  /** A group takes effect. `frames`: its payloads. */
  appended(log: string, group: EngineGroup, frames: readonly Uint8Array[]): void {
    if (this.isLost) return
    const { epoch, lsn, id } = group.end
    const before = this.#ends.get(log) ?? engineStart
    this.refute(!isSamePosition(group.after, before), `M2: a gap before lsn ${lsn} of log ${log}`)
    this.#ends.set(log, group.end)
    const time = readU64(viewOf(group.bytes), 8)
    const isBack = time < (this.#times.get(log) ?? 0)
    this.refute(isBack, `the stamp of lsn ${lsn} is before that of an earlier frame`)
    this.#times.set(log, time)
    const [owner = ''] = id.split('-')
    const writer = this.#writers.get(`${log} ${epoch}`) ?? owner
    this.refute(writer !== owner, `M1: two members wrote in epoch ${epoch} of log ${log}`)
    this.#writers.set(`${log} ${epoch}`, writer)
    this.refute(this.#isNewer, 'M11: a member that cannot read the log has written to it')
    const units = frames.flatMap((frame) => decodeFrame(frame).units)
    for (const mark of units.flatMap((unit) => this.#effects(unit))) {
      const isTwice = this.places.has(mark)
      this.refute(isTwice, `${mark.startsWith('put') ? 'M3' : 'M6'}: ${mark} took effect twice`)
      this.refute(this.#never.has(mark), `M3: ${mark} was NOT_SUBMITTED and took effect`)
      this.places.set(mark, { log, lsn, epoch, order: this.places.size + 1 })
    }
  }

  /** The marks of a unit. A turn that does not follow the last one of its entity has no effect. */
  #effects(unit: Unit): readonly string[] {
    if (unit.kind !== 'turn') return marksWithin(unit)
    const { entity, follows, row } = unit
    if (this.#turns.get(entity) !== (follows && turnMark(follows))) return []
    if (row) this.#turns.set(entity, turnMark(readMainRow(row).mark))
    else this.#turns.delete(entity)
    return marksWithin(unit)
  }

  /** A member of a newer version has the log: from now on no other one may write. */
  newer(): void {
    this.#isNewer = true
  }

  /** Returns the epoch of the log at this moment. */
  sends(process: Witnessed, log: string, { bytes }: EngineGroup): number {
    for (const mark of marksIn(bytes)) this.#of(process).sent.add(mark)
    return this.#provenEnds.get(log)?.epoch ?? 0
  }

  /** From now on the engine acknowledges nothing: what takes effect may be lost. */
  alone(): void {
    this.#durable = {
      ...{ places: new Map(this.places), ends: new Map(this.#ends) },
      ...{ writers: new Map(this.#writers), turns: new Map(this.#turns) },
    }
  }

  /** The engine has lost what it did not acknowledge. */
  goesBack(): void {
    if (!this.#durable) return
    const { places, ends, writers, turns } = this.#durable
    this.#durable = undefined
    this.#times.clear()
    for (const [mine, its] of [
      [this.places, places],
      [this.#ends, ends],
      [this.#writers, writers],
      [this.#turns, turns],
    ] as [Map<string, unknown>, ReadonlyMap<string, unknown>][]) {
      mine.clear()
      for (const [name, each] of its) mine.set(name, each)
    }
  }

  get #provenEnds(): ReadonlyMap<string, EngineGroup['end']> {
    return this.#durable?.ends ?? this.#ends
  }

  /** `epochThen`: that of the log when the process has sent the group. */
  acknowledged(process: Witnessed, log: string, { end }: EngineGroup, epochThen: number): void {
    const isSilent = this.isLost && process.lost.has(log)
    this.refute(isSilent, `M7: ${process.name} knows of lost commits of log ${log}, and writes on`)
    if (this.isLost) return
    const key = `${log} ${end.epoch}`
    const other = this.#acknowledgers.get(key) ?? process
    this.refute(other !== process, `M1: two members acknowledge in epoch ${end.epoch}`)
    this.#acknowledgers.set(key, process)
    this.refute(epochThen > end.epoch, `M1: a group was acknowledged after a later EPOCH`)
    const { acknowledged } = this.#of(process)
    acknowledged.set(log, Math.max(acknowledged.get(log) ?? 0, end.lsn))
  }

  /** The last LSN that the engine has acknowledged to a process. */
  acknowledgedLsn(process: Witnessed, log: string): number {
    return this.#of(process).acknowledged.get(log) ?? 0
  }

  /** The logs in which a process was acknowledged something. */
  logsOf(process: Witnessed): ReadonlyMap<string, number> {
    return this.#of(process).acknowledged
  }

  /** The end of a log. */
  endLsn(log: string): number {
    return this.#ends.get(log)?.lsn ?? 0
  }

  /** The stamp of the last frame of a log. */
  lastTime(log: string): number {
    return this.#times.get(log) ?? 0
  }

  // Clients.

  begins(): Moment {
    const epochs = [...this.#provenEnds].map(([log, { epoch }]) => [log, epoch] as const)
    return { at: this.#now(), seen: new Map(this.#seen), epochs: new Map(epochs) }
  }

  /** A write of `register` begins. */
  writes(register: string, mark: string): void {
    this.#registers.set(mark, register)
  }

  /** A write was answered. `isRepeat`: an earlier call may have had the effect. */
  wrote(process: Witnessed, mark: string, began: Moment, isRepeat = false): void {
    const place = this.#outputOf(process, mark, 'was answered')
    if (!place || this.isLost) return
    const epoch = began.epochs.get(place.log) ?? 0
    const isStale = !isRepeat && place.epoch < epoch
    this.refute(isStale, `M1: ${mark} was acknowledged in an epoch that had ended`)
    this.refute(this.#never.has(mark), `M3: ${mark} was settled twice`)
    const since = process.cutSince
    const isCut = !isRepeat && since !== undefined && began.at >= since
    this.refute(isCut, `M10: ${process.name} is cut off, and has acknowledged ${mark}`)
    this.#see(mark, place)
  }

  /** A write has failed. `hasEnded`: with its host, which does not say any more what it has sent. */
  failed(process: Witnessed, mark: string, code: string, hasEnded: boolean): void {
    if (this.isLost) return
    const { sent } = this.#of(process)
    if (code === 'UNKNOWN_OUTCOME') {
      const isKnown = !sent.has(mark) && !hasEnded
      this.refute(isKnown, `M3: ${mark} is UNKNOWN_OUTCOME, and was never sent`)
      return
    }
    this.refute(this.places.has(mark), `M3: ${mark} took effect, and its writer got ${code}`)
    this.#never.add(mark)
  }

  /** A client reads a register; `undefined`: it was never written. */
  read(process: Witnessed, register: string, mark: string | undefined, began: Moment): void {
    if (this.isLost) return
    const since = process.cutSince
    const isLate = since !== undefined && this.#now() > since + this.#leaseMs
    this.refute(isLate, `M10: ${process.name} is cut off for a lease, and has answered a read`)
    const least = began.seen.get(register) ?? 0
    if (mark === undefined) {
      this.refute(least > 0, `M4: ${register} was read as unborn after it was written`)
      return
    }
    const place = this.#outputOf(process, mark, 'was read')
    if (!place) return
    this.refute(place.order < least, `M4: ${register} was read as it was before`)
    this.refute(this.#registers.get(mark) !== register, `M4: ${mark} is no value of ${register}`)
    this.#see(mark, place)
  }

  // Effects outside.

  /** Something of a turn leaves its actor. */
  leaves(process: Witnessed, mark: string, what: string): void {
    this.#outputOf(process, mark, what)
  }

  /** The bank is asked to charge an operation under a key. */
  charged(process: Witnessed, number: number, key: string): void {
    this.#outputOf(process, markOf('add', number), 'was charged')
    if (this.isLost) return
    const other = this.#charged.get(number) ?? key
    this.refute(other !== key, `M6: ${number} was charged under two keys`)
    this.#charged.set(number, key)
  }

  /** Nothing is left to do: each accepted order was paid. */
  areSettled(numbers: Iterable<number>): void {
    for (const number of numbers) {
      if (!this.places.has(markOf('add', number))) continue
      this.refute(!this.#charged.has(number), `M6: ${number} was accepted and never charged`)
      const isPaid = this.places.has(markOf('paid', number))
      this.refute(!isPaid, `M6: the step of ${number} was never consumed`)
    }
  }

  /** The newest mark of a register in the logs. */
  newestOf(register: string): string | undefined {
    let newest: [mark: string, order: number] | undefined
    for (const [mark, { order }] of this.places)
      if (this.#registers.get(mark) === register && order > (newest?.[1] ?? 0))
        newest = [mark, order]
    return newest?.[0]
  }

  /** What is shown of a mark was acknowledged to the process that shows it. */
  #outputOf(process: Witnessed, mark: string, what: string): Place | undefined {
    if (this.isLost) return undefined
    const place = this.places.get(mark)
    this.refute(!place, `M2: ${mark} ${what}, and is not in the log`)
    const isOpen = place && place.lsn > this.acknowledgedLsn(process, place.log)
    this.refute(isOpen === true, `M6: ${mark} ${what} before it was acknowledged`)
    return place
  }

  #see(mark: string, { order }: Place): void {
    const register = this.#registers.get(mark) ?? ''
    this.#seen.set(register, Math.max(this.#seen.get(register) ?? 0, order))
  }

  #of(process: Witnessed): Known {
    const known = this.#known.get(process) ?? new Known()
    this.#known.set(process, known)
    return known
  }
}
