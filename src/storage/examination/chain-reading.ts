/**
 * Reads the chain of commitments of a log without opening it, and makes proofs. It works on a copy,
 * and beside the process that writes the log. Changes nothing.
 */
import { KeelsonError, keptError } from '../../errors.ts'
import { ChainFiles, commitmentsFolder } from '../commitments/chain-files.ts'
import { grown } from '../commitments/commitment-chain.ts'
import { decodeHeader, type ReadHeader } from '../commitments/commitment-header.ts'
import type { Digest } from '../commitments/digests.ts'
import {
  type ChainEnd,
  type ChainRun,
  endOf,
  type FoundChain,
  findChain,
  type WalkedFrame,
} from '../commitments/found-chain.ts'
import {
  type Block,
  blocksAround,
  blocksBetween,
  Mountains,
  nodeCount,
  positionOf,
} from '../commitments/mountains.ts'
import { type ConsistencyProof, type RecordProof, verifyRecordProof } from '../commitments/proof.ts'
import { eachRecord, recordDigest, recordPath } from '../commitments/record-root.ts'
import { segmentRun } from '../commitments/segment-run.ts'
import { frameTypes } from '../frames/frame.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import { walkFrames } from '../frames/frame-walk.ts'
import { corruption } from '../frames/log-errors.ts'
import type { Disk } from '../ports/disk.ts'
import type { CommitmentHead } from '../ports/log-host.ts'
import { soundSurvey } from '../segments/log-survey.ts'

/** The place of a record: the LSN of its frame, and its index there. */
export type RecordName = { readonly lsn: number; readonly index: number }

/** The chain of a log that is not open here. Close it. */
export class ChainReader {
  readonly #runs: readonly ChainRun[]
  readonly #files: ChainFiles
  readonly #kept: number
  /** The headers and nodes that only frames have. */
  readonly #headers: readonly Uint8Array[]
  readonly #nodes: readonly Digest[]
  /** The end of the chain. */
  readonly head: CommitmentHead

  /** Reads this chain of the log with these runs and files, which it closes. */
  constructor(
    runs: readonly ChainRun[],
    files: ChainFiles,
    { kept, peaks, headers }: FoundChain,
    last: ChainEnd,
  ) {
    this.#runs = runs
    this.#files = files
    const { range, nodes } = grown(new Mountains('history', kept, peaks), headers)
    this.#kept = kept
    this.#headers = headers
    this.#nodes = nodes
    this.head = { size: range.size, root: range.root(), ...last }
  }

  /** The root over the first `size` headers. @throws KeelsonError `CORRUPT`, `INVALID_ARGUMENT` */
  rootAt(size: number): Digest {
    this.#refuseBeyond(size)
    return new Mountains('history', size, this.#hashes(blocksBetween(0, size))).root()
  }

  /**
   * The head of the first `size` headers, at least one.
   * @throws KeelsonError `CORRUPT`, `INVALID_ARGUMENT`
   */
  headAt(size: number): CommitmentHead {
    return { size, root: this.rootAt(size), ...endOf(this.header(size - 1)) }
  }

  /**
   * The header `seq`. @throws KeelsonError `CORRUPT`, `INVALID_ARGUMENT`
   */
  header(seq: number): ReadHeader {
    this.#refuseBeyond(seq + 1)
    const behind = this.#headers[seq - this.#kept]
    const read = behind ? decodeHeader(behind) : this.#files.header(seq)
    if (read) return read
    throw damaged(`header ${seq} is missing or damaged`)
  }

  /**
   * The proof that a record is in the history of the first `size` headers; all of them by default.
   * @throws KeelsonError `INVALID_ARGUMENT` if there is no such record, or no commitment to it, or
   * `size` does not reach it; `CORRUPT`
   */
  recordProof({ lsn, index }: RecordName, size = this.head.size): RecordProof {
    const { header, bytes } = this.#headerOver(lsn)
    this.#refuseBeyond(size)
    if (header.seq >= size)
      throw missing(`lsn ${lsn} is in group ${header.seq}, which is not among the first ${size}`)
    const { digests, found, place } = this.#recordsOf(header, { lsn, index })
    const proof: RecordProof = {
      kind: 'record',
      record: found,
      place,
      ...recordPath(digests, place),
      header: bytes,
      history: this.#hashes(blocksAround(header.seq, size)),
      head: { size, root: this.rootAt(size) },
    }
    try {
      verifyRecordProof(proof)
    } catch (cause) {
      const evidence = `the proof that it leads to does not hold (${keptError(cause).message})`
      throw damaged(evidence)
    }
    return proof
  }

  /**
   * The proof that the history of `to` headers continues that of `from`.
   * @throws KeelsonError `INVALID_ARGUMENT`; `CORRUPT`
   */
  consistencyProof(from: number, to = this.head.size): ConsistencyProof {
    this.#refuseBeyond(to)
    if (from > to) throw missing(`${from} headers are more than ${to}`)
    return {
      kind: 'consistency',
      from: { size: from, root: this.rootAt(from) },
      to: { size: to, root: this.rootAt(to) },
      blocks: this.#hashes([...blocksBetween(0, from), ...blocksBetween(from, to)]),
    }
  }

  close(): void {
    this.#files.close()
  }

  #refuseBeyond(size: number): void {
    if (Number.isSafeInteger(size) && size >= 0 && size <= this.head.size) return
    throw missing(`the chain has ${this.head.size} headers, not ${size}`)
  }

