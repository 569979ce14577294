/**
 * Sums over rows, by what they are about: how many, and the sum modulo 2^128 of the SHA-256 over the
 * key and the record of each. Rows that are split have equal sums in any order. Pure. It is apart from the
 * split because it judges the split: neither of them knows how the other one works.
 */
import { startSha256 } from '../../bytes/sha256.ts'
import { viewOf } from '../../bytes/u64.ts'
import type { SnapshotRecord } from '../../storage/index.ts'

/** Four digits of 32 bits, the least first. */
type Sum = { rows: number; readonly digits: Uint32Array }

/** The sums over some rows. */
export class RowSums {
  readonly #sums = new Map<string, Sum>()

  /** Adds a row. */
  add(about: string, { key, record }: SnapshotRecord): void {
    let sum = this.#sums.get(about)
    if (!sum) {
      sum = { rows: 0, digits: new Uint32Array(4) }
      this.#sums.set(about, sum)
    }
    const hash = startSha256()
    hash.add(key)
    hash.add(record)
    const view = viewOf(hash.end())
    sum.rows++
    let carry = 0
    for (let at = 0; at < 4; at++) {
      carry += (sum.digits[at] as number) + view.getUint32(4 * at, true)
      sum.digits[at] = carry
      carry = Math.floor(carry / 2 ** 32)
    }
  }

  /** The rows and their sum in hex, by what they are about. */
  get all(): Readonly<Record<string, { readonly rows: number; readonly sum: string }>> {
    const entries = [...this.#sums].sort(([one], [other]) => (one < other ? -1 : 1))
    return Object.fromEntries(
      entries.map(([about, { rows, digits }]) => [
        about,
        {
          rows,
          sum: [...digits]
            .reverse()
            .map((digit) => digit.toString(16).padStart(8, '0'))
            .join(''),
        },
      ]),
    )
  }
}
