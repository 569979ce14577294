/** Random histories of all commands, for the model and for the state machine alike. */
import fc from 'fast-check'
import { sha256 } from '../../../src/bytes/sha256.ts'
import type { Command } from '../../../src/storage/commands/command.ts'
import { commandsOf, withValues } from '../../../src/storage/commands/command-values.ts'
import type { RowValue } from '../../../src/storage/ports/projection-store.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { blobRope, encodeRope, isStoredValue, ropeOf } from '../../../src/storage/values/rope.ts'
import { decodeValue } from '../../../src/storage/values/value.ts'
import { type DrawnTurn, drawnTurn } from './entity-model.ts'
import type { Transaction } from './store-model.ts'
import { transaction, unitsOf, withPatchesOfBytes } from './store-writes.ts'

/** A unit as it was drawn: the moment, the write, the turn that has it, and which values are in blobs. */
export type Step = {
  readonly after: number
  readonly write: Transaction
  readonly turn: DrawnTurn | undefined
  readonly blobs: number
}

const step: fc.Arbitrary<Step> = fc.record({
  after: fc.nat(12),
  write: transaction,
  turn: fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: drawnTurn },
  ),
  blobs: fc.nat(15),
})

const steps = fc.array(step, { minLength: 1, maxLength: 16 })

/** A history: units with time between them, without any blob or with some. */
export const history: fc.Arbitrary<readonly Step[]> = fc.oneof(
  steps.map((all) => all.map((each) => ({ ...each, blobs: 0 }))),
  steps.map((all) => all.map((each) => ({ ...each, write: withPatchesOfBytes(each.write) }))),
)

/** Blobs in a list, written and read by reference. */
export class BlobTable {
  readonly #blobs: Uint8Array[] = []

  put(content: Uint8Array): BlobRef {
    this.#blobs.push(content)
    return { size: content.length, segment: 1, offset: this.#blobs.length, sha256: sha256(content) }
  }

  read = ({ offset }: BlobRef, from: number, to: number): Uint8Array =>
    (this.#blobs[offset - 1] as Uint8Array).subarray(from, to)

  /** The value of a row, read wherever it lies. */
  valueOf(value: RowValue | undefined): unknown {
    if (!value) return undefined
    if (!isStoredValue(value)) throw new Error('this is no value')
    const { content, parts } = ropeOf(value)
    const pieces = parts.map((part) =>
      part.kind === 'inline' ? part.bytes : this.read(part.ref, part.from, part.to),
    )
    return decodeValue({ tag: content, bytes: Buffer.concat(pieces) })
  }
}

/** The commands of a step: the n-th value is in a blob if bit n of its `blobs` is set. */
export const commandsIn = ({ write, blobs }: Step, table: BlobTable): readonly Command[] => {
  let left = blobs
  return unitsOf(write, 1, () => 0)
    .flatMap(([, unit]) => commandsOf(unit))
    .map((command) =>
      withValues(command, (value) => {
        const isBlob = left % 2 === 1 && value.bytes.length > 0
        left >>= 1
        const rope = isBlob && blobRope(value.tag as 0 | 1 | 2, table.put(value.bytes))
        return rope ? { tag: 3, bytes: encodeRope(rope) } : value
      }),
    )
}
