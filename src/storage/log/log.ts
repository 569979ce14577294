/**
 * One epoch of one log on one disk, synchronous: it executes the requests of the `LogProtocol` one
 * by one. Hosts wrap it: a thread in production, inline in the simulation.
 */

import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { checkpointBytes } from '../frames/control-payload.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import { lockFileName } from '../ports/folder-layout.ts'
import type {
  CommitRequest,
  Inspection,
  LogDescription,
  LogExtent,
  LogProtocol,
  LogRequestKind,
  OpenReport,
} from '../ports/log-host.ts'
import type { SpareTask } from '../ports/spare-file.ts'
import {
  checkLogOptions,
  givenBack,
  refuseBefore,
  refuseOtherRequest,
} from '../segments/log-limits.ts'
import { Pins } from '../segments/log-pins.ts'
import { type LogPlace, refuseLostLock } from '../segments/log-place.ts'
import { createLog as createLogFiles } from './log-creation.ts'
import { inspectLog } from './log-inspection.ts'
import { openLog } from './log-opening.ts'
import type { LogPlan } from './log-plan.ts'
import { LogReader } from './log-reader.ts'
import { bytesAfter } from './log-retention.ts'
import { LogWriter, type WrittenCommit } from './log-writer.ts'

/** An open log. */
type OpenLog = {
  readonly kind: 'open'
  readonly writer: LogWriter
  readonly reader: LogReader
  readonly pins: Pins
}

/** The state of a log: before `open`, open, or ended. */
type State = { readonly kind: 'new' } | OpenLog | { readonly kind: 'over' }

/** Executes requests. Throws a `KeelsonError` where a host rejects. */
export type Log = {
  handle<K extends LogRequestKind>(
    kind: K,
    request: LogProtocol[K]['request'],
  ): LogProtocol[K]['answer']
  /**
   * As `handle` of a commit, up to the sync: a host may sync files of several logs side by side. The
   * log takes no other request before the end of the commit.
   */
  write(request: CommitRequest): WrittenCommit
  /**
   * A spare to make in the background with `prepareSpare`, beside other requests; report its end
   * with `settleSpare`. If a host never asks, spares are made when they are needed.
   */
  beginSpare(): SpareTask | undefined
  /**
   * Reports that the spare of `beginSpare` is ready, or that it failed with `error` and is removed.
   */
  settleSpare(error?: unknown): void
  /**
   * Whether a host that is making a spare should delay this request and later ones until it is
   * settled.
   */
  waitsForSpare<K extends LogRequestKind>(kind: K, request: LogProtocol[K]['request']): boolean
  /** Closes the files without a clean close. Later requests are refused with `CLOSED`. */
  abandon(): void
}

type Handlers = {
  readonly [K in LogRequestKind]: (request: LogProtocol[K]['request']) => LogProtocol[K]['answer']
}

/** The answers of an open log. `opened` refuses while it is not open. */
const openHandlers = (
  opened: () => OpenLog,
): Omit<Handlers, 'inspect' | 'create' | 'open' | 'close'> => ({
  commit: (request) => ({ ...opened().writer.commit(request), ...givenBack(request) }),
  sync() {
    const { writer } = opened()
    writer.sync()
    return { durableLsn: writer.durableLsn }
  },
  mark() {
    const { writer } = opened()
    return { written: writer.mark(), durableLsn: writer.durableLsn }
  },
  checkpoint({ opaque }) {
    const { writer } = opened()
    return { ...writer.checkpoint(opaque), durableLsn: writer.durableLsn }
  },
  name({ epoch, snapshot, ...rest }) {
    const { writer } = opened()
    refuseOtherRequest(epochOf(writer), epoch)
    writer.name(snapshot, rest)
    return { snapshots: writer.snapshots, checkpointLsn: writer.checkpointLsn }
  },
  release({ epoch, lsn, wanted = lsn }) {
    const { writer, pins } = opened()
    refuseOtherRequest(epochOf(writer), epoch)
    const gone = writer.release(Math.min(lsn, pins.least - 1))
    const heldBytes = bytesOf(writer.releasable(wanted))
    const removedBytes = bytesOf(gone)
    return { removed: gone.length, removedBytes, heldBytes, firstLsn: firstLsnOf(writer) }
  },
  pin({ from, pin }) {
    const { writer, pins } = opened()
    refuseBefore(firstLsnOf(writer), from)
    return { pin: pins.hold(from, pin) }
  },
  unpin({ pin }) {
    opened().pins.drop(pin)
    return null
  },
  read(request) {
    const { writer, reader } = opened()
    const behind = request.fromCheckpoint ? writer.checkpointLsn + 1 : 0
    const from = Math.max(request.from, behind)
    refuseBefore(firstLsnOf(writer), from)
    return refusing(() => reader.read(writer.segments, writer.durableLsn, { ...request, from }))
  },
  head: () => opened().writer.head() ?? null,
  state(request) {
    const { writer } = opened()
    const { segments, snapshots } = writer
    return {
      ...extentOf(writer),
      newBytes: bytesAfter(segments, snapshots.at(-1)?.lsn ?? 0),
      bytesAfter: bytesAfter(segments, request?.after ?? 0),
    }
  },
  describe: () => describe(opened().writer),
})

