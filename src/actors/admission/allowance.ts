/**
 * The bound on the unfinished writes in all shards of an instance. A gate asks it last, and waits
 * in its line when there is no room. The line is first come, first served, so that small writes of
 * one shard do not pass a large write of another for ever.
 */
import { KeelsonError } from '../../errors.ts'
import type { Ref } from '../../runtime/index.ts'
import {
  type Command,
  commandsOf,
  entriesOf,
  type FrameUnits,
  isAlone,
  type Turn,
  type Unit,
} from '../../storage/index.ts'

// The weight of a write. Pure.

/** A command counts at least so many bytes: its call and its entry in the overlay cost as much. */
const commandBytesMin = 256

/** How many commands the units count. A command of many entries counts each of them. */
export const commandsIn = (units: FrameUnits): number => {
  if (isAlone(units)) return commandsOfUnit(units)
  let commands = 0
  for (const unit of units) commands += commandsOfUnit(unit)
  return commands
}

const commandsOfUnit = (unit: Unit): number => {
  if (unit.kind === 'entry') return 1
  if (unit.kind === 'removal') return 1 + unit.keys.length
  if (unit.kind !== 'batch' && unit.kind !== 'turn') return keysOf(unit)
  let commands = unit.kind === 'turn' ? internalRows(unit) + entriesOf(unit).length : 0
  if (unit.kind === 'turn') commands += unit.own?.changes.length ?? 0
  for (const command of commandsOf(unit)) commands += keysOf(command)
  return commands
}

/** A turn changes its main row, and rows beside it. */
const internalRows = ({ rows }: Turn): number => 1 + rows.length

/**
 * The most keys and fields of one write. It is encoded in one turn of the event loop and applied in
 * another one, because all of it takes effect at once: about 30 ms each. Alarms, index
 * rows and the like of a durable actor do not count.
 */
const writeKeysMax = 10_000

/** Refuses units that count `commands` for too many keys. @throws KeelsonError `TOO_LARGE` */
export const checkCount = (units: FrameUnits, commands: number): void => {
  const isTurn = isAlone(units) && units.kind === 'turn'
  refuseMany(isTurn ? commands - internalRows(units) : commands)
}

/** @throws KeelsonError `TOO_LARGE` for more than `writeKeysMax` */
export const refuseMany = (keys: number): void => {
  if (keys <= writeKeysMax) return
  throw new KeelsonError('TOO_LARGE', `a write has at most ${writeKeysMax} keys`, {
    details: { keys, keysMax: writeKeysMax },
  })
}

/** How many bytes `commands` commands count if their frame takes `frameBytes`. */
export const bytesCounted = (commands: number, frameBytes: number): number =>
  Math.max(commandBytesMin * commands, frameBytes)

const keysOf = (command: Command): number => {
  switch (command.kind) {
    case 'putMany':
      return Math.max(1, command.entries.length)
    case 'putFields':
      return Math.max(1, command.fields.length)
    case 'deleteMany':
    case 'lock':
    case 'extend':
    case 'unlock':
    case 'removeExpired':
      return Math.max(1, command.keys.length)
    default:
      return 1
  }
}

/** The weight of a write: bytes, and commands. */
export type Weight = { readonly bytes: number; readonly commands: number }

/**
 * A place in the line. Called when it may be its turn: it takes its room and leaves the line, or
 * stays at the head.
 */
export type Place = () => void

/** The bound over all shards. A write larger than the bound is admitted when it is alone. */
export class Allowance {
  readonly #bytesMax: number
  readonly #commandsMax: number
  readonly #line = new Set<Place>()
  #bytes = 0
  #commands = 0
  #moving = false

  constructor(bytesMax: number, commandsMax: number) {
    this.#bytesMax = bytesMax
    this.#commandsMax = commandsMax
  }