  #hashes(blocks: readonly Block[]): Digest[] {
    const own = nodeCount(this.#kept)
    return blocks.map((block) => {
      const at = positionOf(block)
      const node = at < own ? this.#files.node(at) : this.#nodes[at - own]
      if (node !== undefined) return node
      throw damaged(`node ${at} is missing`)
    })
  }

  /** The first header whose frame is not before `lsn`. */
  #headerOver(lsn: number): ReadHeader {
    let over: ReadHeader | undefined
    for (const run of this.#runs) {
      if (run.to < lsn || over) continue
      run.walk((frame) => {
        if (over || frame.type !== frameTypes.commitment || frame.lsn < lsn) return
        over = decodeHeader(frame.payload.slice())
      })
    }
    const first = this.#runs[0]?.from ?? 0
    const last = this.#runs.at(-1)?.to ?? 0
    if (lsn > last) throw missing(`there is no lsn ${lsn}: the log ends with lsn ${last}`)
    if (lsn <= first)
      throw missing(
        `lsn ${lsn} was released: the log begins with ${first + 1}; the option retention keeps more`,
      )
    if (over && over.header.firstLsn <= lsn) return over
    throw missing(
      over
        ? `lsn ${lsn} was written while commitments were off`
        : `no commitment covers lsn ${lsn}: the log has none so far`,
    )
  }

  #recordsOf({ firstLsn, lastLsn }: ReadHeader['header'], { lsn, index }: RecordName) {
    const digests: Digest[] = []
    let place = -1
    let found: RecordProof['record'] | undefined
    const add = (frame: WalkedFrame): void => {
      let at = 0
      eachRecord(frame.payload, (from, to) => {
        const record = { lsn: frame.lsn, index: at++, time: frame.time }
        if (frame.lsn === lsn && record.index === index) {
          place = digests.length
          found = { ...record, bytes: frame.payload.slice(from, to) }
        }
        digests.push(recordDigest(record, frame.payload, from, to))
      })
    }
    for (const run of this.#runs) {
      if (run.to < firstLsn || run.from >= lastLsn) continue
      run.walk((frame) => {
        const { type, lsn: at } = frame
        if (type === frameTypes.data && at >= firstLsn && at <= lastLsn) add(frame)
      })
    }
    if (found) return { digests, found, place }
    throw missing(`there is no record ${index} in lsn ${lsn}`)
  }
}

const missing = (what: string): KeelsonError => new KeelsonError('INVALID_ARGUMENT', what)

const damaged = (evidence: string): KeelsonError =>
  corruption({ file: commitmentsFolder, offset: 0, lsn: 0, evidence })

/**
 * Reads the chain of the log in the folder `dir`, which nobody opened here, up to its last valid
 * frame.
 * @throws KeelsonError `NO_SEGMENTS`; `INVALID_ARGUMENT` if the log has no commitment; `CORRUPT`;
 * DiskError
 */
export const readChain = (disk: Disk, dir: string): ChainReader => {
  const runs = runsIn(disk, dir)
  const files = new ChainFiles(disk, dir)
  try {
    const chain = findChain(runs, files, false)
    if (chain?.last) return new ChainReader(runs, files, chain, chain.last)
    throw new KeelsonError('INVALID_ARGUMENT', `the log in ${dir} has no commitments`, {
      details: { dir },
    })
  } catch (error) {
    files.close()
    throw error
  }
}

const runsIn = (disk: Disk, dir: string): ChainRun[] => {
  const segments = disk.entry(dir)?.kind === 'folder' ? soundSurvey(disk, dir).segments : []
  if (segments.length === 0)
    throw new KeelsonError('NO_SEGMENTS', `there is no log in ${dir}`, { details: { dir } })
  return segments.map(({ name, header }, index) => {
    const next = segments[index + 1]?.header.prev
    const to = next
      ? { offset: next.endOffset, lsn: next.lastLsn }
      : walkFrames(disk, dir, { name, header, from: segmentStart(header), to: {} })
    return segmentRun(disk, dir, { name, header, to })
  })
}
