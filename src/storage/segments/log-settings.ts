/** The options that `start` and `keelson/wal` have for a log: a table of checks and defaults. Pure. */
import {
  type Check,
  flag,
  mapped,
  numberFrom,
  oneOf,
  optional,
  or,
  refusal,
  wholeFrom,
} from '../../check.ts'
import type { LogRetention } from '../ports/log-host.ts'

const MiB = 1024 * 1024

/** A number of ms, up to a year. */
export const ms = (min: number, max = 365 * 86_400_000): Check<number> => numberFrom(min, max)

/** The options of every log. */
export const logSettings = {
  /** Size of a segment, preallocated. */
  maxFileSize: or(wholeFrom(MiB / 8, 1_024 * MiB), 16 * MiB),
  /**
   * False: only `sync()`, a roll and a close sync, and answers have the level `written`; for tests
   * and bulk loads.
   */
  enableFsync: or(flag, true),
  /**
   * Interval of syncs in ms; at least 10 is used. Answers have the level `written`. Absent: one
   * sync for each group.
   */
  syncInterval: optional(mapped(ms(0), (interval) => Math.max(10, interval))),
  /** The longest wait for a group to fill. */
  maxDelayMs: or(ms(0, 60_000), 0),
  /** After this idle time a marker proves the last group durable; 0: never. */
  idleMarkerMs: or(ms(0), 100),
  /**
   * The most bytes that are accepted and not yet answered, for each log. A write counts at least
   * 256, and a larger one is accepted alone.
   */
  queueBytes: or(wholeFrom(256), 16 * MiB),
  /** The unit that a power cut may tear; 4096 for disks without powersafe overwrite. */
  sectorBytes: or(oneOf<number>(512, 4_096), 512),
}

/** The level of an answer: its frame is synced, or only written. */
export type WalLevel = 'durable' | 'written'

/** The level of the answers of a log with these options. */
export const walLevelOf = ({
  enableFsync,
  syncInterval,
}: {
  readonly enableFsync: boolean
  readonly syncInterval: number | undefined
}): WalLevel => (enableFsync && syncInterval === undefined ? 'durable' : 'written')

const retentionUnits: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** How much log is kept: bytes, or a time as text. */
export const retention: Check<LogRetention, number | string> = (log, at) => {
  if (Number.isSafeInteger(log) && Number(log) >= 0) return { bytes: Number(log) }
  const [, count, unit = ''] =
    typeof log === 'string' ? (/^(\d{1,9})([smhd])$/.exec(log) ?? []) : []
  if (count === undefined)
    throw refusal(at, "bytes, or a time such as '7d', '12h', '30m', '45s'", log)
  return { ms: Number(count) * (retentionUnits[unit] ?? 0) }
}
