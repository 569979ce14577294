/**
 * Verifies the commitments of a log that is otherwise whole: every group against its header, every
 * header against the one before, and the files against all of it. Lists what it finds; changes
 * nothing.
 */
import { isKeelsonError } from '../../errors.ts'
import { ChainFiles, commitmentsFolder } from '../commitments/chain-files.ts'
import { decodeHeader, type ReadHeader } from '../commitments/commitment-header.ts'
import { type Digest, noDigest } from '../commitments/digests.ts'
import { type ChainEnd, linkFault, type WalkedFrame } from '../commitments/found-chain.ts'
import { Mountains, nodeCount } from '../commitments/mountains.ts'
import { frameDigests, RecordRoot } from '../commitments/record-root.ts'
import { segmentRun } from '../commitments/segment-run.ts'
import { frameTypes } from '../frames/frame.ts'
import type { Damage } from '../frames/log-errors.ts'
import type { Disk } from '../ports/disk.ts'
import type { SegmentEntry } from '../segments/segment-chain.ts'
import type { SegmentSurvey } from './log-damage.ts'

/** The result of verifying the commitments of a log. */
export type ChainVerification = {
  /** The number of headers, and the root over them. */
  readonly size: number
  readonly root: Digest
  /** DATA frames that no header covers: from a time without commitments, or torn off. */
  readonly uncovered: number
  readonly damage: readonly Damage[]
}

/** A DATA frame that waits for its header. */
type Waiting = { readonly lsn: number; readonly digests: readonly Digest[]; readonly must: boolean }

/**
 * Verifies the commitments of the log with these segments; `undefined` if it has none. Yields after
 * each segment the bytes that it has.
 * @throws DiskError
 */
export function* verifyingChain(
  disk: Disk,
  dir: string,
  surveys: readonly SegmentSurvey[],
): Generator<number, ChainVerification | undefined> {
  const first = surveys.findIndex(({ segment }) => segment.header.chain)
  if (first < 0) return undefined
  const files = new ChainFiles(disk, dir)
  try {
    const segments = surveys.map(({ segment }) => segment)
    const check = new ChainCheck(files, segments)
    for (const { segment, map } of surveys.slice(first)) {
      const run = segmentRun(disk, dir, { ...segment, to: map.end })
      run.walk((frame) => {
        if (frame.type === frameTypes.data) check.data(frame, run.commits)
        else if (frame.type === frameTypes.commitment) check.header(frame)
      })
      yield map.end.offset
    }
    return check.result()
  } catch (error) {
    // A frame that was whole a moment ago is not: the survey has the rest.
    if (!isKeelsonError(error, 'CORRUPT')) throw error
    const { file, offset, lsn, evidence } = error.details as Damage
    const damage = [{ file, offset, lsn, evidence }]
    return { size: 0, root: noDigest, uncovered: 0, damage }
  } finally {
    files.close()
  }
}

class ChainCheck {
  readonly #range = new Mountains('history')
  readonly #damage: Damage[] = []
  readonly #files: ChainFiles
  /** The segments by the number of headers that they name. */
  readonly #anchors = new Map<number, SegmentEntry[]>()
  /** The headers that the files must have. */
  #kept = 0
  /** The first LSN of the log. */
  readonly #firstLsn: number
  #waiting: Waiting[] = []
  #last: ChainEnd | undefined
  #uncovered = 0
  #hasHeader = false

  constructor(files: ChainFiles, segments: readonly SegmentEntry[]) {
    this.#files = files
    this.#firstLsn = segments[0]?.header.baseLsn ?? 1
    for (const segment of segments) {
      const { count } = segment.header.chain ?? {}
      if (count === undefined) continue
      this.#anchors.set(count, [...(this.#anchors.get(count) ?? []), segment])
      this.#kept = Math.max(this.#kept, count)
    }
    this.#checkAnchors()
  }

  /** The headers up to `count` that only the files have. */
  #released(count: number): void {
    while (this.#range.size < count && this.#damage.length === 0) {
      const { size } = this.#range
      const read = this.#files.header(size)
      if (read && read.header.prev === (this.#last?.hash ?? noDigest)) this.#append(read)
      else this.#fileDamage(`header ${size} is missing or damaged`)
    }
  }

  /** Compares the root with what segments say about so many headers. */
  #checkAnchors(): void {
    const { size } = this.#range
    for (const { name, header } of this.#anchors.get(size) ?? []) {
      if (header.chain?.root === this.#range.root()) continue
      const evidence = `its header names ${size} commitments with another root`
      this.#damage.push({ file: name, offset: 0, lsn: header.baseLsn, evidence })
    }
  }

  data({ lsn, time, payload }: WalkedFrame, must: boolean): void {
    this.#waiting.push({ lsn, digests: must ? frameDigests(lsn, time, payload) : [], must })
    if (!must) this.#uncovered += this.#waiting.splice(0).length
  }

  header({ lsn, file, offset, payload }: WalkedFrame): void {
    const read = decodeHeader(payload.slice())
    // Earlier ones are in the files only.
    if (!this.#hasHeader && read) this.#released(Math.min(read.header.seq, this.#kept))
    this.#hasHeader = true
    if (this.#damage.length > 0) return
    const waiting = this.#waiting.splice(0)
    const fault =
      linkFault(read, { seq: this.#range.size, lsn }, this.#last) ??
      (read && this.#groupFault(read, waiting))
    if (!read || fault) {
      this.#damage.push({ file, offset, lsn, evidence: fault ?? 'it is malformed' })
      return
    }
    this.#append(read)
  }

  result(): ChainVerification {
    this.#released(this.#kept)
    const { size } = this.#range
    const uncovered = this.#uncovered + this.#waiting.length
    return { size, root: this.#range.root(), uncovered, damage: this.#damage }
  }

  #groupFault({ header }: ReadHeader, waiting: readonly Waiting[]): string | undefined {
    const records = new RecordRoot()
    for (const { lsn, digests, must } of waiting) {
      if (lsn >= header.firstLsn) for (const digest of digests) records.add(digest)
      else if (must) return `it does not cover lsn ${lsn}`
    }
    // Records of frames that were given back cannot be compared.
    if (header.firstLsn < this.#firstLsn) return undefined
    const { root, count } = records.take()
    if (count !== header.count || root !== header.records)
      return `it commits to ${header.count} records, and those there are others`
    return undefined
  }

  /** Adds a header. Compares what the files have of it with what it is and makes. */
  #append({ header, hash }: ReadHeader): void {
    const { size } = this.#range
    const position = nodeCount(size)
    const nodes = this.#range.append(hash)
    this.#last = { hash, lsn: header.lastLsn, time: header.time }
    this.#checkAnchors()
    if (size >= this.#kept) return
    const isThere = this.#files.header(size)?.hash === hash
    if (!isThere || nodes.some((node, at) => this.#files.node(position + at) !== node))
      this.#fileDamage(`header ${size} or its nodes are missing or damaged`)
  }

  #fileDamage(evidence: string): void {
    this.#damage.push({ file: commitmentsFolder, offset: 0, lsn: 0, evidence })
  }
}
