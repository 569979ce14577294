/**
 * The snapshotter of a shard: makes a snapshot of the projection when the log has grown enough, when
 * it is asked to, or when the disk is full and it would help; then the log before it is given back.
 * At most one is made at a time over all shards of an instance.
 *
 * A failed attempt leaves no file. Its reason is in `health()`, writing goes on, and the next one
 * follows after a delay. A projection that turns out to be damaged is rebuilt first.
 */
import { backoffMs } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import {
  call,
  type From,
  type GenServer,
  noReply,
  ok,
  type Ref,
  reply,
  type Settled,
  send,
  type Timer,
} from '../../runtime/index.ts'
import { type Disk, type NamedSnapshot, pathIn, snapshotName } from '../../storage/index.ts'
import { isIgnored, isRecord, isSettled } from '../core/payload-check.ts'
import { shardName } from '../core/shard-name.ts'
import type { SnapshotReason } from '../core/storage-events.ts'
import { emit } from '../core/storage-events.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import type { SnapshotHealth } from './shard-snapshots.ts'
import {
  makeSnapshot,
  measureLog,
  type Released,
  releaseLog,
  tidyLeftovers,
} from './snapshot-attempt.ts'
import { reasonNow, snapshotPauses } from './snapshot-policy.ts'
import type { SnapshotShard } from './snapshot-shard.ts'

/** The messages of the snapshotter. */
export type Messages = {
  calls: {
    /**
     * Makes a snapshot that has everything applied before the call. During an attempt it waits for
     * the next one. Without any frame there is nothing to write down: it answers LSN 0.
     * @throws as the attempt fails
     */
    snapshot: () => NamedSnapshot
    describe: () => SnapshotHealth
  }
  infos: {
    /** The log has grown, ran short of room, or a retry is due. */
    look: () => void
    looked: (measured: Settled<void>) => void
    made: (made: Settled<Made>) => void
    tidied: (tidied: Settled<void>) => void
    /** The journal holds too much: perhaps it needs less by now. */
    letGo: () => void
    letGone: (released: Settled<Released>) => void
  }
  continues: { begin: () => void }
}

type State = {
  readonly shard: SnapshotShard
  /** The callers of the present attempt, and of the next one. */
  making: readonly From<NamedSnapshot>[] | undefined
  callers: From<NamedSnapshot>[]
  /** The log is being described. It may have grown again since. */
  looking: 'no' | 'yes' | 'again'
  /** Failed attempts in a row, and from when on the next one may follow. */
  failures: number
  retryAt: number
  retryTimer: Timer | undefined
  /** The last attempt pinned too much of the projection. */
  isHurried: boolean
  /**
   * The log is being given back because the journal held too much. A request during that time: once
   * again.
   */
  lettingGo: 'no' | 'yes' | 'again'
}

/** The result of an attempt. Without anything new it is the snapshot before. */
type Made = { readonly snapshot: NamedSnapshot; readonly isNew: boolean }

/** The state before the first frame. It has no file, and nothing names it. */
const nothing: NamedSnapshot = { lsn: 0, bytes: 0, sum: 0 }

/** The log is looked at again when it has grown by this much at least, in bytes. */
const lookBytesMin = 64 * 1024

