/**
 * Answers of a log, in the form in which they cross threads. Structured clone costs something for
 * each object and each number. So the LSNs of a commit cross as runs, and the frames of a reading
 * as one array of numbers. Pure.
 */
import type {
  Commit,
  LogProtocol,
  LogRequestKind,
  ReadAnswer,
  ReadFrame,
} from '../ports/log-host.ts'

type AnyAnswer = LogProtocol[LogRequestKind]['answer']

/** The parts of a commit that cross unchanged. */
type CommitFacts = Omit<Commit, 'lsns' | 'spent' | 'refused'>
/** A commit as runs of LSNs. */
export type PackedCommit = Omit<Commit, 'lsns' | 'spent'> & {
  /** First LSN and count of each run. */
  readonly runs: readonly number[]
  /** The commit's `spent`. The field `bytes` of an answer is transferred. */
  readonly bytes?: Uint8Array
}
type PackedRead = Omit<ReadAnswer, 'frames'> & {
  /** The numbers of each frame, one frame after another. */
  readonly columns: Float64Array
}

/** An answer that can cross threads. */
export type PackedAnswer = Exclude<AnyAnswer, Commit | ReadAnswer> | PackedCommit | PackedRead

/** Numbers of one frame. */
const columnCount = 6

/** Packs an answer. */
export const packed = (answer: AnyAnswer): PackedAnswer => {
  if (!answer) return answer
  if ('lsns' in answer) return packedCommit(answer)
  return 'frames' in answer ? packedRead(answer) : answer
}

/** Restores an answer that was packed. */
export const unpacked = (answer: PackedAnswer): AnyAnswer => {
  if (!answer) return answer
  if ('runs' in answer) return unpackedCommit(answer)
  return 'columns' in answer ? unpackedRead(answer) : answer
}

// Spreads come last. V8 makes a new shape for each literal that begins with a spread (2 µs instead
// of 0.2). It keeps the shape until the old generation is collected.
const packedCommit = (commit: Commit): PackedCommit => ({
  runs: runsOf(commit.lsns),
  ...factsOf(commit),
  ...(commit.refused && { refused: commit.refused }),
  ...(commit.spent && { bytes: commit.spent }),
})

const unpackedCommit = (commit: PackedCommit): Commit => ({
  lsns: lsnsOf(commit.runs),
  ...factsOf(commit),
  ...(commit.refused && { refused: commit.refused }),
  ...(commit.bytes && { spent: commit.bytes }),
})

const factsOf = (commit: CommitFacts): CommitFacts => ({
  firstLsn: commit.firstLsn,
  count: commit.count,
  time: commit.time,
  durableLsn: commit.durableLsn,
  syncMs: commit.syncMs,
  bytesWritten: commit.bytesWritten,
  rolled: commit.rolled,
})

const runsOf = (lsns: readonly number[]): number[] => {
  const runs: number[] = []
  for (let at = 0; at < lsns.length; ) {
    const first = lsns[at] ?? 0
    let count = 1
    while (lsns[at + count] === first + count) count++
    runs.push(first, count)
    at += count
  }
  return runs
}

const lsnsOf = (runs: readonly number[]): number[] => {
  const lsns: number[] = []
  for (let at = 0; at < runs.length; at += 2) {
    const first = runs[at] ?? 0
    const end = first + (runs[at + 1] ?? 0)
    for (let lsn = first; lsn < end; lsn++) lsns.push(lsn)
  }
  return lsns
}

const packedRead = ({ frames, ...read }: ReadAnswer): PackedRead => {
  const columns = new Float64Array(columnCount * frames.length)
  let at = 0
  for (const { lsn, type, time, startsGroup, offset, length } of frames) {
    columns[at] = lsn
    columns[at + 1] = type
    columns[at + 2] = time
    columns[at + 3] = offset
    columns[at + 4] = length
    columns[at + 5] = Number(startsGroup)
    at += columnCount
  }
  return { ...read, columns }
}

const unpackedRead = ({ columns, ...read }: PackedRead): ReadAnswer => {
  const frames: ReadFrame[] = []
  for (let at = 0; at < columns.length; at += columnCount)
    frames.push({
      lsn: columns[at] ?? 0,
      type: columns[at + 1] ?? 0,
      time: columns[at + 2] ?? 0,
      startsGroup: columns[at + 5] === 1,
      offset: columns[at + 3] ?? 0,
      length: columns[at + 4] ?? 0,
    })
  return { ...read, frames }
}
