/**
 * The writes of one namespace that wait for their window, in one order whatever they are, and the frames that they make.
 * Units of several callers share a frame and its sync, and nothing else: each is applied, or refused, by itself. That is why adjacent puts are
 * not made one `putMany`: a lock on one key would refuse those of other callers.
 */
import { frameHeadBytes, isAlone, type Unit } from '../../storage/index.ts'
import type { BatchedWrite, SlotAppend } from './arrivals.ts'

/** The bounds of one frame, and of what a slot lets in for those who will not wait. */
export type SlotLimits = { readonly commandsMax: number; readonly bytesMax: number }

/** Members whose units make one frame. */
export type SlotFrame = {
  readonly members: readonly BatchedWrite[]
  readonly units: readonly Unit[]
  /** Bytes of the frame. */
  readonly length: number
  readonly commands: number
}

/** Up to this length a queue is never looked through for withdrawn writes. */
const pruneAtLeast = 1_024

/** One namespace's queue. What is withdrawn has left the gate, and is looked for when the queue has doubled. */
export class BatchSlot {
  readonly namespace: string
  readonly #limits: SlotLimits
  #waiting: BatchedWrite[] = []
  #commands = 0
  #bytes = 0
  #pruneAt = pruneAtLeast

  constructor(namespace: string, limits: SlotLimits) {
    this.namespace = namespace
    this.#limits = limits
  }

  /** How many writes wait, and what they count. */
  get load(): { readonly writes: number; readonly commands: number; readonly bytes: number } {
    return { writes: this.#waiting.length, commands: this.#commands, bytes: this.#bytes }
  }

  /** Whether one more frame is full. */
  get isFull(): boolean {
    return this.#commands >= this.#limits.commandsMax || this.#bytes >= this.#limits.bytesMax
  }

  /** Whether `write` fits the frame that forms. One larger than a bound fits an empty one. */
  fits(write: SlotAppend): boolean {
    if (this.#isWithin(write)) return true
    this.#prune()
    return this.#waiting.length === 0 || this.#isWithin(write)
  }

  /** Adds a write at the end. */
  push(member: BatchedWrite): void {
    if (this.#waiting.length >= this.#pruneAt) this.#prune()
    this.#waiting.push(member)
    this.#count(member)
  }

  /** Takes everything, in order, as frames of which none is larger than the bounds allow, and marks it submitted. Withdrawn writes are left out. */
  take(): SlotFrame[] {
    const frames: SlotFrame[] = []
    let members: BatchedWrite[] = []
    let commands = 0
    let bytes = 0
    const close = (): void => {
      if (members.length > 0) frames.push(frameOf(members, commands, bytes))
      members = []
      commands = 0
      bytes = 0
    }
    for (const member of this.#waiting) {
      const { write } = member
      const { commands: more, length } = write
      if (write.state !== 'queued') continue
      const { commandsMax, bytesMax } = this.#limits
      const added = length - frameHeadBytes
      if (commands + more > commandsMax || bytes + added > bytesMax) close()
      write.state = 'submitted'
      members.push(member)
      commands += more
      bytes += added
    }
    close()
    this.#reset([])
    return frames
  }

  #isWithin({ commands, length }: SlotAppend): boolean {
    const { commandsMax, bytesMax } = this.#limits
    return (
      this.#commands + commands <= commandsMax && this.#bytes + length - frameHeadBytes <= bytesMax
    )
  }

  #prune(): void {
    this.#reset(this.#waiting.filter(({ write }) => write.state === 'queued'))
  }

  #reset(waiting: BatchedWrite[]): void {
    this.#waiting = waiting
    this.#commands = 0
    this.#bytes = 0
    for (const member of waiting) this.#count(member)
    this.#pruneAt = Math.max(pruneAtLeast, 2 * waiting.length)
  }

  #count({ write }: BatchedWrite): void {
    this.#commands += write.commands
    this.#bytes += write.length - frameHeadBytes
  }
}

const frameOf = (members: readonly BatchedWrite[], commands: number, bytes: number): SlotFrame => {
  const units: Unit[] = []
  for (const { write } of members)
    if (isAlone(write.units)) units.push(write.units)
    else units.push(...write.units)
  return { members, units, length: frameHeadBytes + bytes, commands }
}