/** The snapshotter of a shard. */
export const server: GenServer<Messages, State, SnapshotShard> = {
  init: (shard) => ok(initialState(shard), { continue: ['begin'] }),

  continues: {
    begin: async (state, _, context) => {
      const { shard } = state
      // The log can be asked when the shard is open. If it goes down, this process ends with it.
      await shard.settled()
      shard.snapshots.listen(() => send(context.self, 'look'))
      shard.journal.listen(() => send(context.self, 'letGo'))
      noticeLost(shard)
      // Nothing is given back: it measures how much log after a snapshot the journal holds.
      if (shard.snapshots.named.length > 0)
        context.pipe(releaseLog(context.system, shard, 0), 'letGone')
      context.pipe(tidyLeftovers(shard, context.signal), 'tidied')
      decide(state, context)
      return noReply(state)
    },
  },

  accepts: {
    calls: { snapshot: isIgnored, describe: isIgnored },
    casts: {},
    infos: {
      look: isIgnored,
      looked: isSettled(),
      made: isSettled(isRecord({})),
      tidied: isSettled(),
      letGo: isIgnored,
      letGone: isSettled(isRecord({})),
    },
  },

  calls: {
    snapshot: (state, _, context) => {
      state.callers.push(context.from)
      decide(state, context)
      return noReply(state)
    },
    describe: (state) => reply(state.shard.snapshots.health, state),
  },

  casts: {},

  infos: {
    look: (state, _, context) => noReply(look(state, context)),
    // Without an answer the log is closed, and this process ends.
    looked: (state, _, context) => {
      const again = state.looking === 'again'
      state.looking = 'no'
      decide(state, context)
      return noReply(again ? look(state, context) : state)
    },
    made: (state, result, context) => {
      const callers = state.making ?? []
      state.making = undefined
      if (result.ok) succeeded(state)
      else failed(state, result.error, context)
      for (const from of callers)
        if (result.ok) from.reply(result.value.snapshot)
        else from.fail(result.error)
      // The size that calls for a snapshot is an estimate. If it has nothing new, the log has to
      // grow first.
      const hasEnded = result.ok && !result.value.isNew && state.callers.length === 0
      return noReply(hasEnded ? state : look(state, context))
    },
    letGo: (state, _, context) => noReply(letGo(state, context)),
    // Without an answer the log is closed or has failed, and this process ends.
    letGone: (state, _, context) => {
      const again = state.lettingGo === 'again'
      state.lettingGo = 'no'
      return noReply(again ? letGo(state, context) : state)
    },
    tidied: (state, result, context) => {
      if (!result.ok)
        context.system.logger.warn(
          `the leftovers of snapshots of shard ${state.shard.index} stay: ${reasonText(result.error)}`,
        )
      return noReply(state)
    },
  },
}

type Context = Parameters<NonNullable<(typeof server)['infos']>['look']>[2]

/** The name of a shard's snapshotter; prints as `snapshotter(0)`. */
export const name = shardName<Messages>('snapshotter')

/**
 * Makes a snapshot that has everything applied before the call.
 * @throws KeelsonError `DEGRADED`, `NO_SPACE`, `BUSY`, `CORRUPT`, `SHARD_DOWN`: no file stays
 */
export const snapshot = (snapshotter: Ref<Messages>, timeoutMs: number): Promise<NamedSnapshot> =>
  call(snapshotter, 'snapshot', undefined, { timeoutMs })

/** Describes the snapshots of the shard. */
export const describe = (snapshotter: Ref<Messages>): Promise<SnapshotHealth> =>
  call(snapshotter, 'describe')

const initialState = (shard: SnapshotShard): State => ({
  shard,
  making: undefined,
  callers: [],
  looking: 'no',
  failures: 0,
  retryAt: 0,
  retryTimer: undefined,
  isHurried: false,
  lettingGo: 'no',
})

/** Notices a named snapshot whose file is gone or cut, without reading it. */
const noticeLost = ({ snapshots, parts: { disk } }: SnapshotShard): void => {
  if (snapshots.parts.isCache) return
  for (const snapshot of snapshots.named) {
    const { lsn, bytes } = snapshot
    const path = pathIn(snapshots.parts.dir, snapshotName(lsn))
    const size = sizeOf(disk, path)
    if (size === bytes || size === 'unknown') continue
    const found = size === undefined ? 'it is missing' : `it has ${size} bytes instead of ${bytes}`
    const error = new KeelsonError('CORRUPT', `${path}: ${found}`, { details: { file: path } })
    snapshots.damaged(error, snapshot)
  }
}

