/**
 * Finds the chain of a log: from its files as far as the newest segment says, and from there on in
 * the frames. The files are brought up to date before each new segment, so an opening usually reads
 * the newest one only. Changes nothing.
 */
import { frameTypes } from '../frames/frame.ts'
import { corruption } from '../frames/log-errors.ts'
import type { ChainAnchor } from '../frames/segment-header.ts'
import { type ChainFiles, commitmentsFolder } from './chain-files.ts'
import { decodeHeader, type ReadHeader } from './commitment-header.ts'
import { type Digest, noDigest } from './digests.ts'
import { blocksBetween, Mountains, positionOf } from './mountains.ts'
import { frameDigests } from './record-root.ts'

/** A frame on the way. `payload` is a view. `file` and `offset` are its place, for errors. */
export type WalkedFrame = {
  readonly type: number
  readonly lsn: number
  readonly time: number
  readonly file: string
  readonly offset: number
  readonly payload: Uint8Array
}

/**
 * The port to a log whose chain is read: the frames after LSN `from` up to `to`, wherever they are
 * kept. A log is a list of such runs, in order.
 */
export interface ChainRun {
  readonly from: number
  readonly to: number
  /** The chain as it was when the segment of these frames began; absent without one. */
  readonly anchor: ChainAnchor | undefined
  /** Whether its groups are committed to, or will be. */
  readonly commits: boolean
  /** Reads the frames, one after another. @throws KeelsonError `CORRUPT`; DiskError */
  walk(take: (frame: WalkedFrame) => void): void
}

/** The last header of a chain. */
export type ChainEnd = { readonly hash: Digest; readonly lsn: number; readonly time: number }

/** The chain of a log, as plain data. */
export type FoundChain = {
  /** The headers that the files have already, the LSN of the last, and the peaks over them. */
  readonly kept: number
  readonly keptLsn: number
  readonly peaks: readonly Digest[]
  /** The later headers, found in frames. */
  readonly headers: readonly Uint8Array[]
  /** `undefined` in an empty chain. */
  readonly last: ChainEnd | undefined
  /** The first LSN that the next header covers, and the records from there on. */
  readonly coverFrom: number
  readonly uncovered: readonly Digest[]
}

/**
 * The chain of the log with these runs and files; `undefined` if it has none and `commits` does not
 * begin one.
 * @throws KeelsonError `CORRUPT` if headers are missing or do not follow each other; DiskError
 */
export const findChain = (
  runs: readonly ChainRun[],
  files: ChainFiles,
  commits: boolean,
): FoundChain | undefined => {
  const anchor = runs.findLast((run) => run.anchor)?.anchor
  if (!anchor) return commits ? emptyChain(runs, files) : undefined
  const stored = storedChain(files, anchor) ?? rebuilt(runs, files, anchor)
  const behind = stored.last?.lsn ?? 0
  const unread = runs.findIndex((run) => run.anchor && run.to > behind)
  const found = followed(unread < 0 ? [] : runs.slice(unread), stored)
  return {
    ...stored,
    headers: [...stored.headers, ...found.headers],
    last: found.last,
    ...coverage(runs, found),
  }
}

/**
 * The empty chain of a log without an anchored segment. It begins now.
 * @throws KeelsonError `CORRUPT` if the files have a chain; DiskError
 */
const emptyChain = (runs: readonly ChainRun[], files: ChainFiles): FoundChain => {
  if (files.header(0))
    throw damage('no segment of the log names it: move the folder away, and a new chain begins')
  const none = { headers: [], last: undefined }
  const unread = { ...none, readFrom: Number.POSITIVE_INFINITY, lastData: 0 }
  return { kept: 0, keptLsn: 0, peaks: [], ...none, ...coverage(runs, unread) }
}

const damage = (evidence: string) =>
  corruption({ file: commitmentsFolder, offset: 0, lsn: 0, evidence })

type Stored = Pick<FoundChain, 'kept' | 'keptLsn' | 'peaks' | 'headers' | 'last'>

/**
 * The part of the chain up to `anchor` that the files have; `undefined` if they do not have its
 * root.
 */
const storedChain = (files: ChainFiles, { count, root }: ChainAnchor): Stored | undefined => {
  if (!files.covers(count)) return undefined
  const peaks = blocksBetween(0, count).map((block) => files.node(positionOf(block)) ?? '')
  if (new Mountains('history', count, peaks).root() !== root) return undefined
  if (count === 0) return { kept: 0, keptLsn: 0, peaks, headers: [], last: undefined }
  const last = files.header(count - 1)
  if (!last || last.hash !== files.node(positionOf({ first: count - 1, height: 0 })))
    return undefined
  const end = endOf(last)
  return { kept: count, keptLsn: end.lsn, peaks, headers: [], last: end }
}

