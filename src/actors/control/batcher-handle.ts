/** `app.batcher`: the windows of an instance, looked at and changed while it runs. */
import { invalidArgument } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import { checkOptionNames } from '../shard/argument-check.ts'
import type { Shard } from '../shard/shard.ts'
import type { WriteWindows } from '../shard/write-windows.ts'
import { flushWindows } from './write-pause.ts'

/** Windows of one instance. They are as its options say when it starts, and hold for all its shards. */
export class BatcherHandle {
  readonly #system: System
  readonly #shards: readonly Shard[]
  readonly #windows: WriteWindows
  readonly #deadlineMs: number

  constructor(system: System, shards: readonly Shard[], windows: WriteWindows, deadlineMs: number) {
    this.#system = system
    this.#shards = shards
    this.#windows = windows
    this.#deadlineMs = deadlineMs
  }

  /** The window of each namespace that has one, in ms. */
  windows(): Readonly<Record<string, number>> {
    return this.#windows.all()
  }

  /**
   * Lets the writes of a namespace wait up to `ms` for each other, 1 to 10,000; 0: no longer. From the next write on.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  setWindow(namespace: string, ms: number): void {
    this.#windows.set(namespace, ms)
  }

  /**
   * Sends what waits in windows; resolves when all of it, and what was on its way, has settled. What comes meanwhile is not waited for.
   * @throws KeelsonError `TIMEOUT` after `timeoutMs`, the instance's `deadlineMs` by default
   */
  async flush(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkOptionNames(options, ['timeoutMs'])
    const { timeoutMs = this.#deadlineMs } = options
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0))
      throw invalidArgument('timeoutMs', 'a number above 0', timeoutMs)
    await Promise.all(this.#shards.map((shard) => flushWindows(this.#system, shard, timeoutMs)))
  }
}
