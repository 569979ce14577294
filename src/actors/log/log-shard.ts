/** The part of a shard that outlives the actors of its log. */
import type { Clock } from '../../clock.ts'
import type { KeelsonError } from '../../errors.ts'
import type { Logger } from '../../runtime/index.ts'
import { isError, readError } from '../../thrown.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { Appends } from './appends.ts'
import type { ShardFiles } from './shard-files.ts'

/** A shard as its log's actors have it. */
export type LogShard = ShardCore & {
  readonly files: ShardFiles
  /** Writes on their way into the log. */
  readonly appends: Appends
  /** They learn which writes the log takes and refuses. */
  readonly snapshots: { refused(refusal: KeelsonError | undefined, rolled?: boolean): void }
  readonly engine: EngineWatch
}

/**
 * Whether the engine of a shard's log answers. An absence is two lines of the log, however many
 * writers end in it.
 */
export class EngineWatch {
  readonly #parts: { readonly index: number; readonly clock: Clock; readonly logger: Logger }
  #awaySince: number | undefined

  constructor(parts: { readonly index: number; readonly clock: Clock; readonly logger: Logger }) {
    this.#parts = parts
  }

  /** A writer ends because the engine does not answer. */
  isAway(error: Error): void {
    if (this.#awaySince !== undefined) return
    const { index, clock, logger } = this.#parts
    this.#awaySince = clock.monotonic()
    const { message, cause } = readError(error)
    const why = isError(cause) ? `${message}: ${readError(cause).message}` : message
    logger.warn(`shard ${index} waits for its engine: ${why}`, { shard: index })
  }

  /** A writer has opened the log. */
  isBack(): void {
    if (this.#awaySince === undefined) return
    const { index, clock, logger } = this.#parts
    const ms = Math.round(clock.monotonic() - this.#awaySince)
    this.#awaySince = undefined
    logger.info(`shard ${index} has its engine again, after ${ms} ms`, { shard: index, ms })
  }
}
