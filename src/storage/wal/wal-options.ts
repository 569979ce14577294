/** The options of a log that is used alone: their meaning, their defaults, and the check that all else relies on. */
import { resolve } from 'node:path'
import { configError } from '../../errors.ts'

/** What `Wal.open` takes. Only `dir` has no default. Times in ms, sizes in bytes. */
export type WalOptions = {
  /** The log's folder; made when missing. */
  readonly dir: string
  /** False: nothing is synced but by `sync()`, a roll and `close()`, and each answer says `written`. True. */
  readonly enableFsync?: boolean
  /** Size of a segment, preallocated; 16 MiB, from 128 KiB to 1 GiB. */
  readonly maxFileSize?: number
  /** A hint for whoever releases, never a reason to delete; 4. */
  readonly maxSegments?: number
  /** A number, raised to 10: sync every so many ms, answers at level `written`. Absent: a sync per group. */
  readonly syncInterval?: number
  /** Waits that long for a group to fill; 0. */
  readonly maxDelayMs?: number
  /** After that much idleness a marker proves the last group durable; 100, 0 for never. */
  readonly idleMarkerMs?: number
  /** Refuse to open when the log does not reach this LSN. */
  readonly minDurable?: number
  /** Bytes accepted and not yet answered; 16 MiB. An entry counts at least 256; one larger than the limit is taken alone. */
  readonly queueBytes?: number
  /** What a power cut may tear; 512, or 4096 for disks without powersafe overwrite. */
  readonly sectorBytes?: number
}

/** The options with every default filled in. */
export type WalSettings = {
  readonly dir: string
  readonly enableFsync: boolean
  readonly maxFileSize: number
  readonly maxSegments: number
  /** `undefined`: a sync per group. */
  readonly syncInterval: number | undefined
  readonly maxDelayMs: number
  readonly idleMarkerMs: number
  readonly minDurable: number | undefined
  readonly queueBytes: number
  readonly sectorBytes: number
}

/** What an answer says of an entry: synced, or only written. */
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
  maxSegments: { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true },
  syncInterval: { min: 0, max: year, whole: false },
  maxDelayMs: { min: 0, max: 60_000, whole: false },
  idleMarkerMs: { min: 0, max: year, whole: false },
  minDurable: { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true },
  queueBytes: { min: 256, max: Number.MAX_SAFE_INTEGER, whole: true },
}

const names = ['dir', 'enableFsync', 'sectorBytes', ...Object.keys(numbers)]

/** Checks options and fills in defaults. @throws KeelsonError `CONFIG` with `details.path`, `expected` and `found`. */
export const checkWalOptions = (options: WalOptions): WalSettings => {
  if (typeof options !== 'object' || options === null)
    throw configError('options', 'an object', options)
  for (const [name, value] of Object.entries(options)) checkOption(name, value)
  checkFolder(options.dir)
  const { syncInterval } = options
  return {
    // The log outlives whatever folder the process is in now.
    dir: resolve(options.dir),
    enableFsync: options.enableFsync ?? true,
    maxFileSize: options.maxFileSize ?? 16 * MiB,
    maxSegments: options.maxSegments ?? 4,
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
  if (!names.includes(name)) throw configError(name, `one of ${names.join(', ')}`, name)
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
