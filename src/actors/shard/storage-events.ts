/** What storage tells on the event bus of its System: one object an event, with who, where and when. */
import { reasonText } from '../../errors.ts'
import { type System, telemetry } from '../../runtime/index.ts'
import type { Shard } from './shard.ts'

/** Where and when. `at` in ms since 1970. */
export type ShardFacts = { readonly instance: string; readonly shard: number; readonly at: number }

type Told<Facts = object> = (event: ShardFacts & Facts) => void

/** The events of storage. Times in ms, sizes in bytes. */
export interface StorageEvents {
  /** A group is committed. `waitMs`: from its first write to its being handed to the disk. */
  'wal.commit': Told<{
    readonly frames: number
    readonly bytes: number
    readonly waitMs: number
    readonly syncMs: number
    readonly durableLsn: number
  }>
  /** The log went on in a new segment. */
  'wal.rolled': Told
  /** The log was opened. */
  'wal.recovered': Told<{
    readonly lastLsn: number
    readonly tail: string
    readonly cutBytes: number
    readonly copiedFrames: number
    readonly remarks: readonly string[]
  }>
  /** A write or a sync failed: final. */
  'wal.poisoned': Told<{ readonly reason: unknown }>
  /** A group with windowed writes has ended: `result` is `ok` or a code. `namespace`: whose window was over first; `queuedMs`: how long the group waited. */
  'batcher.flushed': Told<{
    readonly namespace: string
    readonly writes: number
    readonly commands: number
    readonly bytes: number
    readonly queuedMs: number
    readonly result: string
  }>
  /** New writes are held at the gate, and all that was under way has settled. */
  'gate.paused': Told<{ readonly token: string }>
  'gate.resumed': Told<{ readonly token: string }>
  /** Large values are durable in blobs. */
  'blobs.stored': Told<{ readonly blobs: number; readonly bytes: number }>
  /** Blobs that nothing refers to were given back. */
  'blobs.swept': Told<{
    readonly segments: number
    readonly cleared: number
    readonly freedBytes: number
  }>
  /** A blob is not as it was written, or not there: whoever asked for it got `CORRUPT`. */
  'blobs.corrupt': Told<{ readonly evidence: unknown }>
  /** A group of frames took effect, and its callers were answered. */
  'applier.applied': Told<{
    readonly frames: number
    readonly appliedLsn: number
    readonly overlayKeys: number
    readonly overlayBytes: number
  }>
  /** Rows that had ended were removed: values, compounds, locks. */
  'expiry.removed': Told<{ readonly keys: number }>
  /** The projection took a batch. */
  'lmdb.flushed': Told<{ readonly frames: number; readonly rows: number; readonly lag: number }>
  /** How far the projection is behind, in frames, and what is queued for it: told whenever either changes. */
  'lmdb.lag': Told<{
    readonly lag: number
    readonly projectedLsn: number
    readonly outbox: number
    readonly outboxBytes: number
    readonly tailing: boolean
  }>
  /** The projection takes nothing for now. */
  'lmdb.degraded': Told<{ readonly reason: string; readonly failures: number }>
  /** It does again. */
  'lmdb.healed': Told
  'lmdb.suspended': Told<{ readonly token: string; readonly owner: string }>
  'lmdb.resumed': Told<{ readonly held: number }>
  'lmdb.discarded': Told<{ readonly references: number }>
  /** What became of a shard that `control` was asked about; `result` is `ok` or a code. */
  'control.outcome': Told<{
    readonly request: 'suspend' | 'resume' | 'flush' | 'discard' | 'sweep' | 'reopen'
    readonly result: string
    readonly tookMs: number
  }>
  /** The shard answers nothing until it is reopened. */
  'shard.down': Told<{ readonly reason: unknown }>
  'shard.reopened': Told
}

/** Whether anybody listens to `event`: worth asking where its facts cost something. */
export const isHeard = (system: System, event: keyof StorageEvents): boolean =>
  telemetry<StorageEvents>(system).listenerCount(event) > 0

/** Tells `event` of `shard`. Costs next to nothing when nobody listens. */
export const tell = <K extends keyof StorageEvents>(
  system: System,
  shard: Shard,
  event: K,
  facts: Omit<Parameters<StorageEvents[K]>[0], keyof ShardFacts>,
): void => {
  const events = telemetry<StorageEvents>(system)
  if (events.listenerCount(event) === 0) return
  const told = {
    instance: shard.parts.instance,
    shard: shard.index,
    at: system.clock.now(),
    ...facts,
  }
  const emit = events.emit.bind(events) as (name: string, told: object) => boolean
  try {
    emit(event, told)
  } catch (error) {
    // A listener's mistake is not the teller's.
    system.logger.error(`a listener of ${event} threw: ${reasonText(error)}`)
  }
}
