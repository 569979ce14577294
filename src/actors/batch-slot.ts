/**
 * The writes of one namespace that wait for their window, in one order whatever they are, and the frames that they make.
 * Units of several callers share a frame and its sync, and nothing else: each is applied, or refused, by itself. That is why adjacent puts are
 * not made one `putMany`: a lock on one key would refuse those of other callers.
 */
import { frameHeadBytes, type Unit } from '../storage/index.ts'
import type { Ticket } from './ticket.ts'

/** A write in a slot. Its ticket is `submitted` as soon as its units are in a frame that is on its way: from then on it cannot be taken back alone. */
export type SlotWrite = {
  readonly ticket: Ticket
  /** As many answers are the write's. */
  readonly units: readonly Unit[]
  /** Bytes of a frame with these units. */
  readonly length: number
  /** What it counts against the slot's bound. */
  readonly commands: number
  /** When its caller gives up, by the monotonic clock. */
  readonly endsAt: number
  /** Called when its frame is in the log's queue. */
  readonly queued: () => void
}

/** The bounds of one frame, and of what a slot lets in for those who will not wait. */
export type SlotLimits = { readonly commandsMax: number; readonly bytesMax: number }

/** A write and who waits for it. */
export type SlotMember<From> = {
  readonly write: SlotWrite
  readonly from: From
  /** When it came, by the monotonic clock. */
  readonly at: number
}

/** Members whose units make one frame. */
export type SlotFrame<From> = {
  readonly members: readonly SlotMember<From>[]
  readonly units: readonly Unit[]
  /** Bytes of the frame. */
  readonly length: number
  readonly commands: number
}

/** Up to this length a queue is never looked through for withdrawn writes. */
const pruneAtLeast = 1_024

/** One namespace's queue. What is withdrawn has left the gate, and is looked for when the queue has doubled. */
export class BatchSlot<From> {
  readonly namespace: string
  readonly #limits: SlotLimits
  #waiting: SlotMember<From>[] = []
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
  fits(write: SlotWrite): boolean {
    if (this.#isWithin(write)) return true
    this.#prune()
    return this.#waiting.length === 0 || this.#isWithin(write)
  }

  /** Adds a write at the end. */
  push(member: SlotMember<From>): void {
    if (this.#waiting.length >= this.#pruneAt) this.#prune()
    this.#waiting.push(member)
    this.#count(member)
  }

  /** Takes everything, in order, as frames of which none is larger than the bounds allow, and marks it submitted. Withdrawn writes are left out. */
  take(): SlotFrame<From>[] {
    const frames: SlotFrame<From>[] = []
    let members: SlotMember<From>[] = []
    let commands = 0
    let bytes = 0
    const close = (): void => {
      if (members.length > 0) frames.push(frameOf(members, commands, bytes))
      members = []
      commands = 0
      bytes = 0
    }
    for (const member of this.#waiting) {
      const { ticket, commands: more, length } = member.write
      if (ticket.state !== 'queued') continue
      const { commandsMax, bytesMax } = this.#limits
      const added = length - frameHeadBytes
      if (commands + more > commandsMax || bytes + added > bytesMax) close()
      ticket.state = 'submitted'
      members.push(member)
      commands += more
      bytes += added
    }
    close()
    this.#reset([])
    return frames
  }

  #isWithin({ commands, length }: SlotWrite): boolean {
    const { commandsMax, bytesMax } = this.#limits
    return (
      this.#commands + commands <= commandsMax && this.#bytes + length - frameHeadBytes <= bytesMax
    )
  }

  #prune(): void {
    this.#reset(this.#waiting.filter(({ write }) => write.ticket.state === 'queued'))
  }

  #reset(waiting: SlotMember<From>[]): void {
    this.#waiting = waiting
    this.#commands = 0
    this.#bytes = 0
    for (const member of waiting) this.#count(member)
    this.#pruneAt = Math.max(pruneAtLeast, 2 * waiting.length)
  }

  #count({ write }: SlotMember<From>): void {
    this.#commands += write.commands
    this.#bytes += write.length - frameHeadBytes
  }
}

const frameOf = <From>(
  members: readonly SlotMember<From>[],
  commands: number,
  bytes: number,
): SlotFrame<From> => ({
  members,
  units: members.flatMap(({ write }) => write.units),
  length: frameHeadBytes + bytes,
  commands,
})
