/**
 * Reads a log while it is written: the entries that were durable when the read began, in order, in
 * bounded pieces. Entries still to be read are pinned, so no release removes them. Ending the read
 * in any way removes the pin. It is apart from `wal.ts` because a read goes on for as long as its
 * caller wants.
 */
import { argument, flag, type Given, object, optional, that, wholeFrom } from '../../check.ts'
import { isKeelsonError } from '../../errors.ts'
import { decodeCheckpoint } from '../frames/control-payload.ts'
import { frameTypes } from '../frames/frame.ts'
import { decodeEntry, decodeOpaque } from '../frames/wal-entry.ts'
import type { LogHost, ReadAnswer, ReadFrame } from '../ports/log-host.ts'

const readOptions = {
  /**
   * The first LSN; 0 counts as 1. By default `'oldest'`, the first that the log has. One that a
   * release has removed is `BAD_CURSOR`.
   */
  from: optional(
    that<number | 'oldest'>(
      "an LSN, or 'oldest'",
      (found) => found === 'oldest' || (Number.isSafeInteger(found) && Number(found) >= 0),
    ),
  ),
  to: optional(wholeFrom(0)),
  /**
   * Begin after the newest checkpoint, or at `from` if that is later. Without a checkpoint read
   * everything.
   */
  fromCheckpoint: optional(flag),
  /** Also yield the checkpoints of `createCheckpoint`, in order. */
  checkpoints: optional(flag),
}

/** Which entries to read; by default every entry of the log. LSNs are inclusive. */
export type ReadOptions = Given<typeof readOptions>

/**
 * An entry. `bytes` is a view of the piece that was read (256 KiB, or the entry if it is longer):
 * copy bytes that you keep. `time` is when the log accepted it, in ms. It never decreases from
 * entry to entry.
 */
export type WalEntry = {
  readonly lsn: number
  readonly type: number
  readonly bytes: Uint8Array
  readonly time: number
}

/**
 * A checkpoint: everything up to `coveredLsn` is durable elsewhere. `time` is that of the last
 * entry read before it; 0 without one.
 */
export type WalCheckpoint = {
  readonly lsn: number
  readonly type: 'checkpoint'
  readonly bytes: Uint8Array
  readonly time: number
  readonly coveredLsn: number
}

/** The log of a reader. */
export type ReadSource = {
  readonly host: LogHost
  /** Makes everything durable that was answered before. */
  readonly settle: () => Promise<void>
  /** Checks that the log can be read. @throws KeelsonError if it is closed or has failed */
  readonly check: () => void
}

/** The greatest size of a piece, except for a longer entry. It bounds the memory of a reader. */
const pieceBytes = 256 * 1024

const check = object(readOptions)

/** A copy of read options, checked. @throws KeelsonError `INVALID_ARGUMENT` */
export const checkedReadOptions = (options: ReadOptions): ReadOptions =>
  check(options, argument('', 'a read')) as ReadOptions

/**
 * Reads the log.
 * @throws KeelsonError `BAD_CURSOR` if `from` is before the first LSN of the log; `CORRUPT` for
 * damage; `WRONG_TYPE` for the log of a store; `CLOSED`; `SHARD_DOWN`
 */
export async function* readLog(
  source: ReadSource,
  options: ReadOptions,
): AsyncGenerator<WalEntry | WalCheckpoint, void, undefined> {
  const { host } = source
  await source.settle()
  const start = await begin(host, options)
  if (!start) return
  try {
    let time = 0
    let piece = await readPiece(source, start, start.next, options)
    while (piece) {
      // The next piece is read while this one is used. If the caller stops, its result and its
      // failure are ignored.
      const ahead = readPiece(source, start, piece.next, options)
      ahead.catch(() => undefined)
      for (const frame of piece.frames) {
        const item = itemOf(piece, frame, time)
        if (!item) continue
        time = item.time
        yield item
      }
      source.check()
      piece = await ahead
    }
  } finally {
    // A closed log has no pins.
    await host.run('unpin', { pin: start.pin }).catch(() => null)
  }
}

/**
 * Reads a piece and moves the pin after it. Nothing waits for the pin: later requests come after
 * it, and fail if it fails. `undefined` at the end.
 */
const readPiece = async (
  { host, check }: ReadSource,
  { to, pin }: ReadStart,
  from: number,
  { checkpoints = false }: ReadOptions,
): Promise<ReadAnswer | undefined> => {
  if (from > to) return undefined
  check()
  const piece = await host.run('read', { from, to, maxBytes: pieceBytes, checkpoints })
  if (piece.next <= from) return undefined
  host.run('pin', { from: Math.min(piece.next, to), pin }).catch(() => undefined)
  return piece
}

type ReadStart = { readonly next: number; readonly to: number; readonly pin: number }

/** Pins the first LSN and fixes the last durable one; `undefined` if there is nothing to read. */
const begin = async (host: LogHost, options: ReadOptions): Promise<ReadStart | undefined> => {
  for (;;) {
    const { next, to } = await boundsOf(host, options)
    if (next > to) return undefined
    try {
      return { next, to, ...(await host.run('pin', { from: next })) }
    } catch (error) {
      // A read from the oldest is not refused if a release has removed its first entries.
      if (isGiven(options.from) || !isKeelsonError(error, 'BAD_CURSOR')) throw error
    }
  }
}

const boundsOf = async (
  host: LogHost,
  { from, to, fromCheckpoint }: ReadOptions,
): Promise<{ readonly next: number; readonly to: number }> => {
  const { firstLsn, durableLsn, checkpointLsn } = await host.run('state', null)
  const behindCheckpoint = fromCheckpoint ? checkpointLsn + 1 : 0
  return {
    // The log refuses a released LSN. 0 is never an LSN.
    next: Math.max(isGiven(from) ? Math.max(1, from) : firstLsn, behindCheckpoint),
    to: Math.min(to ?? durableLsn, durableLsn),
  }
}

const isGiven = (from: ReadOptions['from']): from is number =>
  from !== undefined && from !== 'oldest'

const itemOf = (
  { bytes }: ReadAnswer,
  { lsn, type, time, offset, length }: ReadFrame,
  lastTime: number,
): WalEntry | WalCheckpoint | undefined => {
  if (type === frameTypes.data) {
    const entry = decodeEntry(bytes, offset, length)
    return { lsn, type: entry.type, bytes: entry.bytes, time }
  }
  if (type !== frameTypes.checkpoint) return undefined
  const checkpoint = decodeCheckpoint(bytes.subarray(offset, offset + length))
  const opaque = checkpoint && decodeOpaque(checkpoint.opaque)
  if (!opaque) return undefined
  return { lsn, type: 'checkpoint', bytes: opaque, time: lastTime, coveredLsn: checkpoint.lsn }
}
