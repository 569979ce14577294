/** What was published about the chain of commitments of a log: every later chain must continue it. */

import { readChain } from '../../../src/storage/examination/chain-reading.ts'
import type { Log } from '../../../src/storage/log/log.ts'
import type { CommitmentHead } from '../../../src/storage/ports/log-host.ts'
import { verifyLog } from '../verify-log.ts'
import { dir, type LogWorld } from '../worlds/logs.ts'

/** The heads that were durable when the log gave them out. */
export class HistoryModel {
  readonly #world: LogWorld
  #promised: CommitmentHead[] = []

  constructor(world: LogWorld) {
    this.#world = world
  }

  /** Notes the present head, which is durable. */
  promise(log: Log): void {
    const head = log.handle('head', null)
    if (head) this.#promised.push(head)
  }

  /** Checks the chain of a log that was just opened. @throws Error when a promise is broken */
  opened(log: Log): void {
    const head = log.handle('head', null)
    const last = this.#promised.at(-1)
    if (!head) {
      if (last) throw new Error(`the chain of ${last.size} headers is gone`)
      return
    }
    const { verdict, damage, commitments } = verifyLog(this.#world.disk, dir, { isLive: true })
    if (verdict !== 'clean') throw new Error(`the chain is damaged: ${damage[0]?.evidence}`)
    if (commitments?.root !== head.root) throw new Error('the files have another root')
    const reader = readChain(this.#world.disk, dir)
    for (const { size, root } of this.#promised)
      if (reader.rootAt(size) !== root) throw new Error(`the first ${size} headers are others`)
    reader.close()
    this.#promised = this.#promised.slice(-5)
  }
}
