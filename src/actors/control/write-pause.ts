/**
 * Pauses of writes: nothing new is let in, and what was let in has ended, so that the files of a shard stand still. A pause
 * belongs to a process or to whoever has it in hand; it ends with `resume`, with its lease, or with its owner. It stands in
 * the gates, and no actor's restart ends it.
 */
import { KeelsonError } from '../../errors.ts'
import type { Ref, System } from '../../runtime/index.ts'
import { flushed, leaveNow } from '../log/log-append.ts'
import * as WalWriter from '../log/wal-writer.ts'
import * as Applier from '../projection/applier.ts'
import type { Shard } from '../shard/shard.ts'
import { tell } from '../shard/storage-events.ts'

/**
 * Sends what waits for a window in the shard. Resolves when it, and what was on its way, has ended.
 * @throws KeelsonError `TIMEOUT`
 */
export const flushWindows = (system: System, shard: Shard, timeoutMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const cancel = system.clock.after(timeoutMs, () => reject(tooSlow(shard, timeoutMs)))
    void flushed(system, shard).then(resolve).finally(cancel)
  })

const tooSlow = ({ index }: Shard, timeoutMs: number): KeelsonError =>
  new KeelsonError('TIMEOUT', 'flush: writes that were under way have not ended in time', {
    details: { shard: index, timeoutMs },
  })

/**
 * Resolves once nothing is on its way to the shard's log, or from there to its readers, while `holder` holds the gate: windows are
 * sent, who was let in has left, the log's queue is empty, and the applier has shown it all.
 * @throws KeelsonError `TIMEOUT`; `DISCARDED` when the hold ended meanwhile; `NO_PROCESS`, `EXITED` of a shard that is not open
 */
export const drained = async (
  system: System,
  shard: Shard,
  holder: string,
  timeoutMs: number,
): Promise<void> => {
  const { instance, index } = shard.parts
  const endsAt = system.clock.monotonic() + timeoutMs
  const left = () => Math.max(1, endsAt - system.clock.monotonic())
  leaveNow(system, shard)
  await shard.gate.drained(holder, left())
  // A caller who gave up has left, and its frame may be on its way to the disk all the same.
  await WalWriter.settled(system.to(WalWriter.name(instance, index)), left())
  await Applier.describe(system.to(Applier.name(instance, index)), left())
  // The hold may have ended during the last steps.
  await shard.gate.drained(holder, left())
}

/** How a pause is asked for. Times in ms. */
export type PauseTerms = {
  /** The process whose end ends the pause. */
  readonly owner?: Ref
  /** Ends the pause after so long; without it, it stays. */
  readonly leaseMs?: number
  /** How long what is under way may take to end, over all shards. */
  readonly deadlineMs: number
}

/** A pause that holds. */
export type WritePause = {
  readonly token: string
  /** Ends it; false when it had ended. */
  readonly resume: () => boolean
}

/**
 * Pauses the writes of all these shards, or of none: every gate is held before any drain is waited for, and all are let go when
 * one does not drain. Two pauses of one shard: it moves when both have ended.
 * @throws KeelsonError as `drained` does
 */
export const pauseWrites = async (
  system: System,
  shards: readonly Shard[],
  { owner, leaseMs, deadlineMs }: PauseTerms,
): Promise<WritePause> => {
  const token = `pause ${Buffer.from(system.clock.randomBytes(9)).toString('base64url')}`
  for (const { gate } of shards) gate.hold(token)
  const endings: (() => void)[] = []
  const resume = (): boolean => {
    for (const end of endings.splice(0)) end()
    const held = shards.filter(({ gate }) => gate.release(token))
    for (const shard of held) tell(system, shard, 'gate.resumed', { token })
    return held.length > 0
  }
  if (leaseMs !== undefined)
    endings.push(system.clock.after(leaseMs, resume, { holdsProcess: false }))
  if (owner !== undefined) endings.push(system.monitor(owner, resume))
  try {
    await Promise.all(shards.map((shard) => drained(system, shard, token, deadlineMs)))
  } catch (error) {
    resume()
    throw error
  }
  for (const shard of shards) tell(system, shard, 'gate.paused', { token })
  return { token, resume }
}