/** A log before its first request. */
export const createLog = (disk: Disk, clock: Clock): Log => {
  let state: State = { kind: 'new' }

  const opened = (): OpenLog => {
    if (state.kind === 'open') return state
    throw new KeelsonError('CLOSED', `the log is ${state.kind === 'new' ? 'not open' : 'closed'}`)
  }

  /**
   * A refused opening may be tried again. An opening that failed half way needs a new epoch and a
   * new inspection.
   */
  const openOnce = ({ dir, options, inspection }: LogProtocol['open']['request']) => {
    try {
      return open({ disk, clock, dir, options }, inspection)
    } catch (error) {
      if (!isKeelsonError(error, 'NO_SPACE') && !isKeelsonError(error, 'READ_ONLY'))
        state = { kind: 'over' }
      throw error
    }
  }

  const handlers: Handlers = {
    inspect({ dir, options, evidence, needs, ...tenure }) {
      checkLogOptions(options)
      const lock = refusing(() => disk.identity(pathIn(dir, lockFileName)))
      refusing(() => refuseLostLock({ disk, dir, ...tenure }))
      const inspection = inspectLog(disk, dir, evidence, needs, options.commitments !== undefined)
      return { ...inspection, lock }
    },
    create({ dir, options }) {
      checkLogOptions(options)
      createLogFiles({ disk, clock, dir, options })
      return null
    },
    open(request) {
      if (state.kind !== 'new') throw new KeelsonError('CLOSED', 'a log can be opened once')
      const { writer, report } = openOnce(request)
      const reader = new LogReader(disk, request.dir)
      state = { kind: 'open', writer, reader, pins: new Pins() }
      return report
    },
    ...openHandlers(opened),
    close({ projectedLsn }) {
      const { writer } = opened()
      state = { kind: 'over' }
      writer.close(projectedLsn)
      return null
    },
  }

  return {
    handle(kind, request) {
      if (state.kind === 'over') throw new KeelsonError('CLOSED', 'the log is closed')
      return handlers[kind](request)
    },
    write(request) {
      const { unsynced, end } = opened().writer.write(request)
      return { unsynced, end: (sync) => ({ ...end(sync), ...givenBack(request) }) }
    },
    beginSpare: () => (state.kind === 'open' ? state.writer.beginSpare() : undefined),
    settleSpare(error) {
      if (state.kind === 'open') state.writer.spares.settle(error)
    },
    waitsForSpare(kind, request) {
      if (state.kind !== 'open') return false
      const { writer } = state
      if (kind === 'close') return writer.spares.isMaking
      return writer.waitsForSpare(lengthsIn(request), featuresIn(request))
    },
    abandon() {
      if (state.kind === 'open') state.writer.abandon()
      state = { kind: 'over' }
    },
  }
}

const open = (
  place: LogPlace,
  inspection: Inspection,
): { readonly writer: LogWriter; readonly report: OpenReport } => {
  const { dir, options } = place
  checkLogOptions(options)
  // The plan comes from `inspectLog` and was only carried around since.
  const plan = inspection.plan as LogPlan | null
  if (!plan)
    throw new KeelsonError('NO_SEGMENTS', `there is no log in ${dir}`, { details: { dir } })
  const owned = { ...place, lock: inspection.lock }
  refusing(() => refuseLostLock(owned))
  const opened = openLog(place, plan)
  const writer = new LogWriter(owned, opened)
  const { segments } = writer
  const report = {
    walId: plan.walId,
    epoch: plan.epoch,
    firstLsn: firstLsnOf(writer),
    lastLsn: plan.lastLsn,
    lastTime: plan.lastTime,
    tail: plan.tail,
    cutBytes: plan.cutBytes,
    features: segments.at(-1)?.header.features ?? 0,
    copiedFrames: opened.copiedFrames,
    segments: segments.length,
    remarks: inspection.remarks,
  }
  return { writer, report }
}

/** The lengths of the payloads that a request will write. */
const lengthsIn = (request: LogProtocol[LogRequestKind]['request']): ArrayLike<number> => {
  if (request && 'lengths' in request) return request.lengths
  return request && 'opaque' in request ? [checkpointBytes(request.opaque.length)] : []
}

const featuresIn = (request: LogProtocol[LogRequestKind]['request']): number | undefined =>
  request && 'features' in request ? request.features : 0

const bytesOf = (segments: readonly { readonly endOffset: number }[]): number =>
  segments.reduce((sum, { endOffset }) => sum + endOffset, 0)

const firstLsnOf = ({ segments }: LogWriter): number => segments[0]?.header.baseLsn ?? 1

const epochOf = ({ segments }: LogWriter): number => segments.at(-1)?.header.epoch ?? 0

const extentOf = (writer: LogWriter): LogExtent => ({
  walId: writer.segments.at(-1)?.header.walId ?? '',
  epoch: epochOf(writer),
  firstLsn: firstLsnOf(writer),
  lastLsn: writer.lastLsn,
  durableLsn: writer.durableLsn,
  checkpointLsn: writer.checkpointLsn,
  snapshots: writer.snapshots,
})

const describe = (writer: LogWriter): LogDescription => {
  const { segments } = writer
  return {
    ...extentOf(writer),
    spares: { ready: writer.spares.ready, making: writer.spares.isMaking },
    segments: segments.map(({ name, header, lastLsn, endOffset }, index) => ({
      file: name,
      baseLsn: header.baseLsn,
      lastLsn,
      usedBytes: endOffset,
      // Nothing is kept after the end of a segment that has a successor.
      allocatedBytes: index === segments.length - 1 ? header.allocatedBytes : endOffset,
    })),
  }
}
