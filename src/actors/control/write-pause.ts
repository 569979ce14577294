/**
 * Pauses of writes: no new write is admitted, and every admitted write has ended, so that the files
 * of a shard do not change. A pause ends with `resume`, with its lease, or with its owner's
 * process. It is a hold on the gates, so no restart of an actor ends it.
 */
import { leftUntil } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { Ref, System } from '../../runtime/index.ts'
import { emit } from '../core/storage-events.ts'
import { flushed, leaveNow } from '../log/log-append.ts'
import * as WalWriter from '../log/wal-writer.ts'
import * as Applier from '../projection/applier.ts'
import type { ControlShard } from './control-shard.ts'
import { explained } from './shard-outcomes.ts'

/**
 * Sends the group that waits for a window. Resolves when every submitted group has ended.
 * @throws KeelsonError `TIMEOUT`
 */
export const flushWindows = (
  system: System,
  shard: ControlShard,
  timeoutMs: number,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const cancel = system.clock.after(timeoutMs, () => reject(tooSlow(shard, timeoutMs)))
    void flushed(system, shard).then(resolve).finally(cancel)
  })

const tooSlow = ({ index }: ControlShard, timeoutMs: number): KeelsonError =>
  new KeelsonError('TIMEOUT', 'flush: writes that were under way have not ended in time', {
    details: { shard: index, timeoutMs },
  })

/**
 * Resolves when no write is on its way to the shard's log, or from the log to readers, while
 * `holder` holds the gate. Every admitted write has ended, the log's queue is empty, and the
 * applier has applied it all.
 * @throws KeelsonError `TIMEOUT`; `DISCARDED` if the hold ended during the wait; `NO_PROCESS`,
 * `EXITED` of a shard that is not open
 */
export const drained = async (
  system: System,
  shard: ControlShard,
  holder: string,
  timeoutMs: number,
): Promise<void> => {
  const { instance, index } = shard.parts
  const endsAt = system.clock.monotonic() + timeoutMs
  const left = () => leftUntil(system.clock, endsAt)
  leaveNow(system, shard)
  await shard.gate.drained(holder, left())
  // A write whose caller gave up has left the gate, but may still be on its way to the disk.
  await WalWriter.settled(system.to(WalWriter.name(instance, index)), left())
  await Applier.describe(system.to(Applier.name(instance, index)), left())
  // The hold may have ended during the last steps.
  await shard.gate.drained(holder, left())
}

/** Options of a pause. Times in ms. */
export type PauseTerms = {
  /** Its token; a new one by default. */
  readonly token?: string
  /** The process whose end ends the pause. */
  readonly owner?: Ref
  /** Ends the pause after so long. Without it the pause does not end by itself. */
  readonly leaseMs?: number
  /** How long the pending writes may take to end, over all shards. */
  readonly deadlineMs: number
}

/** A pause in force. */
export type WritePause = {
  readonly token: string
  /** Ends it. False if it had ended. */
  readonly resume: () => boolean
}

/** A token of a pause. */
export const newToken = ({ clock }: System): string =>
  `pause ${Buffer.from(clock.randomBytes(9)).toString('base64url')}`

/**
 * Pauses the writes of all these shards, or of none. It holds every gate before it waits for any
 * drain, and releases them all if one does not drain. A shard with two pauses moves when both have
 * ended.
 * @throws KeelsonError as `drained` does; `SHARD_DOWN` if one is down
 */
export const pauseWrites = async (
  system: System,
  shards: readonly ControlShard[],
  { owner, leaseMs, deadlineMs, token = newToken(system) }: PauseTerms,
): Promise<WritePause> => {
  for (const { gate } of shards) gate.hold(token)
  const endings: (() => void)[] = []
  const resume = (): boolean => {
    for (const end of endings.splice(0)) end()
    const held = shards.filter(({ gate }) => gate.release(token))
    for (const shard of held) emit(system, shard, 'gate.resumed', { token })
    return held.length > 0
  }
  if (leaseMs !== undefined)
    endings.push(system.clock.after(leaseMs, resume, { holdsProcess: false }))
  if (owner !== undefined) endings.push(system.monitor(owner, resume))
  try {
    await Promise.all(
      shards.map((shard) => explained(shard, drained(system, shard, token, deadlineMs))),
    )
  } catch (error) {
    resume()
    throw error
  }
  for (const shard of shards) emit(system, shard, 'gate.paused', { token })
  return { token, resume }
}
