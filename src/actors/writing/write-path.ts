/**
 * The path of every write from its caller to the log. Gate and admission come first, so that a
 * refused write changes nothing. Then the write joins the group that fills. A window only sets how
 * long that group may wait. Only a blob makes a write wait before it joins (`key-marks.ts`).
 */

import { leftUntil, passed } from '../../clock.ts'
import { type ErrorCode, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import type { FrameUnits, UnitAnswer } from '../../storage/index.ts'
import type { Weight } from '../admission/allowance.ts'
import type { CheckedWrite } from '../core/shard-client.ts'
import type { Position } from '../core/shard-core.ts'
import { beforeTheLog } from '../log/appends.ts'
import { appendToLog, flushed, syncLog } from '../log/log-append.ts'
import * as LmdbWriter from '../projection/lmdb-writer.ts'
import { inTurn } from './key-marks.ts'
import { writeLarge } from './large-write.ts'
import { Passage, type Shape, type Write } from './passage.ts'
import type { WritingShard } from './writing-shard.ts'

export type { Shape, Write } from './passage.ts'

/** The position of a write, and the answer of each of its units. */
export type Submitted = {
  readonly position: Position
  readonly answers: readonly UnitAnswer[]
}

const submitted: Shape<Submitted> = (position, answers) => ({ position, answers })

/**
 * Writes. Resolves at the level in the options. Synchronous up to the gate: two calls enter it in
 * order.
 * @throws KeelsonError `TOO_LARGE`, `BUSY`, `NO_SPACE`, `SHARD_DOWN`, `CLOSED`: nothing was
 * written. `NOT_SUBMITTED`: the write never reached the disk. `UNKNOWN_OUTCOME`: the write may be
 * on the disk, see `settled`. `TIMEOUT`, `DEGRADED` with another `ack` than `applied`:
 * the write is at `details.position`.
 */
export const submit = (system: System, shard: WritingShard, write: Write): Promise<Submitted> =>
  submitAs(system, shard, write, submitted)

/**
 * `submit` with an answer that `shape` makes.
 * @throws KeelsonError as `submit` does, and what `shape` throws
 */
export const submitAs = <T>(
  system: System,
  shard: WritingShard,
  write: Write,
  shape: Shape<T | Promise<T>>,
): Promise<T> =>
  write.options.ack !== 'applied'
    ? waitingToo(system, shard, write, enter).then((at) => shape(at.position, at.answers))
    : passing(system, shard, write, shape, enter)

/**
 * `submit` without a promise, for a write with `ack` `applied`. It calls one of `answered` and
 * `failed`, once: `answered` within the applier's turn, `failed` possibly before this returns.
 * @throws KeelsonError `TOO_LARGE`, `INVALID_ARGUMENT`: neither is called
 */
export const submitTo = <A>(
  system: System,
  shard: WritingShard,
  write: Write,
  shape: Shape<A>,
  answered: (answer: A) => void,
  failed: (error: unknown) => void,
): void => enter(new Passage(system, shard, write, shape, answered, failed) as Passage)

/**
 * `submit` for a write that has entered the gate already. Its token stays with the caller.
 * @throws KeelsonError as `submit` does; `INVALID_ARGUMENT` for a write of more weight
 */
export const submitAdmitted = (
  system: System,
  shard: WritingShard,
  write: Write,
  { bytes, commands }: Weight,
): Promise<Submitted> => {
  const begin = (passage: Passage): void => {
    if (passage.bytes > bytes || passage.commands > commands)
      throw new KeelsonError('INVALID_ARGUMENT', 'the write is larger than its token', {
        details: {
          path: 'token',
          expected: `bytes: ${passage.bytes}, commands: ${passage.commands}`,
          found: `bytes: ${bytes}, commands: ${commands}`,
        },
      })
    forward(passage)
  }
  return write.options.ack !== 'applied'
    ? waitingToo(system, shard, write, begin)
    : passing(system, shard, write, submitted, begin)
}

/**
 * `submitAdmitted` for a write without blobs whose keys its caller has marked: it waits for no
 * mark.
 * @throws KeelsonError as `submit` does
 */
export const submitMarked = (
  system: System,
  shard: WritingShard,
  write: Write,
): Promise<Submitted> =>
  write.options.ack !== 'applied'
    ? waitingToo(system, shard, write, join)
    : passing(system, shard, write, submitted, join)

/** Begins a passage with `begin`; resolves at its end. */
const passing = <T>(
  system: System,
  shard: WritingShard,
  write: Write,
  shape: Shape<T | Promise<T>>,
  begin: (passage: Passage) => void,
): Promise<T> =>
  new Promise((resolve, reject) => {
    begin(new Passage(system, shard, write, shape, resolve, reject) as Passage)
  })

const waitingToo = async (
  system: System,
  shard: WritingShard,
  write: Write,
  begin: (passage: Passage) => void,
): Promise<Submitted> => {
  const endsAt = system.clock.monotonic() + write.options.deadlineMs
  const at = await passing(system, shard, write, submitted, begin)
  if (at.answers.every(wroteNothing)) return at
  const leftMs = leftUntil(system.clock, endsAt)
  await reached(write.options.ack, system, shard, at.position, leftMs)
  return at
}

/** Whether the state decided against the unit: then there is nothing to wait for. */
const wroteNothing = (answer: UnitAnswer): boolean =>
  answer.kind === 'refused' || (answer.kind === 'compareAndSet' && !answer.swapped)

/** Enters the gate, and continues at once if there is room. */
const enter = (passage: Passage): void => {
  passage.shard.gate.enter(passage, admitted, refused)
}

const admitted = (passage: Passage): void => {
  passage.isInside = true
  try {
    forward(passage)
  } catch (error) {
    // It is in no group. Else it would stay counted at the gate, and a suspension would wait for it.
    passage.refused(beforeTheLog(error))
  }
}

const refused = (refusal: KeelsonError, passage: Passage): void => passage.refused(refusal)

/**
 * An admitted write joins the group that fills before this returns, unless a blob is on its way.
 */
const forward = (passage: Passage): void => {
  const { shard } = passage
  if (passage.isLarge) blobsFirst(passage)
  else if (shard.marks.isEmpty || shard.marks.isFree(passage.keys)) join(passage)
  else behindMarks(passage)
}

/** Joins the group that fills, and sets how long it may wait. */
const join = (passage: Passage): void => {
  const { system, shard } = passage
  const windowMs = windowOf(passage)
  if (windowMs > 0) {
    if (passage.whenFull === 'refuse' && shard.appends.isFullFor(passage)) {
      passage.refused(full(shard))
      return
    }
    const departsAt = passage.beganAt + windowMs
    // A write that has waited for its whole window at the gate leaves at once.
    if (departsAt > system.clock.monotonic()) passage.departsAt = departsAt
  }
  appendToLog(system, shard, passage)
}

/**
 * Writes the blobs first. After that no window holds the write: it has waited for a disk already.
 */
const blobsFirst = (passage: Passage): void => {
  const { system, shard, units, keys, endsAt, deadlineMs } = passage
  const pin = shard.blobs.pins.hold()
  passage.pin = pin
  const append = (prepared: FrameUnits): void => {
    passage.become(prepared)
    appendToLog(system, shard, passage)
  }
  writeLarge({ system, shard, units, keys, pin, endsAt, deadlineMs, append }).catch(
    (failure: unknown) => passage.refused(beforeTheLog(failure)),
  )
}

/** Waits until earlier writes to its keys have their blobs on the disk. */
const behindMarks = (passage: Passage): void => {
  const { system, shard, keys, endsAt, deadlineMs } = passage
  const terms = { marks: shard.marks, clock: system.clock, keys, endsAt, deadlineMs }
  inTurn(terms, async () => join(passage)).catch((failure: unknown) =>
    passage.refused(beforeTheLog(failure)),
  )
}

/**
 * The window in ms. It is 0 without a batcher, and while the gate is held: then groups must end.
 */
const windowOf = (passage: Passage): number => {
  const { shard, options } = passage
  const { windows, settings } = shard.parts
  const ownMs = options.windowMs ?? (windows.isEmpty ? 0 : windows.of(passage.namespace))
  // `wal.maxDelayMs` is a window of every write.
  const windowMs = Math.max(ownMs, settings.wal.maxDelayMs)
  return windowMs > 0 && shard.appends.keepsDepartures && !shard.gate.isHeld ? windowMs : 0
}

const full = ({ index, gate }: WritingShard): KeelsonError =>
  gate.counts(
    new KeelsonError(
      'BUSY',
      'the next group of the log is full until the one before it is written',
      {
        details: { shard: index },
      },
    ),
  )

/**
 * Resolves when every earlier write is decided: applied, refused, or the shard went down. Groups
 * that wait for a window leave at once. A stream counts from its end.
 */
export const settled = async (system: System, shard: WritingShard): Promise<void> => {
  await shard.gate.passed()
  await shard.marks.settled()
  // On a shard that is down, what was handed to the log waits until it is reopened.
  await shard.unlessStill(flushed(system, shard))
  await shard.settled()
}

/** Makes every applied write durable. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
export const synced = async (system: System, shard: WritingShard): Promise<void> => {
  if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
  await syncLog(system, shard)
}

/**
 * Resolves when every write in the log's queue is applied or refused. Resolves, too, at `endsAt` by
 * the monotonic clock, and when the shard is down: a write that follows finds that out.
 */
export const decided = (system: System, shard: WritingShard, endsAt: number): Promise<void> =>
  new Promise((resolve) => {
    const { clock } = system
    const cancel = clock.after(leftUntil(clock, endsAt), resolve)
    void shard.unlessStill(flushed(system, shard)).then(() => {
      cancel()
      resolve()
    })
  })

// The acknowledgements after `applied`: a write that is applied waits until it is replicated
// (`ack: 'replicated'`), or until the projection durably shows it (`ack: 'projected'`).
//
// Most writes end with `applied` and never come here.

/**
 * Resolves when everything up to `position` has reached the level `ack`.
 * @throws KeelsonError `TIMEOUT`, `DEGRADED` with `details.position`: the write is durable
 */
export const reached = (
  ack: CheckedWrite['ack'],
  ...of: Parameters<typeof projectedUpTo>
): Promise<void> => (ack === 'projected' ? projectedUpTo : replicatedUpTo)(...of)

/**
 * Resolves when everything up to `position` is replicated.
 * @throws KeelsonError `TIMEOUT` with `details.position`: the write is durable
 */
const replicatedUpTo = async (
  system: System,
  { replication }: WritingShard,
  position: Position,
  timeoutMs: number,
): Promise<void> => {
  const { done, giveUp } = replication.reached(position.lsn)
  const late = (cause?: unknown): KeelsonError =>
    new KeelsonError('TIMEOUT', 'the write is applied, but not replicated yet', {
      details: { position },
      cause,
    })
  const cancel = system.clock.after(timeoutMs, () => giveUp(late()))
  try {
    await done
  } catch (error) {
    throw isKeelsonError(error, 'TIMEOUT') ? error : late(error)
  } finally {
    cancel()
  }
}

/**
 * Resolves when the projection durably shows everything up to `position`.
 * @throws KeelsonError `TIMEOUT`, `DEGRADED` with `details.position`: the write is durable
 */
const projectedUpTo = async (
  system: System,
  shard: WritingShard,
  position: Position,
  timeoutMs: number,
): Promise<void> => {
  const { clock } = system
  const writer = system.to(LmdbWriter.name(shard.parts.instance, shard.index))
  const endsAt = clock.monotonic() + timeoutMs
  try {
    for (;;) {
      const request = LmdbWriter.request(writer, position.lsn, endsAt - clock.monotonic())
      const failure = await LmdbWriter.answerOf(shard, request)
        .then(() => undefined)
        .catch((error) => error)
      if (failure === undefined) return
      const isOver = shard.phase.kind === 'closed' || clock.monotonic() >= endsAt
      if (isOver || !isPassing(failure)) throw failure
      // The request was discarded, or the projection's writer restarts. The log brings the write.
      await passed(clock, retryMs)
    }
  } catch (error) {
    const code = isKeelsonError(error, 'DEGRADED') ? 'DEGRADED' : 'TIMEOUT'
    throw new KeelsonError(code, 'the write is applied, but the projection does not show it yet', {
      details: { position },
      cause: error,
    })
  }
}

/** Whether a failed request says nothing about the projection itself. */
const isPassing = (error: unknown): boolean =>
  ['DISCARDED', 'EXITED', 'NO_PROCESS'].some((code) => isKeelsonError(error, code as ErrorCode))

/** The pause before the next request, in ms. */
const retryMs = 10
