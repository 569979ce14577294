/**
 * The options of a log as a library: their meaning, their defaults, and the check that all other
 * code relies on.
 */
import { resolve } from 'node:path'
import { configError, unknownOption } from '../../errors.ts'

/** The options of `Wal.open`. Only `dir` is required. Times are in ms, sizes in bytes. */
export type WalOptions = {
  /** The folder of the log. It is created if it is missing. */
  readonly dir: string
  /**
   * Default `true`. With `false`, only `sync()`, a roll and `close()` sync, and answers have the
   * level `written`.
   */
  readonly enableFsync?: boolean
  /** The size of a preallocated segment, 128 KiB to 1 GiB; default 16 MiB. */
  readonly maxFileSize?: number
  /**
   * The interval of syncs in ms, at least 10. Answers then have the level `written`. Absent: one
   * sync per group.
   */
  readonly syncInterval?: number
  /** How long a group waits to fill; default 0. */
  readonly maxDelayMs?: number
  /** The idle time after which a marker proves the last group durable; default 100, 0 for never. */
  readonly idleMarkerMs?: number
  /** Refuses to open a log that ends before this LSN. */
  readonly minDurable?: number
  /**
   * The limit of accepted bytes without an answer; default 16 MiB. An entry counts at least 256. An
   * entry above the limit is accepted alone.
   */
  readonly queueBytes?: number
  /**
   * The unit that a power cut may tear; default 512, or 4096 for disks without powersafe overwrite.
   */
  readonly sectorBytes?: number
}

/** The options with all defaults filled in. */
export type WalSettings = {
  readonly dir: string
  readonly enableFsync: boolean
  readonly maxFileSize: number
  /** `undefined`: one sync per group. */
  readonly syncInterval: number | undefined
  readonly maxDelayMs: number
  readonly idleMarkerMs: number
  readonly minDurable: number | undefined
  readonly queueBytes: number
  readonly sectorBytes: number
}

/** The level of an answer: the entry is synced, or only written. */
export type WalLevel = 'durable' | 'written'

/** The level of the answers of a log with these settings. */
export const walLevelOf = ({ enableFsync, syncInterval }: WalSettings): WalLevel =>
  enableFsync && syncInterval === undefined ? 'durable' : 'written'

type Range = { readonly min: number; readonly max: number; readonly whole: boolean }

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const year = 365 * 86_400_000

const numbers: Readonly<Record<string, Range>> = {
  maxFileSize: { min: 128 * KiB, max: GiB, whole: true },
  syncInterval: { min: 0, max: year, whole: false },
  maxDelayMs: { min: 0, max: 60_000, whole: false },
  idleMarkerMs: { min: 0, max: year, whole: false },
  minDurable: { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true },
  queueBytes: { min: 256, max: Number.MAX_SAFE_INTEGER, whole: true },
}

const names = ['dir', 'enableFsync', 'sectorBytes', ...Object.keys(numbers)]

/**
 * Checks options and fills in defaults. @throws KeelsonError `CONFIG` with `details.path`,
 * `expected` and `found`
 */
export const checkWalOptions = (options: WalOptions): WalSettings => {
  if (typeof options !== 'object' || options === null)
    throw configError('options', 'an object', options)
  for (const [name, value] of Object.entries(options)) checkOption(name, value)
  checkFolder(options.dir)
  const { syncInterval } = options
  return {
    // An absolute path: the process may change its working directory.
    dir: resolve(options.dir),
    enableFsync: options.enableFsync ?? true,
    maxFileSize: options.maxFileSize ?? 16 * MiB,
    syncInterval: syncInterval === undefined ? undefined : Math.max(10, syncInterval),
    maxDelayMs: options.maxDelayMs ?? 0,
    idleMarkerMs: options.idleMarkerMs ?? 100,
    minDurable: options.minDurable,
    queueBytes: options.queueBytes ?? 16 * MiB,
    sectorBytes: options.sectorBytes ?? 512,
  }
}

const checkFolder = (dir: unknown): void => {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0'))
    throw configError('dir', 'the path of a folder', dir)
}

const checkOption = (name: string, value: unknown): void => {
  if (!names.includes(name)) throw unknownOption('CONFIG', name, names)
  if (value === undefined || name === 'dir') return
  if (name === 'enableFsync' && typeof value !== 'boolean')
    throw configError(name, 'a boolean', value)
  if (name === 'sectorBytes' && value !== 512 && value !== 4096)
    throw configError(name, '512 or 4096', value)
  const range = Object.hasOwn(numbers, name) ? numbers[name] : undefined
  if (!range) return
  const { min, max, whole } = range
  const fits = typeof value === 'number' && value >= min && value <= max
  if (!fits || (whole && !Number.isSafeInteger(value)))
    throw configError(name, `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`, value)
}
