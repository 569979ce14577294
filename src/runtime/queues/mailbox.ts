/**
 * The mailbox of a process: a ring, and behind it, once it is deep, chunks. A message that waits in a
 * ring is an object, and the collector copies each object twice before it leaves it alone: of a
 * backlog of a million that was more than half of the time. A chunk has the parts of its messages.
 */

import { Envelope, type Kind, type Message } from '../words/envelope.ts'
import { Ring } from './ring.ts'

/** The ring takes so many; more wait in chunks. Few mailboxes are ever so deep. */
const nearMax = 256

/** Messages in the order in which they come. Both ends take constant time at any depth. */
export class Mailbox {
  readonly #near = new Ring<Message>()
  /** What came after the messages of the ring. Never empty. */
  #far: Chunks | undefined = undefined

  /** The number of messages. */
  get length(): number {
    return this.#far === undefined ? this.#near.length : this.#near.length + this.#far.length
  }

  /** Puts a message at the end. */
  push(message: Message): void {
    if (this.#far !== undefined) this.#far.push(message)
    else if (this.#near.length < nearMax) this.#near.push(message)
    else this.#far = new Chunks(message)
  }

  /** Puts a message before all others. */
  unshift(message: Message): void {
    this.#near.unshift(message)
  }

  /** Takes the first message; `undefined` when there is none. */
  shift(): Message | undefined {
    if (this.#far === undefined || this.#near.length > 0) return this.#near.shift()
    const message = this.#far.shift()
    if (this.#far.length === 0) this.#far = undefined
    return message
  }

  /** The message that is `index` places after the first. */
  at(index: number): Message | undefined {
    return (index < this.#near.length ? this.#near : this.#whole).at(index)
  }

  /** Removes and returns the first message that `matches`. The others keep their order. */
  remove(matches: (message: Message) => boolean): Message | undefined {
    return this.#whole.remove(matches)
  }

  /** Removes all messages that `matches`. The others keep their order. */
  removeAll(matches: (message: Message) => boolean): void {
    this.#whole.removeAll(matches)
  }

  /** Moves all of `other`'s messages, in their order, before its own. */
  prepend(other: Ring<Message>): void {
    this.#whole.prepend(other)
  }

  /** Removes all messages, and frees their places. */
  clear(): void {
    this.#near.clear()
    this.#far = undefined
  }

  /** The ring with all messages in it. */
  get #whole(): Ring<Message> {
    const far = this.#far
    this.#far = undefined
    while (far !== undefined && far.length > 0) this.#near.push(far.shift())
    return this.#near
  }
}

const partsOfOne = 3
const chunkLength = 256 * partsOfOne

type Chunk = { readonly parts: unknown[]; next: Chunk | undefined }

const newChunk = (): Chunk => ({ parts: new Array(chunkLength), next: undefined })

/** A queue in chunks. A message with more than its three parts stays an object. */
class Chunks {
  #first = newChunk()
  #last = this.#first
  #from = 0
  #to = 0
  length = 0

  constructor(message: Message) {
    this.push(message)
  }

  push(message: Message): void {
    if (this.#to === chunkLength) {
      this.#last = this.#last.next = newChunk()
      this.#to = 0
    }
    const { parts } = this.#last
    const at = this.#to
    if (isPlain(message)) {
      parts[at] = message.kind
      parts[at + 1] = message.name
      parts[at + 2] = message.payload
    } else parts[at] = message
    this.#to = at + partsOfOne
    this.length++
  }

  /** Takes the first message. There is one. */
  shift(): Message {
    if (this.#from === chunkLength) {
      this.#first = this.#first.next as Chunk
      this.#from = 0
    }
    const { parts } = this.#first
    const at = this.#from
    const found = parts[at] as Kind | Message
    const message =
      typeof found === 'number'
        ? new Envelope(found, parts[at + 1] as string, parts[at + 2])
        : found
    // The chunk keeps nothing alive that has left it.
    parts[at] = undefined
    parts[at + 2] = undefined
    this.#from = at + partsOfOne
    this.length--
    return message
  }
}

const isPlain = (message: Message): boolean => {
  const { context, arrivedAt } = message
  return message.constructor === Envelope && context === undefined && arrivedAt === undefined
}
