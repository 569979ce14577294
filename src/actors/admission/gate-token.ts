/**
 * A token of the gate stands for an admitted write. It is given back once: by `leave`, or when the
 * process that owns it dies, so that the gate does not count a dead write for ever.
 */
import type { Ref } from '../../runtime/index.ts'
import type { Weight } from './allowance.ts'

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
