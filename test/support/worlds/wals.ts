/** Words for tests of `keelson/wal`: logs on a simulated disk and a virtual clock, their lives and deaths. */
import { type VirtualClock, virtualClock } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { type ReadOptions, Wal, type WalOptions } from '../../../src/storage/wal/wal.ts'
import { openWalFiles, type WalPorts } from '../../../src/storage/wal/wal-opening.ts'
import { checkWalOptions } from '../../../src/storage/wal/wal-options.ts'
import {
  repairWal,
  type VerifyOptions,
  verifyWal,
  type WalRepair,
  type WalVerification,
} from '../../../src/storage/wal/wal-repair.ts'
import { inlineLogHost } from '../../../src/testing/simulated/inline-host.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { dir } from './logs.ts'

/** Segments that hold a few entries: smaller than users may have them, so that little work goes through many of them. */
export const smallSegment = 8 * 1024

/** A disk, a clock, and whatever log is in `dir`. */
export type WalWorld = {
  readonly disk: SimulatedDisk
  readonly clock: VirtualClock
  readonly ports: WalPorts
  open(options?: Omit<Partial<WalOptions>, 'dir'>): Promise<Wal>
  repair(): Promise<WalRepair>
  verify(options?: VerifyOptions, folder?: string): Promise<WalVerification>
  /** The same on another disk, or the same disk later. */
  on(disk: SimulatedDisk): WalWorld
}

/** What a world is made of. With `delayMs` each request of the log is answered that much later. */
export type WalWorldOptions = { readonly seed?: number; readonly delayMs?: number }

/** A world without a log. */
export const walWorld = (options: WalWorldOptions = {}): WalWorld =>
  worldOn(simulatedDisk({ seed: options.seed ?? 1 }), options)

/** A world, whole and in parts, with its first log open. */
export const openedWal = async (
  options: Omit<Partial<WalOptions>, 'dir'> = {},
  on: WalWorldOptions = {},
) => {
  const world = walWorld(on)
  return { ...world, world, wal: await world.open(options) }
}

const worldOn = (disk: SimulatedDisk, { seed = 1, delayMs = 0 }: WalWorldOptions): WalWorld => {
  const clock = virtualClock(seed)
  const makeHost = () => inlineLogHost({ disk, clock, delayMs })
  const ports = { disk, clock, makeHost }
  return {
    disk,
    clock,
    ports,
    async open({ maxFileSize = smallSegment, ...others } = {}) {
      const settings = { ...checkWalOptions({ dir, ...others }), maxFileSize }
      const opened = openWalFiles(settings, ports)
      if (delayMs > 0) await clock.advance(5 * delayMs)
      return new Wal(await opened)
    },
    repair: () => repairWal(dir, ports),
    verify: (options, folder = dir) => verifyWal(folder, ports, options),
    // Salts differ from life to life, as they do on a real clock.
    on: (other) => worldOn(other, { seed: seed + 1, delayMs }),
  }
}

/** Bytes that only entry `number` has. */
export const bytesOf = (number: number, size = 40): Uint8Array =>
  Uint8Array.from({ length: size }, (_, at) => (number * 31 + at * 7 + (at >> 8)) & 0xff)

/** The code that `promise` rejects with, or `'resolved'`. */
export const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (isKeelsonError(error) ? error.code : String(error)),
  )

/** An entry as it compares and prints. */
export type Shown = {
  readonly lsn: number
  readonly type: number | 'checkpoint'
  readonly bytes: string
}

/** Content as it compares and prints. */
export const shown = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

/** Everything that a reading yields. */
export const readAll = async (wal: Wal, options: ReadOptions = {}): Promise<Shown[]> => {
  const found: Shown[] = []
  for await (const { lsn, type, bytes } of wal.read({
    ...options,
    checkpoints: options.checkpoints === true,
  } as ReadOptions & { checkpoints: true }))
    found.push({ lsn, type, bytes: shown(bytes) })
  return found
}

/** The bytes of every file except LOCK, to check that nothing changed. */
export const filesOn = (disk: SimulatedDisk, folder = dir): Map<string, string> => {
  const files = new Map<string, string>()
  if (!disk.entry(folder)) return files
  for (const name of disk.list(folder)) {
    const path = `${folder}/${name}`
    if (disk.entry(path)?.kind === 'folder')
      for (const [inner, content] of filesOn(disk, path)) files.set(inner, content)
    else if (name !== 'LOCK') files.set(path, shown(disk.contents(path)))
  }
  return files
}

/** Lets `work` settle on a virtual clock: whatever it waits for comes within ten seconds. */
export const drive = async <T>(
  clock: { advance(ms: number): Promise<void> },
  work: Promise<T>,
): Promise<T> => {
  await clock.advance(10_000)
  return work
}
