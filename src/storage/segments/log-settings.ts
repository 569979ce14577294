/** The options that `start` and `keelson/wal` have for a log: a table of checks and defaults. Pure. */

import { privateKeyOf } from '../../bytes/ed25519.ts'
import {
  below,
  type Check,
  flag,
  mapped,
  numberFrom,
  oneOf,
  optional,
  or,
  refusal,
  secret,
  wholeFrom,
} from '../../check.ts'
import { ownOf } from '../../own-names.ts'
import type { CommitmentOptions, LogRetention } from '../ports/log-host.ts'

const MiB = 1024 * 1024

/** A number of ms, up to a year. */
export const ms = (min: number, max = 365 * 86_400_000): Check<number> => numberFrom(min, max)

/** The options of every log. Their docs reach the options of users through this type. */
export type LogSettings = {
  /** Size of a segment, preallocated. */
  readonly maxFileSize: Check<number>
  /**
   * False: only `sync()`, a roll and a close sync, and answers have the level `written`; for tests
   * and bulk loads.
   */
  readonly enableFsync: Check<boolean>
  /**
   * Interval of syncs in ms; at least 10 is used. Answers have the level `written`. Absent: one
   * sync for each group.
   */
  readonly syncInterval: Check<number | undefined, number>
  /** The longest wait for a group to fill. */
  readonly maxDelayMs: Check<number>
  /** After this idle time a marker proves the last group durable; 0: never. */
  readonly idleMarkerMs: Check<number>
  /**
   * The most bytes that are accepted and not yet answered, for each log. A write counts at least
   * 256, and a larger one is accepted alone.
   */
  readonly queueBytes: Check<number>
  /** The unit that a power cut may tear; 4096 for disks without powersafe overwrite. */
  readonly sectorBytes: Check<number>
}

/** Their checks and defaults. */
export const logSettings: LogSettings = {
  maxFileSize: or(wholeFrom(MiB / 8, 1_024 * MiB), 16 * MiB),
  enableFsync: or(flag, true),
  syncInterval: optional(mapped(ms(0), (interval) => Math.max(10, interval))),
  maxDelayMs: or(ms(0, 60_000), 0),
  idleMarkerMs: or(ms(0), 100),
  queueBytes: or(wholeFrom(256), 16 * MiB),
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
  return { ms: Number(count) * (ownOf(retentionUnits, unit) ?? 0) }
}

/** The check of the option `commitments`; `undefined` for none. */
export const commitments: Check<CommitmentOptions | undefined, boolean | { readonly key: string }> =
  secret((found, at) => {
    if (typeof found === 'boolean') return found ? {} : undefined
    const { key, ...others } = (found ?? {}) as { key?: unknown }
    if (typeof key !== 'string' || Object.keys(others).length > 0)
      throw refusal(at, 'true, false or { key }', found)
    try {
      return { key: privateKeyOf(key) }
    } catch {
      throw refusal(below(at, 'key'), 'an Ed25519 private key in PEM', key)
    }
  })
