/** A peer that speaks the protocol of links by hand, rightly or wrongly. */
import { FrameReader, headBytes, sealed } from '../../../src/members/links/link-frames.ts'
import {
  type Greeting,
  greetingFrame,
  knownKinds,
} from '../../../src/members/links/link-message.ts'
import type { LinkConnection } from '../../../src/members/links/link-transport.ts'
import { decodeFromOutside, encodeList } from '../../../src/storage/index.ts'

/** The greeting of the member `a`. */
export const greetingOf = (given: Partial<Greeting> = {}): Buffer =>
  greetingFrame({ cluster: 'shop', member: 'a', incarnation: 'a-1', knows: knownKinds, ...given })

/** A list as a frame. */
export const frameOfList = (...list: unknown[]): Buffer => sealed(encodeList(list, headBytes))

/** Bytes as the body of a frame. */
export const frameOfBytes = (bytes: Uint8Array): Buffer =>
  sealed(Buffer.concat([Buffer.alloc(headBytes), bytes]))

/** One connection of it. */
export class RoguePeer {
  /** The bodies that came, decoded. */
  readonly heard: unknown[] = []
  isEnded = false
  readonly #connection: LinkConnection
  readonly #waiting: Buffer[] = []
  #isWriting = false

  constructor(connection: LinkConnection) {
    this.#connection = connection
    const reader = new FrameReader()
    connection.open({
      bytes: (bytes) =>
        reader.read(
          bytes,
          () => Number.POSITIVE_INFINITY,
          (body) => void this.heard.push(decodeFromOutside(body)),
        ),
      ended: () => {
        this.isEnded = true
      },
    })
  }

  /** Says these bytes, as one write when the one before is taken. */
  say(...frames: readonly Buffer[]): this {
    this.#waiting.push(...frames)
    this.#write()
    return this
  }

  close(): void {
    this.#connection.close()
  }

  #write(): void {
    if (this.#isWriting || this.#waiting.length === 0) return
    this.#isWriting = true
    this.#connection.write(Buffer.concat(this.#waiting.splice(0)), () => {
      this.#isWriting = false
      this.#write()
    })
  }
}
