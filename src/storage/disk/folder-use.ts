/**
 * The bytes of the parts of a data folder, from a list of its files. It needs no lock, since it reads
 * no content, so a folder in use is measured as a closed one is.
 */
import { ownOf } from '../../own-names.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { isFileFailure } from '../ports/disk-failure.ts'

/** A file of a data folder. `path`: from the folder on, with `/`. */
export type FoundFile = { readonly path: string; readonly bytes: number }

/** `other`: files that no shard needs, such as a copy that was put into the folder. */
export type FolderPart =
  | 'log'
  | 'projections'
  | 'large values'
  | 'snapshots'
  | 'quarantine'
  | 'other'

/** The use of a data folder, in bytes as the files say: of the log its segments are allocated ahead. */
export type FolderUse = {
  readonly bytes: number
  readonly files: number
  /** The parts with files, the largest one first. */
  readonly parts: readonly PartUse[]
  /** A first backup copies at most so much: log, snapshots and large values. */
  readonly backupBytes: number
}

/** The use of a part, and which shards or names have it, the largest one first. */
export type PartUse = {
  readonly part: FolderPart
  readonly bytes: number
  readonly files: number
  readonly of: readonly { readonly name: string; readonly bytes: number }[]
}

const partOfFolder: Readonly<Record<string, FolderPart>> = {
  wal: 'log',
  lmdb: 'projections',
  blobs: 'large values',
  snapshot: 'snapshots',
}

const backedUp: ReadonlySet<FolderPart> = new Set(['log', 'snapshots', 'large values'])

/** The use of a data folder with these files. Pure. */
export const folderUse = (files: readonly FoundFile[]): FolderUse => {
  const parts = new Map<FolderPart, { files: number; bytes: number; of: Map<string, number> }>()
  for (const { path, bytes } of files) {
    const { part, name } = placeOf(path)
    const use = parts.get(part) ?? { files: 0, bytes: 0, of: new Map<string, number>() }
    parts.set(part, use)
    use.files += 1
    use.bytes += bytes
    use.of.set(name, (use.of.get(name) ?? 0) + bytes)
  }
  const found = [...parts].map(([part, { files: count, bytes, of }]) => {
    const named = [...of].map(([name, own]) => ({ name, bytes: own }))
    return { part, bytes, files: count, of: named.sort(largerFirst) }
  })
  const sum = (all: readonly PartUse[]): number =>
    all.reduce((bytes, each) => bytes + each.bytes, 0)
  return {
    bytes: sum(found),
    files: files.length,
    parts: found.sort(largerFirst),
    backupBytes: sum(found.filter(({ part }) => backedUp.has(part))),
  }
}

const largerFirst = (one: { readonly bytes: number }, other: { readonly bytes: number }): number =>
  other.bytes - one.bytes

const placeOf = (path: string): { readonly part: FolderPart; readonly name: string } => {
  const [first = '', second = '', third = ''] = path.split('/')
  const [, shard] = /^shard-(\d+)$/.exec(first) ?? []
  if (shard === undefined) return { part: 'other', name: first }
  const name = `shard ${shard}`
  if (second === 'quarantine' || third === 'quarantine') return { part: 'quarantine', name }
  // A file with the name of a folder is none of its files.
  const part = third === '' ? undefined : ownOf(partOfFolder, second)
  return part === undefined ? { part: 'other', name } : { part, name }
}

/** Folders are this deep at most: a link may lead back up. */
const depthMax = 16

/**
 * The files in the folder `dir`, one after the other. A file that has gone or cannot be read since is
 * left out.
 */
export function* filesBelow(
  disk: Pick<Disk, 'entry' | 'list'>,
  dir: string,
  path = '',
  depth = 0,
): Generator<FoundFile> {
  for (const name of readable(() => disk.list(dir)) ?? []) {
    const inner = pathIn(dir, name)
    const within = path === '' ? name : `${path}/${name}`
    const { kind, size } = readable(() => disk.entry(inner)) ?? { kind: 'other', size: 0 }
    if (kind === 'file') yield { path: within, bytes: size }
    if (kind === 'folder' && depth < depthMax) yield* filesBelow(disk, inner, within, depth + 1)
  }
}

const readable = <T>(look: () => T): T | undefined => {
  try {
    return look()
  } catch (error) {
    if (!isFileFailure(error)) throw error
    return undefined
  }
}
