/**
 * Whether an instance is ready: every shard is open or down, and the user's tree runs. It outlives
 * restarts of shards and tree, so that a caller can wait for their end.
 */

import { KeelsonError } from '../../errors.ts'
import type { Ref, System } from '../../runtime/index.ts'
import type { Shard } from './shard.ts'

/** The result of `ready`: the shards that are down, with their reasons in `health()`. */
export type Ready = { readonly down: readonly number[] }

/** The readiness of one instance. */
export class Readiness {
  readonly #system: System
  readonly #shards: readonly Shard[]
  #treeRuns: boolean
  #hasEnded = false
  readonly #changed: (() => void)[] = []

  /** Without a tree of the user only the shards count. */
  constructor(system: System, shards: readonly Shard[], hasTree: boolean) {
    this.#system = system
    this.#shards = shards
    this.#treeRuns = !hasTree
  }

  /** The user's tree has started; `root` is its root supervisor. */
  treeStarted(root: Ref): void {
    this.#treeRuns = true
    this.#system.monitor(root, () => {
      this.#treeRuns = false
    })
    this.#notify()
  }

  /** The instance ends. Waits are rejected. */
  end(): void {
    this.#hasEnded = true
    this.#notify()
  }

  /** The user's tree is not there yet, or is not there again. */
  get isTreeStarting(): boolean {
    return !this.#treeRuns && !this.#hasEnded
  }

  /**
   * `ready`: the user's tree runs, and a shard is open, or is at another member and none is down here. So a
   * member stays ready while it opens the first shard that comes to it.
   */
  get state(): 'starting' | 'ready' | 'down' | 'closing' {
    if (this.#hasEnded) return 'closing'
    const isDown = this.#in('down').length > 0
    const isOfOthers = this.#in('elsewhere').length > 0 && !isDown
    if (this.#in('open').length > 0 || isOfOthers) return this.#treeRuns ? 'ready' : 'starting'
    return this.#in('recovering').length > 0 ? 'starting' : 'down'
  }

  /**
   * Resolves when all is ready at one moment.
   * @throws KeelsonError `CLOSED` when the instance ends before; `TIMEOUT`
   */
  async wait(timeoutMs: number): Promise<Ready> {
    let cancel = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      cancel = this.#system.clock.after(timeoutMs, () => reject(notReady(this.#lack(), timeoutMs)))
    })
    try {
      return await Promise.race([this.#reached(), late])
    } finally {
      cancel()
    }
  }

  async #reached(): Promise<Ready> {
    for (;;) {
      const phases = await Promise.all(this.#shards.map((shard) => shard.settled()))
      if (this.#hasEnded || phases.some(({ kind }) => kind === 'closed'))
        throw new KeelsonError('CLOSED', 'the instance is closed, or closing')
      if (!this.#treeRuns) await new Promise<void>((resolve) => this.#changed.push(resolve))
      else if (this.#lack().length === 0) return { down: this.#in('down') }
    }
  }

  /** The parts that are not ready, in words. */
  #lack(): string[] {
    const shards = this.#in('recovering').map((index) => `shard ${index}`)
    return this.#treeRuns ? shards : [...shards, "the user's tree"]
  }

  #in(kind: Shard['phase']['kind']): number[] {
    return this.#shards.filter(({ phase }) => phase.kind === kind).map(({ index }) => index)
  }

  #notify(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

const notReady = (lack: readonly string[], timeoutMs: number): KeelsonError =>
  new KeelsonError('TIMEOUT', `not ready within ${timeoutMs} ms: ${lack.join(', ')}`, {
    details: { timeoutMs, lack },
  })
