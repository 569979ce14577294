/**
 * What all shards of an instance together may have under way. Gates ask it last, and stand in its line when it says no:
 * first come, first served, so that a large write of one shard is not passed for ever by small ones of another.
 */
import type { Ref } from '../../runtime/index.ts'
import { type Command, type FrameUnits, isAlone, type Unit } from '../../storage/index.ts'

// What a write counts at the gate. Pure.

/** What a command counts at least, in bytes: its ticket, its call and its entry in the overlay cost as much. */
const commandBytesMin = 256

/** How many commands the units count: one of many entries counts each. */
export const commandsIn = (units: FrameUnits): number => {
  if (isAlone(units)) return commandsOfUnit(units)
  let commands = 0
  for (const unit of units) commands += commandsOfUnit(unit)
  return commands
}

const commandsOfUnit = (unit: Unit): number => {
  if (unit.kind !== 'batch') return entriesOf(unit)
  let commands = 0
  for (const command of unit.commands) commands += entriesOf(command)
  return commands
}

/** How many bytes so many commands count, whose frame takes `frameBytes`. */
export const bytesCounted = (commands: number, frameBytes: number): number =>
  Math.max(commandBytesMin * commands, frameBytes)

const entriesOf = (command: Command): number => {
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

/** What a write counts: bytes, and commands. */
export type Weight = { readonly bytes: number; readonly commands: number }

/** A place in the line: called when it may be its turn. Takes what it may and leaves the line, or stays at its head. */
export type Place = () => void

/** The bound over all shards. What is larger than the bound is admitted when nothing else is under way. */
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

  /** What is under way. */
  get load(): Weight {
    return { bytes: this.#bytes, commands: this.#commands }
  }

  /** Whether so much fits, and nobody else stands before `place`. */
  admits(place: Place, { bytes, commands }: Weight): boolean {
    if (this.#line.size > 0 && this.#first() !== place) return false
    if (this.#commands === 0) return true
    return this.#bytes + bytes <= this.#bytesMax && this.#commands + commands <= this.#commandsMax
  }

  /** Counts what was admitted. */
  take({ bytes, commands }: Weight): void {
    this.#bytes += bytes
    this.#commands += commands
  }

  /** Gives back what `take` counted. */
  give({ bytes, commands }: Weight): void {
    this.#bytes -= bytes
    this.#commands -= commands
    if (this.#line.size > 0) this.#move()
  }

  /** Stands in the line, at its end; once. */
  queue(place: Place): void {
    this.#line.add(place)
  }

  /** Leaves the line, and lets those behind move up. */
  unqueue(place: Place): void {
    if (this.#line.delete(place) && this.#line.size > 0) this.#move()
  }

  #first(): Place | undefined {
    return this.#line.values().next().value
  }

  /** Each place at the head gets its turn, until one stays. Whoever leaves during a turn begins no second walk. */
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

// A token of the gate: its holder has a write under way. It is given back once, by `leave` or by the end of its owner's
// process, whichever comes first, so that nobody's death leaves the gate counting for ever.

/** Calls `onDown` once when `process` ends, now when it is not there; answers how to take that back. `System.monitor` is one. */
export type Watch = (process: Ref, onDown: () => void) => () => void

/** What one write took from the gate. Without an owner it belongs to whoever has it in hand. */
export class Admission implements Weight {
  readonly bytes: number
  readonly commands: number
  readonly #watch: Watch
  readonly #giveBack: (admission: Admission) => void
  #unwatch: (() => void) | undefined
  #owner: Ref | undefined
  #left = false

  constructor(weight: Weight, watch: Watch, giveBack: (admission: Admission) => void) {
    this.bytes = weight.bytes
    this.commands = weight.commands
    this.#watch = watch
    this.#giveBack = giveBack
  }

  /** The process that it belongs to. */
  get owner(): Ref | undefined {
    return this.#owner
  }

  /** Whether it has been given back. */
  get hasLeft(): boolean {
    return this.#left
  }

  /** From now on it stands or falls with `owner`; `undefined`: with whoever has it in hand. Nothing when it was given back. */
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

  /** Gives it back. False when that has happened before. */
  leave(): boolean {
    if (this.#left) return false
    this.#left = true
    this.#unwatch?.()
    this.#giveBack(this)
    return true
  }
}
