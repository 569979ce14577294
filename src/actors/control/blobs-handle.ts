/**
 * `app.blobs`: large values of commands before their write, for bridges and tools that have commands
 * as data. `app.store` and `app.batcher` prepare what they write themselves.
 */

import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import type { System } from '../../runtime/index.ts'
import type { Command } from '../../storage/index.ts'
import { sideChannelCandidate } from '../blobs/blob-command.ts'
import type { Access } from '../core/access.ts'
import { checkHere } from '../core/at-owner.ts'
import { shardAt } from '../core/shard-core.ts'
import { prepareAt } from '../writing/command-writes.ts'
import type { PreparedCommand } from '../writing/prepared-command.ts'
import type { ControlShard } from './control-shard.ts'

/** How a command waits at the gate while it is prepared. */
export type PrepareOptions = {
  /** The instance's `deadlineMs` by default. */
  readonly deadlineMs?: number
  /** `wait` by default. */
  readonly whenFull?: 'wait' | 'refuse'
}

/** The large values of an instance. */
export class BlobsHandle {
  readonly #system: System
  readonly #shards: readonly ControlShard[]
  readonly #access: Access

  /** @internal */
  constructor(system: System, shards: readonly ControlShard[], access: Access) {
    this.#system = system
    this.#shards = shards
    this.#access = access
  }

  /**
   * Whether a value of the command would become a blob. It is cheap: it looks at the sizes of values
   * and does not check the command.
   * @throws KeelsonError `INVALID_ARGUMENT` if the values cannot be read; `CLOSED`
   */
  sideChannelCandidate(command: Command): boolean {
    this.#access.check()
    const [first] = this.#shards
    try {
      return first !== undefined && sideChannelCandidate(command, first.blobs.parts.terms)
    } catch {
      throw invalidArgument('command', 'a command with its values', command)
    }
  }

  /**
   * Checks and copies a command, and makes its large values durable: one write and one sync for all
   * of them. The prepared command that it resolves with is written by `app.batcher.write` or
   * `writeBatch`, or given up by `release`. If it is neither, its blobs are orphans after
   * `blobs.graceMs`, which a sweep frees.
   * @throws KeelsonError `BUSY`, `NO_SPACE`, `NOT_SUBMITTED`, `SHARD_DOWN`, `ELSEWHERE`, `CLOSED`,
   * `TOO_LARGE`, `INVALID_ARGUMENT`, `CROSS_SHARD`: nothing refers to what was written
   */
  async prepare(
    shard: number,
    command: Command,
    options: PrepareOptions = noOptions,
  ): Promise<PreparedCommand> {
    this.#access.check()
    const here = shardAt(this.#shards, shard)
    checkHere(here, 'blobs.prepare')
    return prepareAt(this.#system, here, command, options)
  }
}
