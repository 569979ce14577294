/**
 * The chain of an open log. It has the records of the group that is being written, the headers that
 * are not in the files yet, and the range over all headers. It belongs to the log's one writer. A
 * group whose write fails ends the log's epoch, so nothing here is ever taken back.
 */
import { type Signer, signerOf } from '../../bytes/ed25519.ts'
import type { ChainAnchor } from '../frames/segment-header.ts'
import { type Disk, DiskError } from '../ports/disk.ts'
import type { CommitmentHead, CommitmentOptions } from '../ports/log-host.ts'
import { writePart } from './chain-files.ts'
import { decodeHeader, encodeHeader } from './commitment-header.ts'
import { type Digest, noDigest } from './digests.ts'
import type { ChainEnd, FoundChain } from './found-chain.ts'
import { Mountains } from './mountains.ts'
import { RecordRoot } from './record-root.ts'

/** The headers of one part at most; so many are kept in memory. */
const partSize = 16_384

/** Where the files of a chain are. */
export type ChainPlace = { readonly disk: Disk; readonly dir: string }

/** The range with the hashes of `headers` added, and the nodes that they made. */
export const grown = (range: Mountains, headers: readonly Uint8Array[]) => {
  const nodes: Digest[] = []
  for (const bytes of headers)
    for (const node of range.append(decodeHeader(bytes)?.hash ?? '')) nodes.push(node)
  return { range, nodes }
}

/** The chain of one epoch of a log. */
export class CommitmentChain {
  readonly #place: ChainPlace
  /** Absent while commitments are off: the chain does not grow, and its segments repeat its end. */
  readonly #options: CommitmentOptions | undefined
  readonly #signer: Signer | undefined
  readonly #range: Mountains
  readonly #records = new RecordRoot()
  #last: ChainEnd | undefined
  /** The first LSN that the next header covers. */
  #coverFrom: number
  /** The content of the files: the headers, the root over them, and the LSN of the last. */
  #kept: { readonly count: number; readonly root: Digest; readonly lsn: number }
  /** Headers that are not in the files, and the nodes that they made. */
  #pending: Uint8Array[]
  #pendingNodes: Digest[]

  /** Continues `chain`. The records that it left uncovered belong to the next group. */
  constructor(place: ChainPlace, options: CommitmentOptions | undefined, chain: FoundChain) {
    const { kept, keptLsn, peaks, headers, last, coverFrom, uncovered } = chain
    this.#place = place
    this.#options = options
    this.#signer = options?.key === undefined ? undefined : signerOf(options.key)
    const range = new Mountains('history', kept, peaks)
    this.#kept = { count: kept, root: range.root(), lsn: keptLsn }
    this.#range = range
    this.#pending = [...headers]
    this.#pendingNodes = grown(range, headers).nodes
    this.#last = last
    this.#coverFrom = coverFrom
    for (const digest of uncovered) this.#records.add(digest)
  }

  /** Whether groups are committed to. */
  get commits(): boolean {
    return this.#options !== undefined
  }

  /** The fields for the header of a segment that begins now. */
  get anchor(): ChainAnchor {
    const { count, root } = this.#kept
    return { count, root, commits: this.commits }
  }

  /** The log must keep every frame after this LSN: headers are there that no file has. */
  get keptLsn(): number {
    return this.#pending.length === 0 ? Number.POSITIVE_INFINITY : this.#kept.lsn
  }

  /** The end of the chain; `undefined` before the first header. */
  get head(): CommitmentHead | undefined {
    const { size } = this.#range
    return this.#last && { size, root: this.#range.root(), ...this.#last }
  }

  /** Adds the records of a DATA frame to the group. */
  addFrame(lsn: number, time: number, payload: Uint8Array): void {
    if (this.commits) this.#records.addFrame(lsn, time, payload)
  }

  /** Ends the group with the COMMITMENT frame `lsn`, and returns its payload. */
  seal(lsn: number, time: number): Uint8Array {
    const { root: records, count } = this.#records.take()
    const prev = this.#last?.hash ?? noDigest
    const facts = { seq: this.#range.size, prev, records, count, time }
    const covered = { firstLsn: this.#coverFrom, lastLsn: lsn }
    const { bytes, hash } = encodeHeader({ ...facts, ...covered }, this.#signer)
    for (const node of this.#range.append(hash)) this.#pendingNodes.push(node)
    this.#pending.push(bytes)
    this.#last = { hash, lsn, time }
    this.#coverFrom = lsn + 1
    return bytes
  }

  /** Whether enough headers for a part are pending. */
  get isPartFull(): boolean {
    return this.#pending.length > 0 && this.#pending.length % partSize === 0
  }

  /**
   * Moves the pending headers into the files, durably; their frames must be durable before. A disk
   * that refuses leaves them pending: they are in the log, which keeps them.
   */
  settle(): void {
    if (this.#pending.length === 0) return
    const { disk, dir } = this.#place
    try {
      writePart(disk, dir, this.#kept.count, this.#pending, this.#pendingNodes)
    } catch (error) {
      if (error instanceof DiskError) return
      throw error
    }
    this.#kept = { count: this.#range.size, root: this.#range.root(), lsn: this.#last?.lsn ?? 0 }
    this.#pending = []
    this.#pendingNodes = []
  }
}