/** The end of a chain whose last header this is. */
export const endOf = ({ hash, header }: ReadHeader): ChainEnd => ({
  hash,
  lsn: header.lastLsn,
  time: header.time,
})

/**
 * The chain up to `anchor` from the frames that are left, and from the headers of the file that are
 * sound. @throws `CORRUPT` if both lack one
 */
const rebuilt = (
  runs: readonly ChainRun[],
  files: ChainFiles,
  { count, root }: ChainAnchor,
): Stored => {
  const logged = new Map<number, ReadHeader>()
  for (const run of runs)
    run.walk(({ type, lsn, payload }) => {
      const read = type === frameTypes.commitment ? decodeHeader(payload.slice()) : undefined
      if (read?.header.lastLsn === lsn) logged.set(read.header.seq, read)
    })
  const range = new Mountains('history')
  const headers: Uint8Array[] = []
  let last: ReadHeader | undefined
  for (let seq = 0; seq < count; seq++) {
    const read = logged.get(seq) ?? files.header(seq)
    if (!read || read.header.prev !== (last?.hash ?? noDigest))
      throw damage(`header ${seq} is missing or damaged, and the log does not have it`)
    range.append(read.hash)
    headers.push(read.bytes)
    last = read
  }
  if (range.root() !== root)
    throw damage(`its ${count} headers are not those that the log was written with`)
  return { kept: 0, keptLsn: 0, peaks: [], headers, last: last && endOf(last) }
}

type Followed = Pick<FoundChain, 'headers' | 'last'> & {
  /** Frames from this LSN on were read. The last DATA frame among them. */
  readonly readFrom: number
  readonly lastData: number
}

/** The headers of the frames after the stored ones. @throws `CORRUPT` */
const followed = (
  runs: readonly ChainRun[],
  { kept, headers: before, last: end }: Stored,
): Followed => {
  const headers: Uint8Array[] = []
  let last = end
  let lastData = 0
  for (const run of runs)
    run.walk(({ type, lsn, payload, file, offset }) => {
      if (type === frameTypes.data) lastData = lsn
      if (type !== frameTypes.commitment || lsn <= (end?.lsn ?? 0)) return
      const read = decodeHeader(payload.slice())
      const seq = kept + before.length + headers.length
      const fault = linkFault(read, { seq, lsn }, last)
      if (!read || fault) throw corruption({ file, offset, lsn, evidence: fault ?? 'no header' })
      headers.push(read.bytes)
      last = endOf(read)
    })
  const readFrom = (runs[0]?.from ?? Number.POSITIVE_INFINITY) + 1
  return { headers, last, readFrom, lastData }
}

/**
 * Why a header in frame `lsn` is not the one with number `seq` after `last`; `undefined` if it is.
 */
export const linkFault = (
  read: ReadHeader | undefined,
  { seq, lsn }: { readonly seq: number; readonly lsn: number },
  last: ChainEnd | undefined,
): string | undefined => {
  if (!read) return 'the commitment is malformed'
  const { header } = read
  if (header.seq !== seq) return `it is commitment ${header.seq}, and ${seq} was to follow`
  if (header.prev !== (last?.hash ?? noDigest)) return 'it does not name the commitment before it'
  if (header.lastLsn !== lsn || header.firstLsn <= (last?.lsn ?? 0))
    return `it covers lsn ${header.firstLsn} to ${header.lastLsn}`
  return undefined
}

/**
 * The records that no header covers although their segments commit: those of a group whose header
 * was torn off. Records from a time without commitments are left out.
 */
const coverage = (
  runs: readonly ChainRun[],
  { last, readFrom, lastData }: Followed,
): Pick<FoundChain, 'coverFrom' | 'uncovered'> => {
  let coverFrom = (last?.lsn ?? 0) + 1
  for (const { commits, from, to } of runs)
    if (!commits && to > from) coverFrom = Math.max(coverFrom, to + 1)
  const uncovered: Digest[] = []
  if (readFrom > coverFrom || lastData >= coverFrom)
    for (const run of runs) {
      if (run.to < coverFrom) continue
      run.walk(({ type, lsn, time, payload }) => {
        if (type === frameTypes.data && lsn >= coverFrom)
          for (const digest of frameDigests(lsn, time, payload)) uncovered.push(digest)
      })
    }
  return { coverFrom, uncovered }
}
