/** A store that is killed, and what its keys, rows and files must be after that. */
import { execFile } from 'node:child_process'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type App,
  type Compound,
  countsByNamespace,
  type HistoryEntry,
  history,
  KeelsonError,
  projection,
  type StartOptions,
  start,
  telemetry,
} from 'keelson'
import { systemClock } from '../../src/clock.ts'
import type { Life } from './struck-store.ts'
import { type Change, type Held, textOf, WrittenKeys } from './written-keys.ts'

const [KiB, MiB] = [1024, 1024 * 1024]

/** How the rounds of a kind are done. */
export type Kind = {
  readonly snapshot: NonNullable<StartOptions['snapshot']> & { readonly minLogBytes: number }
  readonly work: Life['work']
  /** Keys of 4 KiB that are there from the beginning. */
  readonly baseKeys: number
  /** How often the projection is removed before a life. */
  readonly losses: number
  /** Killed between these two steps, or up to `after` ms behind the last. */
  readonly from: string
  readonly to: string
  readonly after: number
}

/** What the lives of stores came to. */
export type LifeCounts = {
  made: number
  released: number
}

/** One folder, and what it must hold. */
export type Place = {
  readonly dir: string
  readonly kind: Kind
  readonly keys: WrittenKeys
  version: number
  next: number
}

/** The path of a folder of its shard. */
export const folderOf = ({ dir }: Place, name: string): string => join(dir, 'shard-0', name)

/** The names of the files in a folder of its shard. */
export const namesIn = (place: Place, name: string): string[] => {
  try {
    return readdirSync(folderOf(place, name))
  } catch {
    return []
  }
}

const bytesIn = (place: Place, name: string): number =>
  namesIn(place, name).reduce(
    (sum, file) => sum + statSync(join(folderOf(place, name), file)).size,
    0,
  )

/** The options of its lives. */
export const optionsOf = (
  { kind: { snapshot } }: Place,
  sweepMs: number,
): Partial<StartOptions> => ({
  wal: { maxFileSize: 128 * KiB },
  blobs: { threshold: 4 * KiB + 1, segmentBytes: 128 * KiB, graceMs: 1, sweepMs },
  snapshot,
})

/** Opens a place. The `flock` tool of the process that was killed may outlive it by some ms. */
const opened = async (place: Place, more: Partial<StartOptions> = {}): Promise<App> => {
  const again = projection('again', {
    version: place.version,
    project: countsByNamespace().project,
  })
  const projections = [countsByNamespace(), history({ prefix: 'w', max: 3 }), again]
  const { bytesPerSecond: _, ...snapshot } = place.kind.snapshot
  const options = { dir: place.dir, ...optionsOf(place, 0), snapshot, projections, ...more }
  for (let tries = 1; ; tries++) {
    try {
      return await start(options)
    } catch (error) {
      if (!(error instanceof KeelsonError) || error.code !== 'LOCKED_DIR' || tries === 100)
        throw error
      await new Promise<void>((resolve) => systemClock().after(20, resolve))
    }
  }
}

const heldIn = async ({ store }: App): Promise<Map<string, Held>> => {
  const found = new Map<string, Held>()
  for await (const [key, value] of store.entries())
    if (typeof value === 'string') found.set(key, value)
    else if (typeof (value as Compound)?.size === 'number')
      found.set(key, store.fields(key) as Map<string, string>)
    else throw new Error(`${key} is ${String(value)}`)
  return found
}

const rowsOf = <T>(app: App, name: string): Map<string, T> => {
  const rows = new Map<string, T>()
  const view = app.projection<T>(name)
  for (let cursor: string | undefined; ; ) {
    const page = view.range({ limit: 10_000, ...(cursor !== undefined && { cursor }) })
    for (const [key, row] of page.entries) rows.set(key, row)
    cursor = page.cursor
    if (page.exhausted || cursor === undefined) return rows
  }
}