  /** The weight of the admitted writes. */
  get load(): Weight {
    return { bytes: this.#bytes, commands: this.#commands }
  }

  /** Whether this weight fits, and `place` is at the head of the line. */
  admits(place: Place, { bytes, commands }: Weight): boolean {
    if (this.#line.size > 0 && this.#first() !== place) return false
    if (this.#commands === 0) return true
    return this.#bytes + bytes <= this.#bytesMax && this.#commands + commands <= this.#commandsMax
  }

  /** Counts an admitted write. */
  take({ bytes, commands }: Weight): void {
    this.#bytes += bytes
    this.#commands += commands
  }

  /** Frees the room of a write that `take` counted. */
  give({ bytes, commands }: Weight): void {
    this.#bytes -= bytes
    this.#commands -= commands
    if (this.#line.size > 0) this.#move()
  }

  /** Puts `place` at the end of the line. A place is in it once. */
  queue(place: Place): void {
    this.#line.add(place)
  }

  /** Takes `place` out of the line; the later places move up. */
  unqueue(place: Place): void {
    if (this.#line.delete(place) && this.#line.size > 0) this.#move()
  }

  #first(): Place | undefined {
    return this.#line.values().next().value
  }

  /**
   * Gives each place at the head its turn, until one stays. A place that leaves during a turn
   * starts no second walk.
   */
  #move(): void {
    if (this.#moving) return
    this.#moving = true
    try {
      for (let place = this.#first(); place !== undefined; ) {
        place()
        const next = this.#first()
        if (next === place) return
        place = next
      }
    } finally {
      this.#moving = false
    }
  }
}

// A token of the gate stands for an admitted write. It is given back once: by `leave`, or when the
// process that owns it dies, so that the gate does not count a dead write for ever.

/**
 * Calls `onDown` once when `process` ends, at once if it is not there. The answer cancels that.
 * `System.monitor` is one.
 */
export type Watch = (process: Ref, onDown: () => void) => () => void

/** A token of the gate for a write to come, as its holder has it. */
export interface SyncToken extends Weight {
  /** The process that owns it, whose death gives it back. */
  readonly owner: Ref | undefined
  /** Whether it has been given back. */
  readonly hasLeft: boolean
  /** Makes `owner` the process that owns it; `undefined`: none does. */
  transfer(owner: Ref | undefined): void
  /** Gives it back. False if it was given back before. */
  leave(): boolean
}

/** A token for an admitted write. Releasing it frees the room; it can belong to a process. */
export class Admission implements SyncToken {
  readonly bytes: number
  readonly commands: number
  readonly #watch: Watch
  readonly #giveBack: (admission: Admission) => void
  #unwatch: (() => void) | undefined
  #owner: Ref | undefined
  #left = false
  #isUsed = false

  constructor(weight: Weight, watch: Watch, giveBack: (admission: Admission) => void) {
    this.bytes = weight.bytes
    this.commands = weight.commands
    this.#watch = watch
    this.#giveBack = giveBack
  }

  /** The process that owns it. */
  get owner(): Ref | undefined {
    return this.#owner
  }

  /** Whether it has been given back. */
  get hasLeft(): boolean {
    return this.#left
  }

  /** Whether the gate that gives tokens back with this function made it. */
  isOf(giveBack: (admission: Admission) => void): boolean {
    return this.#giveBack === giveBack
  }

  /** Takes it for one write. False if it was taken before, or given back. */
  use(): boolean {
    if (this.#left || this.#isUsed) return false
    this.#isUsed = true
    return true
  }

  /**
   * Makes `owner` the process that owns it; `undefined`: none does. No effect once it was given
   * back.
   */
  transfer(owner: Ref | undefined): void {
    if (this.#left) return
    this.#unwatch?.()
    this.#unwatch = undefined
    this.#owner = owner
    if (owner === undefined) return
    const unwatch = this.#watch(owner, () => this.leave())
    // An owner that has ended already has given it back by now.
    if (!this.#left) this.#unwatch = unwatch
  }

  /** Gives it back. False if it was given back before. */
  leave(): boolean {
    if (this.#left) return false
    this.#left = true
    this.#unwatch?.()
    this.#giveBack(this)
    return true
  }
}
