/**
 * What records are put together on before they are written: memory that is used again for every put, because pages that nobody
 * has had before cost more than the bytes that go into them, in pieces of one write each; and whoever sums up what stands there.
 */
import { type PayloadSums, PromptSums } from './payload-sums.ts'

/** A workbench. */
export type Workbench = {
  readonly memory: Uint8Array
  /** The memory is so many pieces of so many bytes, a multiple of a block. */
  readonly pieces: number
  readonly pieceBytes: number
  /** Whoever sums up the payloads of the next put, which brings so many bytes. */
  sumsFor(bytes: number): PayloadSums
}

/** A bench on which everything is done by whoever has it. */
export const plainBench = (pieceBytes = 1024 * 1024): Workbench => {
  // Only who puts needs it.
  let memory: Uint8Array | undefined
  let sums: PayloadSums | undefined
  return {
    pieces: 1,
    pieceBytes,
    get memory() {
      memory ??= new Uint8Array(pieceBytes)
      return memory
    },
    sumsFor() {
      sums ??= new PromptSums(this.memory)
      return sums
    },
  }
}