const sizeOf = (disk: Disk, path: string): number | 'unknown' | undefined => {
  try {
    return disk.entry(path)?.size
  } catch {
    return 'unknown'
  }
}

/** Asks the log how long it is now, and decides after its answer. */
const look = (state: State, context: Context): State => {
  if (state.looking === 'no') {
    context.pipe(measureLog(state.shard), 'looked')
    state.looking = 'yes'
  } else state.looking = 'again'
  return state
}

/** Releases the files that nothing needs. */
const letGo = (state: State, context: Context): State => {
  if (state.lettingGo === 'no') {
    const released = releaseLog(context.system, state.shard, Number.MAX_SAFE_INTEGER)
    context.pipe(released, 'letGone')
    state.lettingGo = 'yes'
  } else state.lettingGo = 'again'
  return state
}

/** Begins an attempt, if there is a reason for one. */
const decide = (state: State, context: Context): void => {
  const { shard, retryAt } = state
  const { snapshots, parts } = shard
  const { wal } = parts.settings
  snapshots.lookAfter(Math.max(lookBytesMin, snapshots.dueBytes - snapshots.logBytes))
  if (state.making || shard.phase.kind !== 'open') return
  const reason = reasonNow({
    isAsked: state.callers.length > 0,
    isDamaged: snapshots.isDamaged,
    isShort: snapshots.isShort,
    logBytes: snapshots.logBytes,
    dueBytes: snapshots.dueBytes,
    helpfulBytes: 2 * wal.maxFileSize,
    retryAt,
    now: context.system.clock.monotonic(),
  })
  snapshots.isShort = false
  if (reason === undefined) return
  state.making = state.callers
  state.callers = []
  context.pipe(attempt(state, reason, context), 'made')
}

const attempt = async (
  { shard, isHurried }: State,
  reason: SnapshotReason,
  context: Context,
): Promise<Made> => {
  const { instance, settings } = shard.parts
  // While the disk is full, writers are refused: no work of theirs needs the processors.
  const terms = { reason, isHurried: isHurried || reason === 'disk' }
  // A caller expects everything applied before, and a newer position gives more of the log back. A
  // full disk takes no flush.
  if (reason !== 'disk')
    await LmdbWriter.flush(
      context.system.to(LmdbWriter.name(instance, shard.index)),
      settings.deadlineMs,
    )
  const last = shard.snapshots.named.at(-1)
  const lsn = shard.view().layers.projection.position()?.lsn ?? 0
  if (lsn === 0) return { snapshot: nothing, isNew: false }
  // Nothing has changed since.
  if (last && last.lsn === lsn && !shard.snapshots.isDamaged)
    return { snapshot: last, isNew: false }
  return { snapshot: await makeSnapshot(shard, terms, context), isNew: true }
}

const succeeded = (state: State): void => {
  const { snapshots } = state.shard
  snapshots.failure = undefined
  snapshots.isDamaged = false
  state.failures = 0
  state.isHurried = false
}

/** Handles a failed attempt: reports it, and arms the next one. */
const failed = (state: State, error: unknown, context: Context): void => {
  const { shard } = state
  const { system } = context
  const reason = reasonText(error)
  state.failures++
  shard.snapshots.failures++
  shard.snapshots.failure = reason
  emit(system, shard, 'snapshot.failed', { reason, failures: state.failures })
  state.isHurried = isKeelsonError(error, 'BUSY') && error.details.reason === 'pinned'
  // The projection's rows are rebuilt, and this process starts again after that.
  if (isKeelsonError(error, 'CORRUPT') && error.details.file === undefined)
    shard.projection.onDamage(error.details)
  const inMs = state.isHurried ? 0 : backoffMs(snapshotPauses, state.failures)
  state.retryAt = system.clock.monotonic() + inMs
  if (state.retryTimer) context.cancelTimer(state.retryTimer)
  state.retryTimer = context.sendAfter(inMs, 'look').unref()
}
