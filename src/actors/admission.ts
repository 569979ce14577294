/**
 * A token of the gate: its holder has a write under way. It is given back once, by `leave` or by the end of its owner's
 * process, whichever comes first, so that nobody's death leaves the gate counting for ever.
 */
import type { Ref } from '../runtime/index.ts'
import type { Weight } from './allowance.ts'

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
