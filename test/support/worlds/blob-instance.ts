/** An instance with a low threshold for blobs, and what lies on its disk. */
import { BlobStore } from '../../../src/actors/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { type Machine, started } from './simulated-instance.ts'

/** A value of 1,000 bytes is a blob, kept for a minute; a sweep happens when the test says so. */
export const options = { blobs: { threshold: 1000, graceMs: 60_000, sweepMs: 0 } }

/** Where the blobs lie. */
export const dir = '/data/shard-0/blobs'

/** The segments of blobs. */
export const blobFiles = ({ disk }: Machine): string[] =>
  disk.entry(dir) ? disk.list(dir).filter((name) => name.endsWith('.bloblog')) : []

/** A machine, with an instance on it. */
export const startedWithBlobs = (more: Partial<StartOptions> = {}) =>
  started({ ...options, ...more })

/** Lets the grace pass, and sweeps. */
export const swept = async (world: Machine, app: App, graceMs = 61_000) => {
  await world.clock.advance(graceMs)
  return world.during(BlobStore.sweep(app.system.to(BlobStore.name('default', 0))))
}

/** The bytes of the shard's log. */
export const logBytes = ({ disk }: Machine): number =>
  disk
    .list('/data/shard-0/wal')
    .filter((name) => name.endsWith('.wal'))
    .reduce(
      (sum, name) =>
        sum +
        Buffer.from(disk.contents(`/data/shard-0/wal/${name}`)).filter((byte) => byte !== 0).length,
      0,
    )

/** Counts the projections that were set aside from now on. */
export const watchedProjection = (app: App) => {
  const files = app.shards[0]?.files
  if (!files) throw new Error('no shard')
  let lives = 0
  const distrust = files.distrustProjection.bind(files)
  files.distrustProjection = () => {
    lives++
    distrust()
  }
  return { projectionLives: () => lives }
}
