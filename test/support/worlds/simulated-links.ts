/**
 * What carries links, on a virtual clock: connections with delay, that come in pieces, are cut with
 * the bytes in flight, cannot be made for a while, and whose one end stops to read. A seed decides
 * delays and pieces.
 */

import { type Clock, seededRandom } from '../../../src/clock.ts'
import type {
  ConnectionReader,
  LinkConnection,
  LinkTransport,
} from '../../../src/members/links/link-transport.ts'

/** The bytes that the system takes for an end that does not read. */
const systemBytes = 200_000

/** One end of a connection. */
class End implements LinkConnection {
  readonly member: string
  other!: End
  readonly #world: SimulatedLinks
  #reader: ConnectionReader | undefined
  readonly #under: { readonly bytes: Buffer; readonly taken: () => void }[] = []
  #arrived: Buffer[] = []
  #arrivesAt = 0
  #isEnded = false
  #isPaused = false

  constructor(world: SimulatedLinks, member: string) {
    this.#world = world
    this.member = member
  }

  open(reader: ConnectionReader): void {
    this.#reader = reader
    this.#world.clock.soon(() => this.#give())
  }

  write(bytes: Buffer, taken: () => void): void {
    if (this.#isEnded) return
    const { clock } = this.#world
    this.#world.writes++
    // No link writes into these bytes later; a copy shows one that does.
    const sent = { bytes: Buffer.from(bytes), taken }
    const at = Math.max(this.#arrivesAt, clock.monotonic() + this.#world.delay())
    this.#arrivesAt = at
    const arrive = (): void => this.other.arrive(sent)
    if (at <= clock.monotonic()) clock.soon(arrive)
    else clock.after(at - clock.monotonic(), arrive)
  }

  /** Bytes of the other end come. */
  arrive(sent: { readonly bytes: Buffer; readonly taken: () => void }): void {
    if (this.#isEnded) return
    this.#under.push(sent)
    this.#give()
  }

  close(): void {
    this.cut()
  }

  /** Ends the connection, with the bytes in flight. */
  cut(): void {
    for (const end of [this, this.other]) end.#end()
  }

  /** It reads nothing more until `resume`. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#give()
  }

  #give(): void {
    const held = this.#arrived.reduce((sum, { length }) => sum + length, 0)
    for (let room = systemBytes - held; room > 0; ) {
      const next = this.#under.shift()
      if (next === undefined) break
      room -= next.bytes.length
      this.#arrived.push(next.bytes)
      this.#world.clock.soon(() => {
        if (!this.other.#isEnded) next.taken()
      })
    }
    if (this.#isPaused || this.#reader === undefined || this.#arrived.length === 0) return
    const bytes = Buffer.concat(this.#arrived)
    this.#arrived = []
    for (let at = 0; at < bytes.length && !this.#isEnded; ) {
      const end = at + this.#world.piece(bytes.length - at)
      // Memory of the system is used again.
      const piece = Buffer.from(bytes.subarray(at, end))
      this.#reader.bytes(piece)
      piece.fill(0xc1)
      at = end
    }
    if (this.#under.length > 0) this.#give()
  }

  #end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#world.ended(this)
    this.#world.clock.soon(() => this.#reader?.ended())
  }
}

/** The connections of some members. */
export class SimulatedLinks {
  readonly clock: Clock
  readonly #random: (() => number) | undefined
  readonly #delayMs: number
  readonly #listeners = new Map<string, (connection: LinkConnection) => void>()
  readonly #ends = new Set<End>()
  readonly #parted = new Set<string>()
  /** How often a link handed bytes over. */
  writes = 0

  /** Without a seed, bytes come at once and whole. `delayMs`: at most. */
  constructor(clock: Clock, { seed, delayMs = 0 }: { seed?: number; delayMs?: number } = {}) {
    this.clock = clock
    this.#random = seed === undefined ? undefined : seededRandom(seed)
    this.#delayMs = delayMs
  }

  /** What carries the links of a member. */
  transport(member: string): LinkTransport {
    return {
      listen: async (signal, onConnection) => {
        this.#listeners.set(member, onConnection)
        // A killed process may still give its place up when the next one of that name listens.
        signal.addEventListener('abort', () => {
          if (this.#listeners.get(member) === onConnection) this.#listeners.delete(member)
        })
      },
      connect: async (other) => this.connect(member, other),
    }
  }

  /** An end of a new connection from one member, which may be none, to another. */
  connect(from: string, to: string): LinkConnection {
    const listener = this.#listeners.get(to)
    if (listener === undefined || this.#parted.has([from, to].sort().join()))
      throw new Error(`${to} does not listen`)
    const [mine, its] = [new End(this, from), new End(this, to)]
    mine.other = its
    its.other = mine
    this.#ends.add(mine).add(its)
    this.clock.soon(() => listener(its))
    return mine
  }

  /** Cuts the connections of two members, or all. */
  cut(...members: readonly string[]): void {
    for (const end of this.#between(members)) end.cut()
  }

  /** Cuts them, and lets no other one be made until `heal`. */
  part(one: string, other: string): void {
    this.#parted.add([one, other].sort().join())
    this.cut(one, other)
  }

  heal(): void {
    this.#parted.clear()
  }

  /** A member reads nothing until `resume`. */
  pause(member: string): void {
    for (const end of this.#ends) if (end.member === member) end.pause()
  }

  resume(member: string): void {
    for (const end of this.#ends) if (end.member === member) end.resume()
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#ends.size / 2
  }

  delay(): number {
    return this.#random === undefined ? 0 : Math.floor(this.#random() * this.#delayMs)
  }

  piece(length: number): number {
    if (this.#random === undefined || this.#random() < 0.5) return length
    return 1 + Math.floor(this.#random() * length)
  }

  ended(end: End): void {
    this.#ends.delete(end)
  }

  #between(members: readonly string[]): End[] {
    return [...this.#ends].filter(
      ({ member, other }) =>
        members.length === 0 || (members.includes(member) && members.includes(other.member)),
    )
  }
}
