/** Words for tests of the log: a log on a simulated disk, frames whose content says which they are, lives and deaths. */
import { virtualClock } from '../../../src/clock.ts'
import { createLog, type Log } from '../../../src/storage/log/log.ts'
import type {
  Commit,
  Inspection,
  LogOptions,
  OpenReport,
} from '../../../src/storage/ports/log-host.ts'
import type { NamedSnapshot } from '../../../src/storage/ports/named-snapshot.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

/** The folder of every log here. */
export const dir = '/data/wal'

/** Segments that hold a few frames, so that little work goes through many of them. */
export const small: LogOptions = { maxFileSize: 8 * 1024, sectorBytes: 512 }

/** A payload of `size` bytes: room for the stamp, then bytes that only frame `number` has. */
export const payload = (number: number, size = 40): Uint8Array => {
  const bytes = new Uint8Array(Math.max(size, 8))
  for (let at = 8; at < bytes.length; at++) bytes[at] = (number * 31 + at * 7 + (at >> 8)) & 0xff
  return bytes
}

/** What a log gives back: content without the stamp, as text so that it compares and prints. */
export type Recovered = { readonly lsn: number; readonly time: number; readonly content: string }

const contentOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(8)).toString('base64')

/** The content that `payload(number, size)` comes back as. */
export const content = (number: number, size?: number): string => contentOf(payload(number, size))

/** Commits payloads as one group. */
export const commit = (
  log: Log,
  payloads: readonly Uint8Array[],
  { now = 0, sync = true, projectedLsn = 0, features = 0 } = {},
): Commit =>
  log.handle('commit', {
    bytes: Buffer.concat(payloads),
    lengths: payloads.map(({ length }) => length),
    now,
    sync,
    projectedLsn,
    features,
  })

/** Names a snapshot, in the present life of the log. */
export const name = (log: Log, snapshot: NamedSnapshot, keep = 1) =>
  log.handle('name', { epoch: log.handle('state', null).epoch, snapshot, keep })

/** Releases frames up to `lsn`, in the present life of the log. */
export const release = (log: Log, lsn = Number.MAX_SAFE_INTEGER) =>
  log.handle('release', { epoch: log.handle('state', null).epoch, lsn })

/** Every DATA frame, read in answers of `maxBytes`. */
export const readAll = (log: Log, maxBytes = 2048, from = 1): Recovered[] => {
  const found: Recovered[] = []
  for (let next = from; ; ) {
    const answer = log.handle('read', { from: next, maxBytes })
    for (const { lsn, time, offset, length } of answer.frames)
      found.push({ lsn, time, content: contentOf(answer.bytes.subarray(offset, offset + length)) })
    if (answer.frames.length === 0) return found
    next = answer.next
  }
}

/** A simulated disk with a clock, and lives of the one log on it. */
export type LogWorld = {
  readonly disk: SimulatedDisk
  /** A log that nothing was asked of yet. */
  log(): Log
  create(): void
  inspect(evidence?: Parameters<typeof inspectOn>[1]): Inspection
  /** Inspects and opens. */
  open(): { readonly log: Log; readonly report: OpenReport; readonly inspection: Inspection }
  /** The same world on another disk, or with other options. */
  on(disk: SimulatedDisk, options?: LogOptions): LogWorld
}

const inspectOn = (
  world: { log(): Log; options: LogOptions },
  evidence: readonly { lsn: number; source: string; walId?: string }[] = [],
): Inspection => world.log().handle('inspect', { dir, options: world.options, evidence })

/** A world over `disk`; nothing is created yet. */
export const worldOn = (
  disk: SimulatedDisk,
  options = small,
  seed = 1,
  clock = virtualClock(seed),
): LogWorld => {
  const log = () => createLog(disk, clock)
  const inspect = (evidence?: Parameters<typeof inspectOn>[1]) =>
    inspectOn({ log, options }, evidence)
  return {
    disk,
    log,
    create: () => void log().handle('create', { dir, options }),
    inspect,
    open() {
      const inspection = inspect()
      const opened = log()
      return {
        log: opened,
        report: opened.handle('open', { dir, options, inspection }),
        inspection,
      }
    },
    // Salts differ from life to life, as they do on a real clock.
    on: (other, otherOptions = options) => worldOn(other, otherOptions, seed + 1),
  }
}

/** A world in which a log was created. */
export const newWorld = (options = small, seed = 1): LogWorld => {
  const world = worldOn(simulatedDisk({ seed, sectorBytes: options.sectorBytes }), options, seed)
  world.create()
  return world
}

/** A log that was just created and opened, and its world. */
export const openedLog = (options = small, seed = 1) => {
  const world = newWorld(options, seed)
  return { world, ...world.open() }
}

/** Groups of two frames of 432 bytes, each 1,024 bytes in the file, six to a segment of 10 KiB; then a crash. */
export const crashedLogOf = (groups: number): LogWorld => {
  const world = newWorld({ maxFileSize: 10 * 1024, sectorBytes: 512 })
  const { log } = world.open()
  for (let group = 0; group < groups; group++)
    commit(log, [payload(2 * group + 1, 400), payload(2 * group + 2, 400)])
  log.abandon()
  world.disk.crash()
  return world
}

/** Opens what was salvaged into `folder`, as an instance does that needs all of it. */
export const openSalvaged = (disk: SimulatedDisk, folder: string) => {
  const clock = virtualClock(9)
  const inspection = createLog(disk, clock).handle('inspect', {
    dir: folder,
    options: small,
    evidence: [],
    needs: { heldFrom: 1, readFrom: 1 },
  })
  const log = createLog(disk, clock)
  log.handle('open', { dir: folder, options: small, inspection })
  return { log, inspection }
}

/** Runs work in steps to its end, and answers what it answers. */
export const runToEnd = <T>(steps: Generator<unknown, T>): T => {
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/** The bytes of every file, to check that nothing changed. */
export const filesOf = (disk: SimulatedDisk): Map<string, string> => {
  const files = new Map<string, string>()
  const walk = (folder: string): void => {
    if (!disk.entry(folder)) return
    for (const name of disk.list(folder)) {
      const path = `${folder}/${name}`
      if (disk.entry(path)?.kind === 'folder') walk(path)
      else files.set(path, Buffer.from(disk.contents(path)).toString('base64'))
    }
  }
  walk(dir)
  return files
}

/** Leaves no free space. */
export const fill = (disk: SimulatedDisk): void => {
  disk.capacityBytes = 2 ** 40
  disk.capacityBytes -= disk.freeBytes
}

/** The segments in the folder, oldest first. */
export const segmentsOn = (disk: SimulatedDisk): string[] =>
  disk
    .list(dir)
    .filter((name) => name.endsWith('.wal'))
    .map((name) => `${dir}/${name}`)
    .sort((a, b) => (a.slice(-12) < b.slice(-12) ? -1 : 1))

/** The newest segment's path. */
export const newestOn = (disk: SimulatedDisk): string => segmentsOn(disk).at(-1) ?? ''
