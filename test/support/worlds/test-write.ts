/** A write that keeps what became of it. */
import type { Fate } from '../../../src/storage/groups/outcome.ts'
import type { GroupWrite } from '../../../src/storage/groups/write-group.ts'

/** How a write ended without an answer. */
export type Failed = { readonly fate: Fate; readonly cause: unknown; readonly lsn?: number }

/** A write of `length` bytes, each of them its name. */
export class TestWrite implements GroupWrite {
  readonly name: number
  readonly length: number
  readonly weight: number
  readonly departsAt: number
  readonly endsAt: number
  place = -1
  readonly failures: Failed[] = []
  /** Called as it fails. */
  onFailed: () => void = () => undefined

  constructor(
    name: number,
    { length = 40, weight = 1, departsAt = 0, endsAt = Number.POSITIVE_INFINITY } = {},
  ) {
    this.name = name
    this.length = length
    this.weight = weight
    this.departsAt = departsAt
    this.endsAt = endsAt
  }

  encode(into: Buffer, at: number): void {
    into.fill(this.name & 0xff, at, at + this.length)
  }

  failed(fate: Fate, cause: unknown, lsn: number | undefined): void {
    this.failures.push({ fate, cause, ...(lsn === undefined ? {} : { lsn }) })
    this.onFailed()
  }
}
