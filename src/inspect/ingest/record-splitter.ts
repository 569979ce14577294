/**
 * Splits a stream of bytes into records as it arrives: lines of NDJSON, or the elements of a JSON
 * array. It finds borders only; parsing checks each record. It holds one record in memory, of at
 * most `recordBytesMax`. Pure.
 */
import { KeelsonError } from '../../errors.ts'

/** The format of records: one on each line, or the elements of one array. */
export type RecordFormat = 'ndjson' | 'json'

/** Takes a stream in chunks. Chunks may be cut anywhere, even within a character. */
export interface RecordSplitter {
  /**
   * The records that end in `chunk`. Use them up before the next call.
   * @throws KeelsonError `TOO_LARGE`; `INVALID_ARGUMENT` where the array is malformed, with
   * `details.record` and `details.offset`
   */
  push(chunk: Uint8Array): IterableIterator<Uint8Array>
  /**
   * The record that the end of the stream completes.
   * @throws KeelsonError `INVALID_ARGUMENT` when the stream ended too early
   */
  end(): Uint8Array | undefined
}

/** The default largest record: four times the largest put with default segments. */
const recordBytesMaxDefault = 64 * 1024 * 1024

/** A splitter for one stream. */
export const recordSplitter = (
  format: RecordFormat,
  recordBytesMax = recordBytesMaxDefault,
): RecordSplitter =>
  format === 'ndjson' ? new LineSplitter(recordBytesMax) : new ArraySplitter(recordBytesMax)

/** The pieces of an incomplete record. */
class Pieces {
  readonly #bytesMax: number
  #pieces: Uint8Array[] = []
  #length = 0
  /** Records taken so far. */
  count = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  add(piece: Uint8Array): void {
    this.#length += piece.length
    if (this.#length > this.#bytesMax)
      throw new KeelsonError(
        'TOO_LARGE',
        `record ${this.count + 1} has more than ${this.#bytesMax} bytes`,
        { details: { record: this.count + 1, bytesMax: this.#bytesMax } },
      )
    if (piece.length > 0) this.#pieces.push(piece)
  }

  take(): Uint8Array {
    const [first = new Uint8Array(), ...others] = this.#pieces
    const record = others.length === 0 ? first : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#length = 0
    return record
  }
}

const newline = 0x0a

/** Lines. Empty lines are skipped. */
class LineSplitter implements RecordSplitter {
  readonly #pieces: Pieces
  #first = true

  constructor(recordBytesMax: number) {
    this.#pieces = new Pieces(recordBytesMax)
  }

  *push(chunk: Uint8Array): IterableIterator<Uint8Array> {
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      this.#pieces.add(chunk.subarray(from, at))
      from = at + 1
      const line = this.#line()
      if (line) yield line
    }
    this.#pieces.add(chunk.subarray(from))
  }

  end(): Uint8Array | undefined {
    return this.#line()
  }

  #line(): Uint8Array | undefined {
    let line = this.#pieces.take()
    if (this.#first && hasByteOrderMark(line)) line = line.subarray(3)
    this.#first = false
    if (!line.some(isInk)) return undefined
    this.#pieces.count++
    return line
  }
}

const hasByteOrderMark = (bytes: Uint8Array): boolean =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

const isInk = (byte: number): boolean => !isSpace(byte)

const signs = {
  quote: 0x22,
  comma: 0x2c,
  open: 0x5b,
  backslash: 0x5c,
  close: 0x5d,
  openBrace: 0x7b,
  closeBrace: 0x7d,
} as const

/** The state of the scan of an array. */
type Place =
  /** Before `[`. */
  | 'start'
  /** After `[`: an element or `]`. */
  | 'first'
  /** After a comma: an element. */
  | 'next'
  | 'element'
  /** After an element: a comma or `]`. */
  | 'behind'
  /** After `]`. */
  | 'done'

/** The elements of one array. */
class ArraySplitter implements RecordSplitter {
  readonly #pieces: Pieces
  #place: Place = 'start'
  #depth = 0
  #inString = false
  #escaped = false
  /** Bytes before the present chunk. */
  #offset = 0

  constructor(recordBytesMax: number) {
    this.#pieces = new Pieces(recordBytesMax)
  }

  *push(chunk: Uint8Array): IterableIterator<Uint8Array> {
    let at = 0
    while (at < chunk.length) {
      if (!this.#isInside) {
        this.#between(chunk[at] as number, this.#offset + at)
        // The first byte of an element is scanned again as part of it.
        if (!this.#isInside) at++
        continue
      }
      const from = at
      at = this.#elementEnd(chunk, at)
      this.#pieces.add(chunk.subarray(from, at))
      if (!this.#isInside) yield this.#element()
    }
    this.#offset += chunk.length
  }

  end(): undefined {
    if (this.#place === 'done') return
    const expected = this.#place === 'start' ? 'an array of records' : 'the end of the array'
    this.#refuse(this.#offset, expected, 'the end')
  }

  get #isInside(): boolean {
    return this.#place === 'element'
  }

  #element(): Uint8Array {
    this.#pieces.count++
    return this.#pieces.take()
  }

  /** One byte outside of elements. */
  #between(byte: number, offset: number): void {
    if (isSpace(byte)) return
    const place = this.#place
    if (place === 'start' && isMarkAt(byte, offset)) return
    if (place === 'start' && byte === signs.open) this.#place = 'first'
    else if (place === 'behind' && byte === signs.comma) this.#place = 'next'
    else if ((place === 'behind' || place === 'first') && byte === signs.close) this.#place = 'done'
    else if (
      (place === 'first' || place === 'next') &&
      byte !== signs.comma &&
      byte !== signs.close
    )
      this.#place = 'element'
    else this.#refuse(offset, expectations[place], String.fromCharCode(byte))
  }

  /** The end of the element in `chunk`, or the end of the chunk; the state says which. */
  #elementEnd(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false
        else if (byte === signs.backslash) this.#escaped = true
        else if (byte === signs.quote) this.#inString = false
      } else if (byte === signs.quote) this.#inString = true
      else if (byte === signs.open || byte === signs.openBrace) this.#depth++
      else if (this.#depth > 0) {
        if (byte === signs.close || byte === signs.closeBrace) this.#depth--
      } else if (byte === signs.comma || byte === signs.close || isSpace(byte)) {
        this.#place = 'behind'
        return at
      }
    }
    return chunk.length
  }

  #refuse(offset: number, expected: string, found: string): never {
    const record = this.#pieces.count + 1
    throw new KeelsonError(
      'INVALID_ARGUMENT',
      `not a JSON array at byte ${offset}, record ${record}: expected ${expected}, found ${found}`,
      { details: { record, offset, expected, found } },
    )
  }
}

const expectations: Readonly<Record<Place, string>> = {
  start: 'an array of records',
  first: 'a record or ]',
  next: 'a record',
  element: 'a record',
  behind: 'a comma or ]',
  done: 'nothing behind the array',
}

/** The byte order mark of some editors. */
const isMarkAt = (byte: number, offset: number): boolean =>
  (offset === 0 && byte === 0xef) ||
  (offset === 1 && byte === 0xbb) ||
  (offset === 2 && byte === 0xbf)
