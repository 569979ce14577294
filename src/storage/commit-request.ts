/** What a commit may ask for. Pure: a request is refused here, before any byte is written. */
import { KeelsonError } from '../errors.ts'
import { stampBytes } from './control-payload.ts'
import type { Commit, CommitRequest } from './log-host.ts'

/**
 * Refuses payloads that no segment takes, and numbers that the log does not have any more.
 * @throws KeelsonError `TOO_LARGE` for one beyond `payloadMax`; `NO_SPACE` with the reason `lsn` when the log, at
 * `lastLsn`, is about to run out of numbers.
 */
export const refuseLengths = (
  lengths: ArrayLike<number>,
  payloadMax: number,
  lastLsn: number,
): void => {
  for (let at = 0; at < lengths.length; at++) {
    const size = lengths[at] ?? 0
    if (size > payloadMax)
      throw new KeelsonError('TOO_LARGE', `A frame holds at most ${payloadMax} bytes`, {
        details: { limit: payloadMax, size },
      })
  }
  // Each frame may cause a roll, which takes two numbers, and closing takes two more.
  if (lastLsn + 3 * lengths.length + 2 > Number.MAX_SAFE_INTEGER)
    throw new KeelsonError('NO_SPACE', 'The log has used up its numbers', {
      details: { reason: 'lsn', lastLsn },
    })
}

/**
 * Where each frame begins in the request's bytes.
 * @throws KeelsonError `INVALID_ARGUMENT` for what does not add up, and as `refuseLengths`.
 */
export const frameOffsets = (
  { bytes, lengths, now }: CommitRequest,
  payloadMax: number,
  lastLsn: number,
): number[] => {
  refuseLengths(lengths, payloadMax, lastLsn)
  const offsets: number[] = []
  let offset = 0
  for (let at = 0; at < lengths.length; at++) {
    const length = lengths[at] ?? 0
    if (!(length >= stampBytes)) throw invalid('a frame is shorter than its stamp')
    offsets.push(offset)
    offset += length
  }
  if (offset !== bytes.length) throw invalid('the lengths do not add up to the bytes')
  if (!Number.isSafeInteger(now) || now < 0) throw invalid('the time is not in whole ms')
  return offsets
}

/** Smaller memory is taken anew for less than the work of giving it back. */
const returnedFrom = 64 * 1024

/** A request's memory, as part of the answer, where it is worth it: the pages of a large one would all be taken anew. */
export const givenBack = ({ bytes, isGiven }: CommitRequest): Pick<Commit, 'spent'> =>
  isGiven === true && bytes.buffer.byteLength >= returnedFrom ? { spent: bytes } : {}

const invalid = (what: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `A commit is refused: ${what}`)