/** Holds the projections by users against the keys. @throws Error naming the row that is wrong */
const checkProjections = (app: App, held: ReadonlyMap<string, Held>): void => {
  const counts = new Map<string, number>()
  for (const key of held.keys()) {
    const namespace = key.slice(0, key.indexOf(':'))
    counts.set(namespace, (counts.get(namespace) ?? 0) + 1)
  }
  const textOfCounts = (rows: Map<string, number>): string => JSON.stringify([...rows].sort())
  for (const name of ['counts', 'again']) {
    const found = textOfCounts(rowsOf<number>(app, name))
    if (found !== textOfCounts(counts))
      throw new Error(`${name} is ${found} instead of ${textOfCounts(counts)}`)
    const status = app.projection(name).status()
    if (status.some(({ state }) => state !== 'live'))
      throw new Error(`${name} is ${JSON.stringify(status)}`)
  }
  const past = rowsOf<HistoryEntry[]>(app, 'history')
  for (const key of new Set([...past.keys(), ...held.keys()])) {
    if (!key.startsWith('w')) continue
    const last = past.get(key)?.at(-1)?.value
    if (last !== held.get(key))
      throw new Error(`the history of ${key} ends with ${String(last).slice(0, 40)}`)
  }
}

/** Makes a snapshot, and holds files and sizes against their bounds. */
const checkFiles = async (app: App, place: Place): Promise<void> => {
  const live = [...place.keys.held.values()].reduce(
    (sum, held) => sum + (typeof held === 'string' ? held.length : 1_000),
    0,
  )
  await app.control.sweep(0)
  const wrong: string[] = []
  const bound = (name: string, most: number): void => {
    const bytes = bytesIn(place, name)
    if (bytes > most) wrong.push(`${name} has ${bytes} bytes, more than ${most}`)
  }
  if (place.kind.snapshot.minLogBytes < MiB) {
    const { lsn, bytes } = await app.control.snapshot(0)
    const name = `${lsn.toString(16).padStart(16, '0')}.snap`
    const names = namesIn(place, 'snapshot')
    if (names.join() !== name) wrong.push(`the snapshots are ${names.join()} instead of ${name}`)
    if (bytes > 2 * live + MiB) wrong.push(`the snapshot has ${bytes} bytes for ${live}`)
    bound('wal', MiB)
    bound('lmdb', 6 * live + 8 * MiB)
  }
  if (wrong.length > 0) throw new Error(wrong.join('; '))
}

/** Restores the backup of a place, and holds its keys against the ledger. */
const verifyBackup = async (place: Place): Promise<void> => {
  const dir = `${place.dir}.restored`
  const program = 'dist/inspect/cli/cli.js'
  const args = [program, 'restore', `${place.dir}.backup`, '--to', dir]
  await promisify(execFile)(process.execPath, args)
  const app = await opened({ ...place, dir }, { app: false })
  try {
    place.keys.settle(await heldIn(app))
  } finally {
    await app.close()
  }
  rmSync(dir, { recursive: true, force: true })
}

/**
 * Opens a place after a kill, holds everything against the ledger, and closes it. `isThorough`: files
 * and sizes too, for which a snapshot is made. @throws Error naming what is wrong
 */
export const verify = async (place: Place, sum: LifeCounts, isThorough: boolean): Promise<void> => {
  const { keys } = place
  const app = await opened(place)
  const { system } = app
  telemetry(system).on('snapshot.made' as never, (() => sum.made++) as never)
  telemetry(system).on(
    'log.released' as never,
    (({ segments }: { segments: number }) => {
      sum.released += segments
    }) as never,
  )
  try {
    keys.settle(await heldIn(app))
    const probe: Change = ['put', 'z:probe', place.next]
    keys.calls(-1, [probe])
    const { position } = await app.store.put('z:probe', `${place.next} `)
    keys.answered(-1)
    await app.control.flush(0)
    for (const name of ['counts', 'history', 'again']) await app.projection(name).reached(position)
    checkProjections(app, keys.held)
    if (isThorough) await checkFiles(app, place)
    if (place.kind.work === 'backups') await app.backup(`${place.dir}.backup`)
  } finally {
    await app.close()
  }
  if (place.kind.work === 'backups') await verifyBackup(place)
}

/** A new store with the first keys of its kind, and a snapshot for kinds that begin with one. */
export const newPlace = async (dir: string, kind: Kind): Promise<Place> => {
  const place: Place = { dir, kind, keys: new WrittenKeys(), version: 1, next: 1 }
  const app = await opened(place)
  const base = Array.from(
    { length: kind.baseKeys },
    (_, at): Change => ['put', `base:${at}`, at, 4 * KiB],
  )
  for (let at = 0; at < base.length; at += 10) {
    const part = base.slice(at, at + 10)
    place.keys.calls(-1, part)
    await app.store.putMany(part.map(([, key, number, length]) => [key, textOf(number, length)]))
    place.keys.answered(-1)
  }
  if (kind.snapshot.minLogBytes < MiB) await app.control.snapshot(0)
  await app.close()
  return place
}
