/** Paths in the folder of `doctor-folder.ts`, and ways to harm what is there. */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import type { ProjectedPosition, RowChange } from '../../../src/storage/index.ts'
import { lmdbProjections, loadLmdb } from '../../../src/storage/index.ts'
import { change, segmentsIn } from '../../support/commands/command-logs.ts'
import { keyIn } from '../../support/commands/doctor-folder.ts'

/** The folder of a shard. */
export const shard = (dir: string, at: number): string => join(dir, `d/shard-${at}`)
/** The log of a shard. */
export const wal = (dir: string, at: number): string => join(shard(dir, at), 'wal')
/** The newest segment of a shard. */
export const newest = (dir: string, at: number): string => segmentsIn(wal(dir, at)).at(-1) ?? ''
const firstIn = (dir: string): string => join(dir, readdirSync(dir)[0] ?? '')
const inSnapshots = (dir: string, at: number, ending: string): readonly string[] => {
  const folder = join(shard(dir, at), 'snapshot')
  const files = readdirSync(folder).filter((name) => name.endsWith(ending))
  return files.sort().map((name) => join(folder, name))
}
/** The snapshot of a shard. */
export const snapshot = (dir: string, at: number): string =>
  inSnapshots(dir, at, '.snap')[0] as string
/** The saved states of the journal of shard 0, oldest first. */
export const states = (dir: string): readonly string[] => inSnapshots(dir, 0, '.state')
/** The first file of blobs of a shard. */
export const blobs = (dir: string, at: number): string => firstIn(join(shard(dir, at), 'blobs'))
/** The file of the projection of a shard. */
export const pages = (dir: string, at: number): string => join(shard(dir, at), 'lmdb/data.mdb')
/** The MANIFEST of a shard. */
export const manifest = (dir: string, at: number): string => join(wal(dir, at), 'MANIFEST')
/** Removes a file or a folder. */
export const remove = (path: string): void => rmSync(path, { recursive: true })

/** Flips a bit. */
export const flip = (path: string, offset: number): void => {
  const byte = readFileSync(path)[offset] ?? 0
  change(path, offset, Uint8Array.of(byte ^ 1))
}

/** Edits keelson.json. */
export const facts = (dir: string, edit: (text: string) => string): void => {
  const path = join(dir, 'd/keelson.json')
  writeFileSync(path, edit(readFileSync(path, 'utf8')))
}

/** Commits into a projection as its writer does: sums hold, and LMDB has nothing to complain of. */
export const commit = async (
  dir: string,
  changes: readonly RowChange[],
  edit: (position: ProjectedPosition) => ProjectedPosition = (position) => position,
): Promise<void> => {
  const examine = () => Promise.reject(new Error('not used'))
  const store = lmdbProjections(await loadLmdb(), nodeDisk(), examine).open(
    join(shard(dir, 0), 'lmdb'),
  )
  await store.commit(changes, edit(store.position() as ProjectedPosition))
  await store.close()
}

/** The folder as a process leaves it that was killed. */
export const killed = async (dir: string): Promise<void> => {
  const app = await start({ dir: join(dir, 'd') })
  await app.store.put(keyIn(0, 'late'), 'late')
  cpSync(join(dir, 'd'), join(dir, 'killed'), { recursive: true })
  await app.close()
  remove(join(dir, 'd'))
  renameSync(join(dir, 'killed'), join(dir, 'd'))
}

/** Two files or folders change places. */
export const exchange = (one: string, other: string): void => {
  renameSync(one, `${one}.kept`)
  renameSync(other, one)
  renameSync(`${one}.kept`, other)
}
