/**
 * The frames that wait to be sent over one link. Those of one turn of the event loop leave in one
 * write, and there is one write at a time, so that what the peer does not read stays here, where it
 * is counted. Messages of users have a bounded room. Answers and the protocol's own messages have
 * another one: they are never refused, so a peer that does not take them loses its link. It is apart
 * from `link.ts` because it knows frames and no messages.
 */
import type { Clock } from '../../clock.ts'
import type { LinkConnection } from './link-transport.ts'

/** The bounds of what may wait. */
export type OutboxLimits = {
  /** Of messages of users. */
  readonly messages: number
  readonly bytes: number
  /** Of answers and the protocol's own messages. */
  readonly ownMessages: number
  readonly ownBytes: number
}

/** The bounds of a link. */
export const outboxLimits: OutboxLimits = {
  messages: 1_024,
  bytes: 8 * 1024 * 1024,
  ownMessages: 65_536,
  ownBytes: 64 * 1024 * 1024,
}

/** Frames of one room. */
type Amount = { messages: number; bytes: number }

const nothing = (): Amount => ({ messages: 0, bytes: 0 })

/** The frames of one link. */
export class LinkOutbox {
  readonly #connection: Pick<LinkConnection, 'write'>
  readonly #clock: Clock
  readonly #limits: OutboxLimits
  readonly #onRoom: () => void
  #frames: Buffer[] = []
  #size = 0
  readonly #users = nothing()
  readonly #own = nothing()
  /** The part of each that is in the write. */
  #writing = { users: nothing(), own: nothing() }
  #isWriting = false
  readonly #onLeft: (() => void)[] = []
  #isDue = false
  #isClosed = false
  #added = 0
  #handed = 0

  /** `onRoom` is called when messages of users have left. */
  constructor(
    connection: Pick<LinkConnection, 'write'>,
    clock: Clock,
    limits: OutboxLimits,
    onRoom: () => void,
  ) {
    this.#connection = connection
    this.#clock = clock
    this.#limits = limits
    this.#onRoom = onRoom
  }

  /** The number of the last frame that was added. */
  get added(): number {
    return this.#added
  }

  /** The number of the last frame that was handed over: later ones have left in no form. */
  get handed(): number {
    return this.#handed
  }

  /** The messages and bytes that wait, for people who look. */
  get waiting(): { readonly messages: number; readonly bytes: number } {
    const { users, own } = { users: this.#users, own: this.#own }
    return { messages: users.messages + own.messages, bytes: users.bytes + own.bytes }
  }

  /** Whether a message of users with `size` bytes has room. One alone always has. */
  hasRoom(size = 0): boolean {
    const { messages, bytes } = this.#users
    if (messages === 0) return true
    return messages < this.#limits.messages && bytes + size <= this.#limits.bytes
  }

  /** Adds a message of users, for which there is room. */
  add(frame: Buffer): void {
    this.#note(this.#users, frame)
  }

  /** Whether answers take so much room that no further question should be taken. */
  get owesMuch(): boolean {
    const { messages, bytes } = this.#own
    return messages > this.#limits.ownMessages / 2 || bytes > this.#limits.ownBytes / 2
  }

  /** Adds a message of the link itself. False: the peer takes none, and the link must end. */
  addOwn(frame: Buffer): boolean {
    const { messages, bytes } = this.#own
    const { ownMessages, ownBytes } = this.#limits
    if (messages >= ownMessages || (messages > 0 && bytes + frame.length > ownBytes)) return false
    this.#note(this.#own, frame)
    return true
  }

  /** Resolves when the system has taken everything, or nothing more is sent. */
  async left(): Promise<void> {
    while (!this.#isClosed && (this.#isDue || this.#isWriting))
      await new Promise<void>((resolve) => this.#onLeft.push(resolve))
  }

  /** Sends nothing more. */
  close(): void {
    this.#isClosed = true
    this.#frames = []
    for (const resolve of this.#onLeft.splice(0)) resolve()
  }

  #note(room: Amount, frame: Buffer): void {
    room.messages++
    room.bytes += frame.length
    this.#frames.push(frame)
    this.#size += frame.length
    this.#added++
    if (this.#isDue || this.#isWriting) return
    this.#isDue = true
    this.#clock.soon(() => this.#leave())
  }

  #leave(): void {
    this.#isDue = false
    if (this.#isClosed || this.#isWriting || this.#frames.length === 0) return
    const [only, ...more] = this.#frames
    const bytes = only && more.length === 0 ? only : Buffer.concat(this.#frames, this.#size)
    this.#frames = []
    this.#size = 0
    this.#handed = this.#added
    this.#writing = { users: { ...this.#users }, own: { ...this.#own } }
    this.#isWriting = true
    this.#connection.write(bytes, () => this.#taken())
  }

  #taken(): void {
    const { users, own } = this.#writing
    this.#isWriting = false
    if (this.#isClosed) return
    for (const [room, left] of [
      [this.#users, users],
      [this.#own, own],
    ] as const) {
      room.messages -= left.messages
      room.bytes -= left.bytes
    }
    this.#leave()
    for (const resolve of this.#onLeft.splice(0)) resolve()
    if (users.messages > 0) this.#onRoom()
  }
}
