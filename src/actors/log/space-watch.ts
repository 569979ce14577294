/**
 * Space on the disk of a shard: whether its log refuses writes because there is none, how much is
 * free, and how much a start and a running shard need.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import type { Logger } from '../../runtime/index.ts'

/** Space for a shard, in bytes. */
export type SpaceHealth = {
  /** The free bytes on the disk of its log; `undefined` if the disk does not say. */
  readonly freeBytes: number | undefined
  /**
   * The bytes that should be free for a start, and for a running shard until its next snapshot: two
   * segments of the log and a snapshot as large as the last one. A log in an engine has no segments.
   */
  readonly neededBytes: number
  /** Set while the log refuses writes, because the disk is full or takes no writes. */
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
  readonly refused = { NO_SPACE: 0, READ_ONLY: 0 }
  readonly #parts: SpaceParts
  #refusing: SpaceHealth['refusing'] = undefined

  constructor(parts: SpaceParts) {
    this.#parts = parts
  }

  get health(): SpaceHealth {
    const { segmentBytes } = this.#parts
    const neededBytes = 2 * segmentBytes + this.#parts.snapshotBytes()
    return { freeBytes: this.#free, neededBytes, refusing: this.#refusing }
  }

  get #free(): number | undefined {
    try {
      return this.#parts.free()
    } catch {
      return undefined
    }
  }

  /** The log has taken a group of writes, or refused it before it wrote a byte. */
  noted(refusal: KeelsonError | undefined): void {
    if (refusal?.code === 'NO_SPACE' || refusal?.code === 'READ_ONLY') {
      this.refused[refusal.code]++
      this.#refused(refusal)
    } else if (this.#refusing !== undefined && refusal === undefined) this.#took()
  }

  #refused(refusal: KeelsonError): void {
    const { index, clock, logger } = this.#parts
    const { since, groups } = this.#refusing ?? { since: clock.now(), groups: 0 }
    const reason = reasonText(refusal)
    this.#refusing = { since, groups: groups + 1, reason }
    if (groups > 0) return
    const { freeBytes, neededBytes } = this.health
    const room = `${mebibytes(freeBytes)} free, ${mebibytes(neededBytes)} are needed`
    logger.error(`shard ${index} refuses writes, its disk has no space (${room}): ${reason}`, {
      ...{ shard: index, freeBytes, neededBytes, reason: refusal },
    })
  }

  /** A small write may still fit into the last segment: that is no space. */
  #took(): void {
    const { index, clock, logger, segmentBytes } = this.#parts
    if ((this.#free ?? segmentBytes) < segmentBytes) return
    const { since = 0, groups } = this.#refusing ?? {}
    this.#refusing = undefined
    const ms = clock.now() - since
    logger.info(`shard ${index} takes writes again, after ${ms} ms`, { shard: index, groups, ms })
  }
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
