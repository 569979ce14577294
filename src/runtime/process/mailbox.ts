/**
 * The mailbox of a process: a ring, and once it is deep, chunks after it. A message that waits in a
 * ring is an object, and the collector copies each object twice before it leaves it alone: of a
 * backlog of a million that was more than half of the time. A chunk has the parts of its messages.
 */

import { Ring } from '../queues/ring.ts'
import { Envelope, type Kind, type Message } from '../words/envelope.ts'

/** The ring takes so many; more wait in chunks. Few mailboxes are ever so deep. */
const nearMax = 256

/** Messages in the order in which they come. Both ends take constant time at any depth. */
export class Mailbox {
  readonly #near = new Ring<Message>()
  /** Messages that came after those of the ring. Never empty. */
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
    for (let next = far?.shift(); next; next = far?.shift()) this.#near.push(next)
    return this.#near
  }
}

const chunkLength = 256

/** So many messages in their parts. `heads` has the kind of a message, or the message. */
type Chunk = {
  readonly heads: (Kind | Message | undefined)[]
  readonly names: string[]
  readonly payloads: unknown[]
  next: Chunk | undefined
}

const newChunk = (): Chunk => ({
  heads: new Array(chunkLength),
  names: new Array(chunkLength),
  payloads: new Array(chunkLength),
  next: undefined,
})

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
    const { heads, names, payloads } = this.#last
    const at = this.#to++
    this.length++
    if (!isPlain(message)) heads[at] = message
    else {
      heads[at] = message.kind
      names[at] = message.name
      payloads[at] = message.payload
    }
  }

  /** Takes the first message; `undefined` when there is none. */
  shift(): Message | undefined {
    if (this.length === 0) return undefined
    if (this.#from === chunkLength && this.#first.next) {
      this.#first = this.#first.next
      this.#from = 0
    }
    const { heads, names, payloads } = this.#first
    const at = this.#from++
    const [head, payload] = [heads[at], payloads[at]]
    // The chunk keeps nothing alive that has left it.
    heads[at] = payloads[at] = undefined
    this.length--
    return typeof head === 'number' ? new Envelope(head, names[at] ?? '', payload) : head
  }
}

const isPlain = (message: Message): boolean => {
  const { context, arrivedAt } = message
  return message.constructor === Envelope && context === undefined && arrivedAt === undefined
}
