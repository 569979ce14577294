/**
 * Opens a shard again that went down for a reason that passes, with a growing pause. It is apart from
 * `instance-tree.ts`, its only importer, because no supervisor takes part: to them the shard is down
 * until it is opened from outside, as `control.reopen` does.
 */
import { passes, type ShardCore } from '../../actors/index.ts'
import { backoffMs, type Cancel, type Pauses } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'

const pauses: Pauses = { baseMs: 1_000, maxMs: 60_000, jitter: 0.5 }

/**
 * Watches a shard. `open` opens it, and rejects if it is down again. Each change of its phase ends
 * the pause: `control.reopen` may have opened it, or the instance has closed.
 */
export const reopenByItself = (
  { clock, logger }: System,
  shard: ShardCore,
  open: () => Promise<unknown>,
): void => {
  let cancel: Cancel | undefined
  shard.onPhase(() => {
    const { phase, index } = shard
    cancel?.()
    cancel = undefined
    const now = clock.monotonic()
    const { since = now, tries = 0 } = shard.reopening ?? {}
    if (phase.kind === 'open' && shard.reopening) {
      const ms = Math.round(now - since)
      logger.info(`shard ${index} is open again, after ${ms} ms`, { shard: index, ms, tries })
    }
    if (phase.kind === 'down' && passes(phase.reason) && !shard.closing) {
      const pauseMs = backoffMs(pauses, tries + 1, clock.random())
      shard.reopening = { since, tries, at: now + pauseMs }
      if (tries === 0)
        logger.warn(
          `shard ${index} opens by itself when this has passed: ${reasonText(phase.reason)}`,
          { shard: index },
        )
      const attempt = (): void => {
        if (shard.closing) return
        shard.reopening = { since, tries: tries + 1, at: now + pauseMs }
        open().catch(() => undefined)
      }
      cancel = clock.after(pauseMs, attempt, { holdsProcess: false })
    } else if (phase.kind !== 'recovering') shard.reopening = undefined
  })
}
