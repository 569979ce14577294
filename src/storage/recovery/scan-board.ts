/**
 * A board in shared memory on which two threads share out the sealed segments of a log: one takes them from the front, its
 * assistant from the back, until they meet, and the assistant writes down what it read. Each segment is taken once, and
 * whoever took it first has it. Pure but for the memory that both share.
 */
import type { SealedSegment, SegmentReading } from './segment-reading.ts'

/** What the one that is assisted sees of its assistant. */
export type ScanHelp = {
  /** Takes segment `index`; false when the assistant was there before. */
  take(index: number): boolean
  /** What the assistant read of segment `index`; `undefined` as long as it has not, or when it never will. */
  answer(index: number): SegmentReading | undefined
  /** Nobody needs the assistant any more. */
  end(): void
}

/** Gives help with reading `sealed`, oldest first, in `dir`. */
export type ScanAssistant = (dir: string, sealed: readonly SealedSegment[]) => ScanHelp

/** One who never takes anything. */
export const noAssistant: ScanAssistant = () => ({
  take: () => true,
  answer: () => undefined,
  end: () => undefined,
})

/** Whose a segment is. Only who takes it from `free` to `assisted` writes its row, and nobody reads that before it is `answered`. */
const states = { free: 0, taken: 1, assisted: 2, answered: 3 } as const

const marks: readonly SegmentReading['sums']['mark'][] = ['none', 'seal', 'closed']

/** Numbers of a row: the end, the sums, and of a frame that only a newer version can read its three, or zeros. */
const rowLength = 10

/** Memory for a board of so many segments. */
export const boardMemory = (segments: number): SharedArrayBuffer =>
  new SharedArrayBuffer(segments * (8 * rowLength + 4))

/** Either side's view of a board. */
export class ScanBoard implements ScanHelp {
  readonly #rows: Float64Array
  readonly #states: Int32Array

  constructor(memory: SharedArrayBuffer) {
    const segments = memory.byteLength / (8 * rowLength + 4)
    this.#rows = new Float64Array(memory, 0, segments * rowLength)
    this.#states = new Int32Array(memory, 8 * this.#rows.length, segments)
  }

  take(index: number): boolean {
    return this.#moved(index, states.free, states.taken)
  }

  answer(index: number): SegmentReading | undefined {
    if (Atomics.load(this.#states, index) !== states.answered) return undefined
    return readingIn(this.#rows.subarray(index * rowLength, (index + 1) * rowLength))
  }

  end(): void {
    for (const index of this.#states.keys()) Atomics.store(this.#states, index, states.taken)
  }

  /** The assistant's: takes the last segment that nobody has; `undefined` when there is none. */
  assist(): number | undefined {
    for (let index = this.#states.length - 1; index >= 0; index--)
      if (this.#moved(index, states.free, states.assisted)) return index
    return undefined
  }

  /** The assistant's: whether nobody waits any more for a segment that it took. */
  isOver(index: number): boolean {
    return Atomics.load(this.#states, index) !== states.assisted
  }

  /** The assistant's: writes down what it read of a segment that it took. */
  write(index: number, { end, sums, unreadable }: SegmentReading): void {
    const { offset, lsn, crc } = end
    const { lastTime, checkpointLsn, provenLsn, mark } = sums
    const { type = 0, typeVersion = 0, lsn: unreadableLsn = 0 } = unreadable ?? {}
    const said = [lastTime, checkpointLsn, provenLsn, marks.indexOf(mark)]
    this.#rows.set([offset, lsn, crc, ...said, unreadableLsn, type, typeVersion], index * rowLength)
    this.#moved(index, states.assisted, states.answered)
  }

  #moved(index: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#states, index, from, to) === from
  }
}

const readingIn = (row: Float64Array): SegmentReading => {
  const number = (at: number): number => row[at] ?? 0
  const reading = {
    end: { offset: number(0), lsn: number(1), crc: number(2) },
    sums: {
      lastTime: number(3),
      checkpointLsn: number(4),
      provenLsn: number(5),
      mark: marks[number(6)] ?? 'none',
    },
  }
  const [lsn, type, typeVersion] = [number(7), number(8), number(9)]
  // Frames are counted from 1.
  return lsn === 0 ? reading : { ...reading, unreadable: { lsn, type, typeVersion } }
}
