/** `app.wal(shard)`: the log of one shard, to inspect and sync it. */
import { isKeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import type { CommitmentHead } from '../../storage/index.ts'
import * as WalWriter from '../log/wal-writer.ts'
import type { Access } from '../shard/access.ts'
import type { Shard } from '../shard/shard.ts'

/** The log of one shard. */
export class WalHandle {
  readonly #system: System
  readonly #shard: Shard
  readonly #access: Access

  constructor(system: System, shard: Shard, access: Access) {
    this.#system = system
    this.#shard = shard
    this.#access = access
  }

  /**
   * The position of readers: every frame up to `lsn` is applied, and up to `projectedLsn`
   * projected.
   * @throws KeelsonError `CLOSED`
   */
  get position(): { readonly shard: number; readonly lsn: number; readonly projectedLsn: number } {
    this.#access.check()
    const { index, appliedLsn, projectedLsn } = this.#shard
    return { shard: index, lsn: appliedLsn, projectedLsn }
  }

  /**
   * Describes the writer and its log: LSNs, segments, recovery, durability.
   * @throws KeelsonError `NO_PROCESS`, `EXITED`, `TIMEOUT` of a shard that is not open; `CLOSED`
   */
  async describe(): Promise<WalWriter.LogWriterDescription> {
    return WalWriter.describe(this.#writer)
  }

  /**
   * Makes every committed frame durable; resolves with the durable LSN. It matters only with
   * `wal.syncInterval`.
   * @throws KeelsonError as `describe` does; `SHARD_DOWN`
   */
  async sync(): Promise<number> {
    return WalWriter.sync(this.#writer)
  }

  /**
   * Makes every committed frame durable, and resolves with the end of the chain of commitments: the
   * number of headers, the root over them, and the last one's hash, LSN and time. Publish it, or
   * give it to an auditor. `undefined` if the log has no commitment.
   * @throws KeelsonError as `describe` does; `SHARD_DOWN`
   */
  async commitment(): Promise<CommitmentHead | undefined> {
    await WalWriter.sync(this.#writer)
    try {
      return (await this.#shard.files.log().run('head', null)) ?? undefined
    } catch (error) {
      // A sync that failed is final for the log: its writer must hear of it.
      if (isKeelsonError(error, 'SHARD_DOWN'))
        await WalWriter.sync(this.#writer).catch(() => undefined)
      throw error
    }
  }

  get #writer() {
    this.#access.check()
    const { instance, index } = this.#shard.parts
    return this.#system.to(WalWriter.name(instance, index))
  }
}
