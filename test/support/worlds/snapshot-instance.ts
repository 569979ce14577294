/** An instance that makes snapshots early, and what lies on its disk. */
import { telemetry } from '../../../src/runtime/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import { type Machine, started } from './simulated-instance.ts'

const KiB = 1024

/** Segments of 128 KiB, and a snapshot for each 512 KiB of log. */
export const options: Partial<StartOptions> = {
  wal: { maxFileSize: 128 * KiB },
  snapshot: { minLogBytes: 512 * KiB },
}

/** The folders of the first shard. */
export const folders = {
  wal: '/data/shard-0/wal',
  lmdb: '/data/shard-0/lmdb',
  snapshots: '/data/shard-0/snapshot',
} as const

/** A machine, with an instance on it. */
export const startedWithSnapshots = (more: Partial<StartOptions> = {}, on: MachineOptions = {}) =>
  started({ ...options, ...more }, on)

/** A text of 8 KiB that begins with `at`. */
export const textOf = (at: number): string => `${at}:`.padEnd(8 * KiB, 'x')

/** Overwrites four keys in turn, `count` times with 8 KiB. */
export const overwrite = async ({ during }: Machine, app: App, count: number, from = 0) => {
  for (let at = from; at < from + count; at++) await during(app.store.put(`k${at % 4}`, textOf(at)))
}

/** The names in a folder; none if it is missing. */
export const namesIn = ({ disk }: Machine, dir: string, end: string): string[] =>
  disk.entry(dir) ? disk.list(dir).filter((name) => name.endsWith(end)) : []

/** The bytes of the files in a folder. */
export const bytesIn = (world: Machine, dir: string): number =>
  namesIn(world, dir, '').reduce(
    (sum, name) => sum + (world.disk.entry(`${dir}/${name}`)?.size ?? 0),
    0,
  )

/** Collects the events of these names. */
export const heard = (app: App, ...names: readonly string[]) => {
  const events: { name: string; [fact: string]: unknown }[] = []
  for (const name of names)
    (telemetry(app.system) as { on(name: string, heard: (event: object) => void): void }).on(
      name,
      (event) => events.push({ ...event, name }),
    )
  return events
}
