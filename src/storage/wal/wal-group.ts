/**
 * Entries that go to the disk together. Each is encoded where it will be sent from, once, as it is handed in; of its caller
 * the group keeps nothing but the two functions that settle its promise. An entry that somebody may take back while it
 * waits is watched; what was taken back is squeezed out before the group leaves. Pure.
 */

import type { Cancel } from '../../clock.ts'
import type { KeelsonError } from '../../errors.ts'
import { entryHeaderBytes, putEntry } from '../frames/wal-entry.ts'
import type { Appended } from './wal-append.ts'

/** What an entry counts at least: its promise is no smaller. */
const weightMin = 256

/** What an entry of so many bytes of its own counts among those that wait. */
export const weightOf = (bytes: number): number => Math.max(weightMin, entryHeaderBytes + bytes)

type Resolve = (appended: Appended) => void
type Reject = (error: KeelsonError) => void

/** An entry that its caller may give up: its place in the group, and what takes back the watch. */
export type WatchedEntry = { at: number; readonly reject: Reject; forget: Cancel }

/** A group's payloads, one after another in memory that may be given away. */
export type GroupBytes = { readonly bytes: Uint8Array; readonly lengths: Uint32Array }

/** A group that fills, is taken, and is settled. */
export class WalGroup {
  #bytes: Buffer
  #size = 0
  #lengths: number[] = []
  #resolves: Resolve[] = []
  #rejects: Reject[] = []
  /** In the order of their places. */
  #watched: WatchedEntry[] = []
  #withdrawn = new Set<number>()
  #weight = 0
  #isTaken = false

  /** Fills `memory`, which is the group's from now on, and takes more when that is not enough. */
  constructor(memory: Buffer) {
    this.#bytes = memory
  }

  /** How many entries it has that were not taken back. */
  get count(): number {
    return this.#lengths.length - this.#withdrawn.size
  }

  /** What these count among those that wait. */
  get weight(): number {
    return this.#weight
  }

  /** Payload bytes, those of withdrawn entries included. */
  get size(): number {
    return this.#size
  }

  /** Whether an entry with so many bytes of its own may join: the first always may. */
  takes(bytes: number, bytesMax: number): boolean {
    return this.#size === 0 || this.#size + entryHeaderBytes + bytes <= bytesMax
  }

  /** Adds an entry at the end; `bytes` are copied. */
  add(type: number, bytes: Uint8Array, resolve: Resolve, reject: Reject): void {
    const at = this.#size
    const length = entryHeaderBytes + bytes.length
    if (at + length > this.#bytes.length) this.#grow(at + length)
    putEntry(this.#bytes, at, type, bytes)
    this.#size = at + length
    this.#weight += weightOf(bytes.length)
    this.#lengths.push(length)
    this.#resolves.push(resolve)
    this.#rejects.push(reject)
  }

  /** Watches the entry that was added last: it may be withdrawn. */
  watchLast(reject: Reject): WatchedEntry {
    const entry = { at: this.#lengths.length - 1, reject, forget: nothing }
    this.#watched.push(entry)
    return entry
  }

  /** Takes an entry back; false when the group was taken, or the entry was withdrawn before. */
  withdraw({ at }: WatchedEntry): boolean {
    if (this.#isTaken || at < 0 || this.#withdrawn.has(at)) return false
    this.#withdrawn.add(at)
    this.#weight -= Math.max(weightMin, this.#lengths[at] ?? 0)
    // On a disk that hangs the group is not taken: what is dead must not pile up in it.
    if (2 * this.#withdrawn.size > this.#lengths.length) this.#squeeze()
    return true
  }

  /** What is to be written. From now on nothing joins, nothing is withdrawn. */
  take(): GroupBytes {
    if (this.#withdrawn.size > 0) this.#squeeze()
    this.#isTaken = true
    const bytes = this.#bytes.subarray(0, this.#size)
    // It is given away: from now on the group is of those who wait only.
    this.#bytes = empty
    return { bytes, lengths: new Uint32Array(this.#lengths) }
  }

  /** Answers each entry; those beyond `lsns` are rejected with `refused`. Nothing is settled twice. */
  answer(
    lsns: readonly number[],
    appended: (lsn: number) => Appended,
    refused: () => KeelsonError,
  ): void {
    this.#forget()
    const resolves = this.#resolves
    for (let at = 0; at < resolves.length; at++) {
      const lsn = lsns[at]
      if (lsn === undefined) this.#rejects[at]?.(refused())
      else resolves[at]?.(appended(lsn))
    }
  }

  /** Rejects every entry that was not taken back. */
  reject(error: KeelsonError): void {
    this.#forget()
    for (const [at, reject] of this.#rejects.entries()) if (!this.#withdrawn.has(at)) reject(error)
  }

  #forget(): void {
    for (const { forget } of this.#watched) forget()
  }

  #grow(size: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#bytes.length))
    grown.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = grown
  }

  /** Closes the gaps that withdrawn entries left. */
  #squeeze(): void {
    const places = this.#moveUp()
    this.#watched = this.#watched.filter((entry) => {
      entry.at = places[entry.at] ?? -1
      return entry.at >= 0
    })
    const isLeft = (_: unknown, at: number): boolean => !this.#withdrawn.has(at)
    this.#lengths = this.#lengths.filter(isLeft)
    this.#resolves = this.#resolves.filter(isLeft)
    this.#rejects = this.#rejects.filter(isLeft)
    this.#withdrawn = new Set()
  }

  /** Moves the bytes that are left into memory of their own; answers where each entry stands now, -1 for none. */
  #moveUp(): Int32Array {
    const places = new Int32Array(this.#lengths.length).fill(-1)
    const left = this.#lengths.reduce(
      (sum, length, at) => sum + (this.#withdrawn.has(at) ? 0 : length),
      0,
    )
    const bytes = Buffer.allocUnsafeSlow(left)
    let from = 0
    let to = 0
    let place = 0
    for (const [at, length] of this.#lengths.entries()) {
      if (!this.#withdrawn.has(at)) {
        to += this.#bytes.copy(bytes, to, from, from + length)
        places[at] = place++
      }
      from += length
    }
    this.#bytes = bytes
    this.#size = to
    return places
  }
}

const empty = Buffer.alloc(0)

const nothing = (): void => undefined
