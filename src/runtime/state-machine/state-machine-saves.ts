/**
 * The pending saves of the machines of one server. The promise of a killed process's `save` may
 * still be pending when its successor starts. The successor waits for it: else the older state
 * could be written over a newer one.
 */
import type { Process } from '../process/process.ts'

/** The part of a context that identifies the processes of one machine. */
interface Starter {
  readonly system: unknown
  readonly name: string | undefined
}

interface PendingSave {
  readonly process: Process
  readonly system: unknown
  readonly key: unknown
  readonly settled: Promise<unknown>
}

/** The pending saves. */
export class PendingSaves {
  readonly #pending = new Set<PendingSave>()

  /** Resolves or rejects as `saving` does. */
  async add(
    process: Process,
    from: Starter,
    input: unknown,
    saving: PromiseLike<unknown>,
  ): Promise<void> {
    const settled = Promise.resolve(saving)
    const pending = { process, system: from.system, key: keyOf(from, input), settled }
    this.#pending.add(pending)
    try {
      await settled
    } finally {
      this.#pending.delete(pending)
    }
  }

  /** Waits for the saves of processes that have ended, and that the one of `from` succeeds. */
  async settled(from: Starter, input: unknown): Promise<void> {
    const key = keyOf(from, input)
    const earlier = [...this.#pending].filter(
      (save) => !save.process.alive && save.system === from.system && Object.is(save.key, key),
    )
    await Promise.allSettled(earlier.map(({ settled }) => settled))
  }
}

/** A successor has the name of its predecessor, or its input: its supervisor gives it the same. */
const keyOf = ({ name }: Starter, input: unknown): unknown => name ?? input
