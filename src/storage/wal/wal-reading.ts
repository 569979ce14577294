/**
 * Reads a log while it is written: what was durable when the reading began, in bounded pieces, in order. What is still to be
 * read is pinned, so no release takes it away; ending the reading, in whatever way, frees it.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { decodeCheckpoint } from '../frames/control-payload.ts'
import { frameTypes } from '../frames/frame.ts'
import { decodeEntry, decodeOpaque } from '../frames/wal-entry.ts'
import type { LogHost, ReadAnswer, ReadFrame } from '../ports/log-host.ts'

/** What to read; everything when nothing is said. LSNs are inclusive. */
export type ReadOptions = {
  readonly from?: number
  readonly to?: number
  /** Begin behind the newest checkpoint, or at `from` when that is later. Without a checkpoint: everything. */
  readonly fromCheckpoint?: boolean
  /** Yield the checkpoints of `createCheckpoint` too, in their places. */
  readonly checkpoints?: boolean
}

/** An entry. `bytes` are a view of the piece that was read, at most 256 KiB or the entry: copy what you keep for long. `time` is when the log took it, in ms, never less than the entry before. */
export type WalEntry = {
  readonly lsn: number
  readonly type: number
  readonly bytes: Uint8Array
  readonly time: number
}

/** A checkpoint: everything up to `coveredLsn` is durable elsewhere. `time` is that of the last entry before it that was read; 0 without one. */
export type WalCheckpoint = {
  readonly lsn: number
  readonly type: 'checkpoint'
  readonly bytes: Uint8Array
  readonly time: number
  readonly coveredLsn: number
}

/** What a reader stands on. */
export type ReadSource = {
  readonly host: LogHost
  /** Makes everything durable that was answered before. */
  readonly settle: () => Promise<void>
  /** @throws when the log is not read any more: it is closed, or failed. */
  readonly check: () => void
}

/** Payloads that one piece holds at most, but for one larger entry: what a reader keeps in memory. */
const pieceBytes = 256 * 1024

/** @throws KeelsonError `INVALID_ARGUMENT` for options that mean nothing. */
export const checkReadOptions = (options: ReadOptions): void => {
  if (typeof options !== 'object' || options === null) throw invalid('options', options)
  for (const name of Object.keys(options)) if (!readOptionNames.has(name)) throw invalid(name, name)
  const { from, to, fromCheckpoint, checkpoints } = options
  for (const [name, lsn] of Object.entries({ from, to }))
    if (lsn !== undefined && !(Number.isSafeInteger(lsn) && lsn >= 0)) throw invalid(name, lsn)
  for (const [name, flag] of Object.entries({ fromCheckpoint, checkpoints }))
    if (flag !== undefined && typeof flag !== 'boolean') throw invalid(name, flag)
}

const readOptionNames: ReadonlySet<string> = new Set([
  'from',
  'to',
  'fromCheckpoint',
  'checkpoints',
])

const invalid = (path: string, found: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `read options cannot have ${path} ${String(found)}`, {
    details: { path, found },
  })

/**
 * Reads.
 * @throws KeelsonError `INVALID_ARGUMENT` when `from` lies before the first LSN that is kept, `CORRUPT` for damage,
 * `WRONG_TYPE` for the log of a store, `CLOSED`, `SHARD_DOWN`.
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
      // The next piece is read while this one is used. Whoever leaves has no use for it, nor for its failure.
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
    // A log that is closed has let go of its pins.
    await host.run('unpin', { pin: start.pin }).catch(() => null)
  }
}

/**
 * Reads a piece, and lets go of it in the log: only what comes behind it is still needed. Nobody waits for that, as whatever is asked
 * next comes after it; when it fails, so does the next question. `undefined` at the end.
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

/** Where to begin, pinned, and where what is durable now ends; `undefined` when there is nothing between. */
const begin = async (host: LogHost, options: ReadOptions): Promise<ReadStart | undefined> => {
  for (;;) {
    const { next, to } = await boundsOf(host, options)
    if (next > to) return undefined
    try {
      return { next, to, ...(await host.run('pin', { from: next })) }
    } catch (error) {
      // Who asks for whatever is there is not refused because some of it was released in between.
      if (options.from || !isKeelsonError(error, 'INVALID_ARGUMENT')) throw error
    }
  }
}

const boundsOf = async (
  host: LogHost,
  { from, to, fromCheckpoint }: ReadOptions,
): Promise<{ readonly next: number; readonly to: number }> => {
  const { segments, durableLsn, checkpointLsn } = await host.run('describe', null)
  const firstLsn = segments[0]?.baseLsn ?? 1
  const behindCheckpoint = fromCheckpoint ? checkpointLsn + 1 : 0
  return {
    // An LSN that is not there any more is refused by the log; 0 is nobody's.
    next: Math.max(from || firstLsn, behindCheckpoint),
    to: Math.min(to ?? durableLsn, durableLsn),
  }
}

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
