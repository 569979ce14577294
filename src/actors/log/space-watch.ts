/**
 * Space on the disk of a shard: whether its log refuses writes because there is none, how much is
 * free, and how much a start and a running shard need.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import type { Logger } from '../../runtime/index.ts'
import { failureSort } from '../../storage/index.ts'

/** Space for a shard, in bytes. */
export type SpaceHealth = {
  /** The free bytes on the disk of its log; `undefined` if the disk does not say. */
  readonly freeBytes: number | undefined
  /**
   * The bytes that should be free for a start, and for a running shard until its next snapshot: two
   * segments of the log and a snapshot as large as the last one. A log in an engine has no segments.
   */
  readonly neededBytes: number
  /** Set while writes are refused, because the disk is full, takes no writes or fails. */
  readonly refusing:
    | {
        /** In ms since 1970. */
        readonly since: number
        /** How many groups of writes were refused. */
        readonly groups: number
        readonly reason: string
      }
    | undefined
}

/** The parts of a shard that know its space. */
type SpaceParts = {
  readonly index: number
  readonly clock: Clock
  readonly logger: Logger
  readonly segmentBytes: number
  /** @throws if the disk does not say */
  free(): number
  /** Of the last snapshot. */
  snapshotBytes(): number
}

/** The space of one shard. */
export class SpaceWatch {
  /** How many groups of writes were refused so far, by code. */
  readonly refused = { NO_SPACE: 0, READ_ONLY: 0, SHARD_DOWN: 0 }
  readonly #parts: SpaceParts
  #refusing: SpaceHealth['refusing'] = undefined
  /** The last refusal while writes are refused: whether it was for want of room, and when it was. */
  #last: { isFull: boolean; at: number; free?: number | undefined } = { isFull: false, at: 0 }

  constructor(parts: SpaceParts) {
    this.#parts = parts
  }

  get health(): SpaceHealth {
    const freeBytes = this.#free
    const neededBytes = this.#needed
    this.#looked(freeBytes)
    return { freeBytes, neededBytes, refusing: this.#refusing }
  }

  get #needed(): number {
    const { segmentBytes } = this.#parts
    return 2 * segmentBytes + this.#parts.snapshotBytes()
  }

  get #free(): number | undefined {
    try {
      return this.#parts.free()
    } catch {
      return undefined
    }
  }

  /**
   * The log has taken a group of writes, or the log or the blobs refused it before a byte of it
   * counted. `rolled`: the log began a segment for it.
   */
  noted(refusal: KeelsonError | undefined, rolled = false): void {
    const code = refusal && diskCode(refusal)
    if (refusal && code) {
      this.refused[code]++
      this.#refused(refusal)
    } else if (this.#refusing !== undefined && refusal === undefined) this.#took(rolled)
  }

  #refused(refusal: KeelsonError): void {
    const { index, clock, logger } = this.#parts
    const { since, groups } = this.#refusing ?? { since: clock.now(), groups: 0 }
    const reason = reasonText(refusal)
    this.#refusing = { since, groups: groups + 1, reason }
    // Free space does not help a file that may not be larger.
    const isFull = refusal.code === 'NO_SPACE' && refusal.details.errno !== 'EFBIG'
    const [freeBytes, neededBytes] = [this.#free, this.#needed]
    this.#last = { isFull, at: clock.monotonic(), free: freeBytes }
    if (groups > 0) return
    const room = `${mebibytes(freeBytes)} free, ${mebibytes(neededBytes)} are needed`
    const why = isFull
      ? `its disk has no space (${room})`
      : failureSort(refusal) === 'final'
        ? 'its disk fails'
        : 'its disk takes none at present'
    logger.error(`shard ${index} refuses writes, ${why}: ${reason}`, {
      shard: index,
      freeBytes,
      neededBytes,
      reason: refusal,
    })
  }

  /**
   * A small write may still fit into the last segment: that is no space, and no sound disk. It is
   * one if it took a segment, or nothing was refused for a while.
   */
  #took(rolled: boolean): void {
    const { clock, segmentBytes } = this.#parts
    const { isFull, at } = this.#last
    const takes = isFull
      ? (this.#free ?? segmentBytes) >= segmentBytes
      : rolled || clock.monotonic() - at >= quietMs
    if (takes) this.#ended('takes writes again')
  }

  /**
   * A disk that was too full and now has what the shard needs is full no more, though nobody has
   * written since. A quota, or a disk without inodes, refuses while bytes are free: a write ends that.
   */
  #looked(free: number | undefined): void {
    const { isFull, free: before } = this.#last
    if (this.#refusing === undefined || !isFull || free === undefined || before === undefined)
      return
    const needed = this.#needed
    if (before < needed && free >= needed) this.#ended('has space for writes again')
  }

  #ended(what: string): void {
    const { index, clock, logger } = this.#parts
    const { since = 0, groups } = this.#refusing ?? {}
    this.#refusing = undefined
    const ms = clock.now() - since
    logger.info(`shard ${index} ${what}, after ${ms} ms`, { shard: index, groups, ms })
  }
}

/** How long no write is refused until a disk that failed counts as sound, in ms. */
const quietMs = 60_000

/** The code of a refusal by the disk; `undefined` for another refusal. */
const diskCode = ({ code, details }: KeelsonError): keyof SpaceWatch['refused'] | undefined => {
  if (code === 'NO_SPACE' || code === 'READ_ONLY') return code
  return code === 'SHARD_DOWN' && details.reason === 'disk' ? code : undefined
}

const mebibytes = (bytes: number | undefined): string =>
  bytes === undefined ? 'unknown' : `${Math.ceil(bytes / 2 ** 20)} MiB`

/** The refusal of a start for want of space, with what is free and what it needs. */
export const withSpace = (
  error: KeelsonError,
  room: Pick<SpaceHealth, 'freeBytes' | 'neededBytes'>,
): KeelsonError => {
  const { message, details } = error
  const text = `a start needs ${mebibytes(room.neededBytes)}, free: ${mebibytes(room.freeBytes)}`
  return new KeelsonError('NO_SPACE', `${message} (${text})`, {
    details: { ...details, ...room },
    cause: error,
  })
}
