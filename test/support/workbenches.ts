/** Workbenches that are as small as can be, and sums that come when a test says so, or never. */
import type { BlobPlace } from '../../src/storage/blobs/blob-record.ts'
import {
  type PayloadSum,
  type PayloadSums,
  PromptSums,
} from '../../src/storage/blobs/payload-sums.ts'
import type { Workbench } from '../../src/storage/blobs/record-writer.ts'
import type { DiskFile } from '../../src/storage/ports/disk.ts'

/** When sums come: at once; as late as they may; now and then, as `chance` has it; or from some payload on never. */
export type Coming = 'prompt' | 'late' | 'sometimes' | 'never'

/** As many as a board has room for. */
const waitingMax = 64

/** Sums that are worked out at the last moment at which their bytes have to be there, and handed out as `coming` says. */
class MovedSums implements PayloadSums {
  readonly #prompt: PromptSums
  readonly #coming: Coming
  readonly #chance: () => number
  #jobs: (() => void)[] = []
  #done = 0
  #waiting = 0
  #isGone = false

  constructor(memory: Uint8Array, coming: Coming, chance: () => number) {
    this.#prompt = new PromptSums(memory)
    this.#coming = coming
    this.#chance = chance
  }

  reset(): void {
    this.settle(this.mark())
    this.#prompt.reset()
    this.#waiting = 0
  }

  begin(place: BlobPlace): void {
    this.#jobs.push(() => this.#prompt.begin(place))
  }

  add(from: number, to: number): void {
    this.#jobs.push(() => this.#prompt.add(from, to))
  }

  end(): void {
    this.#waiting += 1
    if (this.#waiting > waitingMax) throw new Error('more sums wait than there is room for')
    this.#jobs.push(() => this.#prompt.end())
    if (this.#coming === 'prompt') this.settle(this.mark())
    if (this.#coming === 'never' && this.#chance() < 0.3) this.#isGone = true
  }

  mark(): number {
    return this.#done + this.#jobs.length
  }

  settle(mark: number): void {
    for (; this.#done < mark; this.#done++) this.#jobs.shift()?.()
  }

  next(patience: 'now' | 'wait'): PayloadSum | undefined {
    if (this.#isGone) return undefined
    if (patience === 'wait') this.settle(this.mark())
    else if (this.#coming === 'late' || this.#chance() < 0.5) return undefined
    this.#waiting -= 1
    return this.#prompt.next()
  }
}

/** A bench of `pieces` pieces of `pieceBytes`. */
export const smallBench = (
  pieces: number,
  pieceBytes: number,
  coming: Coming,
  chance: () => number = () => 0,
): Workbench => {
  const memory = new Uint8Array(pieces * pieceBytes).fill(0xee)
  const sums = coming === 'prompt' ? new PromptSums(memory) : new MovedSums(memory, coming, chance)
  return { memory, pieces, pieceBytes, sumsFor: () => sums }
}

/** A file that keeps what is written to it, and counts the writes. */
export const memoryFile = (): DiskFile & { bytes: Uint8Array; writes: number } => {
  const file = {
    path: 'memory',
    bytes: new Uint8Array(0),
    writes: 0,
    size: () => file.bytes.length,
    read: () => 0,
    write(bytes: Uint8Array, offset: number) {
      const larger = new Uint8Array(Math.max(file.bytes.length, offset + bytes.length))
      larger.set(file.bytes)
      larger.set(bytes, offset)
      file.bytes = larger
      file.writes += 1
      return bytes.length
    },
    sync: () => undefined,
    truncate: () => undefined,
    close: () => undefined,
  }
  return file
}
