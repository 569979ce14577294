/** Reads verified frames out of the groups of a shared log. */
import { KeelsonError } from '../../errors.ts'
import {
  type EngineGroup,
  type EngineLog,
  frameTypes,
  isSamePosition,
  type ReadAnswer,
  type ReadFrame,
} from '../../storage/index.ts'
import type { EngineCalls } from './engine-calls.ts'
import { damagedGroup, decodeGroup, type GroupFrames } from './group-frames.ts'

/** A log whose groups are read. */
export type ReadLog = {
  readonly log: EngineLog
  readonly calls: EngineCalls
  readonly logId: string
  /** The frames up to here were trimmed by the owner that reads. */
  readonly trimmedLsn?: () => number
}

/** A verified group. */
export type ReadGroup = { readonly group: EngineGroup; readonly content: GroupFrames }

/**
 * Groups with LSNs from `from` on, in order and without a gap, at least one: the caller knows that
 * it is there. Until the engine shows it there is no answer.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; the end of the calls, `FENCED` if another
 * owner has trimmed them; `BAD_CURSOR` if this one has
 */
export const readGroups = async (
  { log, calls, logId, trimmedLsn = () => 0 }: ReadLog,
  from: number,
  maxBytes: number,
): Promise<readonly ReadGroup[]> => {
  const read = async (): Promise<readonly EngineGroup[]> => {
    const reading = await log.read(from - 1, maxBytes)
    if (reading.groups.length > 0) return reading.groups
    throw new KeelsonError('UNKNOWN_OUTCOME', `the engine does not show lsn ${from}`)
  }
  const groups = await calls.asOwner(read, () => trimmedLsn() >= from)
  let before: EngineGroup | undefined
  return groups.map((group) => {
    const follows = before ? isSamePosition(group.after, before.end) : group.after.lsn < from
    if (!follows) throw damagedGroup(group.end, 'the group before it is missing')
    before = group
    return { group, content: decodeGroup(logId, group) }
  })
}

/** The group that has `lsn`. @throws KeelsonError as `readGroups` */
export const readGroupAt = async (from: ReadLog, lsn: number): Promise<ReadGroup> =>
  (await readGroups(from, lsn, 1))[0] as ReadGroup

/**
 * The frames from `from` up to `to`, as `LogProtocol.read` answers them. `to` is acknowledged.
 * @throws KeelsonError as `readGroups`
 */
export const readFrames = async (
  log: ReadLog,
  from: number,
  to: number,
  maxBytes: number,
): Promise<Omit<ReadAnswer, 'durableLsn'>> => {
  for (let next = from; next <= to; ) {
    const answer = framesOf(await readGroups(log, next, maxBytes), next, to, maxBytes)
    if (answer.frames.length > 0) return answer
    next = answer.next
  }
  return { frames: [], bytes: new Uint8Array(0), next: Math.max(from, to + 1) }
}

/** The frames of some groups: at least one if there is any, then up to `maxBytes`. */
const framesOf = (
  groups: readonly ReadGroup[],
  from: number,
  to: number,
  maxBytes: number,
): Omit<ReadAnswer, 'durableLsn'> => {
  const frames: ReadFrame[] = []
  const parts: Uint8Array[] = []
  let size = 0
  let next = from
  for (const { group, content } of groups) {
    for (const [index, { lsn, at, length }] of content.frames.entries()) {
      if (lsn < from || lsn > to) continue
      if (frames.length > 0 && size + length > maxBytes)
        return { frames, bytes: Buffer.concat(parts), next: lsn }
      const { data: type } = frameTypes
      const startsGroup = index === 0
      frames.push({ lsn, type, time: content.time, startsGroup, offset: size, length })
      parts.push(group.bytes.subarray(at, at + length))
      size += length
    }
    next = Math.min(group.end.lsn, to) + 1
  }
  return { frames, bytes: Buffer.concat(parts), next }
}
