/**
 * What waits for the log, in the order in which it was asked: groups of entries, and steps (a sync, a checkpoint, the
 * close), each of which is done alone, after everything before it. The last group fills as long as nothing stands behind
 * it. Pure.
 */
import { WalGroup } from './wal-group.ts'

/** What the log does next. */
export type Turn<Step> =
  | { readonly kind: 'group'; readonly group: WalGroup }
  | { readonly kind: 'step'; readonly step: Step }

/** A group begins with at least so much room. */
const roomMin = 512

/** A queue of groups and steps. */
export class WalQueue<Step> {
  readonly #bytesMax: number
  #turns: Turn<Step>[] = []
  #head = 0
  #steps = 0
  /** The last group that left, in bytes: the next one is likely to be like it. */
  #lastSize = 0
  /** What a group that was written has left. */
  #memory: Buffer | undefined

  /** `bytesMax`: how many bytes of payloads go together; a larger entry goes alone. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** How many entries and steps wait. */
  get length(): number {
    let length = this.#steps
    for (let at = this.#head; at < this.#turns.length; at++) {
      const turn = this.#turns[at]
      if (turn?.kind === 'group') length += turn.group.count
    }
    return length
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    for (let at = this.#head; at < this.#turns.length; at++) {
      const turn = this.#turns[at]
      if (turn?.kind === 'step' || (turn && turn.group.count > 0)) return false
    }
    return true
  }

  /** Whether a step waits: then nothing should wait for a group to fill. */
  get hasStep(): boolean {
    return this.#steps > 0
  }

  /** How many entries go together next; 0 when that is a step, or nothing. */
  get nextCount(): number {
    const turn = this.#turns[this.#head]
    return turn?.kind === 'group' ? turn.group.count : 0
  }

  /** The group at the end, with room for an entry of so many bytes of its own; a new one when there is none. */
  groupFor(bytes: number): WalGroup {
    const last = this.#turns[this.#turns.length - 1]
    if (last?.kind === 'group' && last.group.takes(bytes, this.#bytesMax)) return last.group
    const group = new WalGroup(this.#takeMemory())
    this.#turns.push({ kind: 'group', group })
    return group
  }

  /** Adds a step at the end. */
  pushStep(step: Step): void {
    this.#turns.push({ kind: 'step', step })
    this.#steps += 1
  }

  /** Takes what comes next: a step, or a group with an entry at least. `undefined` when nothing waits. */
  next(): Turn<Step> | undefined {
    for (let turn = this.#take(); turn; turn = this.#take()) {
      if (turn.kind === 'step') {
        this.#steps -= 1
        return turn
      }
      if (turn.group.count === 0) continue
      this.#lastSize = Math.min(turn.group.size, this.#bytesMax)
      return turn
    }
    return undefined
  }

  /** Takes back the memory of a group that was written: the next one to begin is written into it. */
  reuse(spent: Uint8Array): void {
    this.#memory = Buffer.from(spent.buffer)
  }

  #takeMemory(): Buffer {
    const memory = this.#memory
    const room = Math.max(roomMin, this.#lastSize)
    this.#memory = undefined
    // When groups have become small, a large buffer is not kept for them.
    if (memory && memory.length >= room && memory.length <= 4 * room) return memory
    return Buffer.allocUnsafeSlow(room)
  }

  #take(): Turn<Step> | undefined {
    const turn = this.#turns[this.#head]
    if (!turn) return undefined
    this.#head += 1
    // Moving what is left pays off once as much was taken: a constant share for each.
    if (this.#head * 2 >= this.#turns.length) {
      this.#turns = this.#turns.slice(this.#head)
      this.#head = 0
    }
    return turn
  }
}
