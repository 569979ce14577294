/**
 * Prints many lines no faster than somebody takes them, in pieces of some size. Whoever reads them may go away: then it says so,
 * and prints no more.
 */
import type { Writable } from 'node:stream'

/** So many characters are gathered before they are handed on. */
const pieceSize = 64 * 1024

/** Lines on their way to a stream. */
export class LineWriter {
  readonly #stream: Writable
  #piece = ''
  #isGone = false

  constructor(stream: Writable) {
    this.#stream = stream
  }

  /** Nobody reads any more. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** Adds a line; true when enough is gathered that `flush` should be awaited. */
  add(line: string): boolean {
    this.#piece += `${line}\n`
    return this.#piece.length >= pieceSize
  }

  /** Hands on what was gathered; resolves when the stream has taken it, or will take nothing any more. */
  async flush(): Promise<void> {
    const piece = this.#piece
    this.#piece = ''
    if (piece === '' || this.#isGone) return
    await new Promise<void>((resolve) => {
      this.#stream.write(piece, (error) => {
        if (error) this.#isGone = true
        resolve()
      })
    })
  }
}
