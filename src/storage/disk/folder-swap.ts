/**
 * Puts a new data folder in the place of another one. `DIR.swap` names both from before the first change
 * until after the last one, and a mark in the old folder refuses every start there. While they are there
 * no instance starts in `DIR`, and the swap is completed. Each step can be repeated: a crash leaves the old
 * folder, the new one, or `DIR.swap`. Scenario: the process is killed before the first rename, and a
 * service opens the old folder by a symbolic link. Without the mark its writes would be in `before` alone.
 */
import { basename, dirname, join } from 'node:path'
import { configError, KeelsonError } from '../../errors.ts'
import { type Disk, DiskError, readWhole } from '../ports/disk.ts'
import { attempt } from '../ports/disk-failure.ts'
import { replaceFile, sealedJson, unsealed } from '../ports/sealed-file.ts'
import { type DataFolderFacts, readDataFolder, writeDataFolder } from './data-folder.ts'

/** The format that this version writes and reads. */
const swapFormat = 1

/** A swap of a folder: paths, and the new folder. */
export type FolderSwap = {
  /** Where the new folder is until it takes the place. It is whole, and waits as a copy does. */
  readonly next: string
  /** Where the old folder goes. Nothing is there before. */
  readonly before: string
  /** That of the new folder. */
  readonly instanceId: string
  /** Whether the old folder was a copy that waits: then the new one goes on to wait. */
  readonly waits: boolean
}

const swapPath = (dir: string): string => `${dir}.swap`

/**
 * The swap of `dir` that has begun; `undefined` without one.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; DiskError
 */
export const readSwap = (disk: Disk, dir: string): FolderSwap | undefined => {
  const path = swapPath(dir)
  if (!isThere(disk, path)) return undefined
  const sealed = unsealed(readWhole(disk, path))
  if ('evidence' in sealed) throw damaged(path, sealed.evidence)
  const { format, next, before, instanceId, waits } = sealed.fields
  if (typeof format === 'number' && format > swapFormat)
    throw new KeelsonError('UNSUPPORTED_VERSION', `${path} was written by a newer version`, {
      details: { format, supported: swapFormat },
    })
  const isName = (name: unknown): name is string =>
    typeof name === 'string' && name !== '' && !name.startsWith('/')
  if (!isName(next) || !isName(before) || typeof instanceId !== 'string')
    throw damaged(path, 'it names no folders')
  const around = dirname(dir)
  return {
    next: join(around, next),
    before: join(around, before),
    instanceId,
    waits: waits === true,
  }
}

/** Where a file of that name cannot be, there is none: under a file, or with a name that is too long. */
const isThere = (disk: Disk, path: string): boolean => {
  try {
    return disk.entry(path) !== undefined
  } catch (error) {
    if (error instanceof DiskError && noPlace.includes(error.code)) return false
    throw error
  }
}

const noPlace = ['ENAMETOOLONG', 'ENOTDIR', 'ELOOP']

const damaged = (file: string, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `${file} is damaged: ${evidence}`, { details: { file, evidence } })

/** @throws KeelsonError `CONFIG` while a swap of the folder at this path is not complete; as `readSwap` */
export const refuseSwap = (disk: Disk, dir: string): void => {
  if (readSwap(disk, dir)) throw notComplete(dir, dir)
}

/**
 * The same for a folder that was opened by another path, such as a symbolic link or a bind mount: there
 * is no `DIR.swap` beside that path. @throws KeelsonError `CONFIG`
 */
export const refuseSwapped = (dir: string, { swap }: DataFolderFacts): void => {
  if (swap !== undefined) throw notComplete(dir, swap)
}

const notComplete = (dir: string, at: string): KeelsonError =>
  new KeelsonError(
    'CONFIG',
    `${dir} gets another folder in its place, and that is not complete: \`keelson reshard ${at}\` completes it`,
    { details: { path: 'dir', file: swapPath(at) } },
  )

/**
 * Begins a swap, durably. `next` and `before` are below or beside the folder above `dir`. The caller has
 * the lock of `dir`. The mark in `dir` comes last: without it nothing has begun. @throws DiskError
 */
export const beginSwap = (disk: Disk, dir: string, swap: FolderSwap): void => {
  const inside = (path: string): string => path.slice(dirname(dir).length).replace(/^\/+/, '')
  const names = { next: inside(swap.next), before: inside(swap.before) }
  const { instanceId, waits } = swap
  replaceFile(disk, swapPath(dir), sealedJson({ format: swapFormat, ...names, instanceId, waits }))
  const facts = factsOf(disk, dir)
  if (!facts) return
  const begun = { ...facts, swap: dir }
  try {
    writeDataFolder(disk, dir, begun)
  } catch (error) {
    attempt(() => abandoned(disk, dir, begun))
    throw error
  }
}

/**
 * Completes a swap that has begun. On `replaced` the new folder is in its place, and durable there. On
 * `abandoned` the old folder is, as it was: the mark was never made in it, and it may have been written
 * since; or the new folder is gone.
 * @throws KeelsonError `CONFLICT` if a folder was made or moved by hand; `CONFIG` for a mount point, without
 * a swap then; DiskError: `completeSwap` can be repeated, or nothing has begun
 */
export const completeSwap = (
  disk: Disk,
  dir: string,
  swap: FolderSwap,
): 'replaced' | 'abandoned' => {
  const { next, before, instanceId, waits } = swap
  const isNext = (path: string): boolean => factsOf(disk, path)?.instanceId === instanceId
  if (!isNext(dir)) {
    const old = factsOf(disk, dir)
    const isThere = isNext(next)
    if (!disk.entry(before)) {
      if (old && (old.swap === undefined || !isThere)) return abandoned(disk, dir, old)
      if (!isThere) throw byHand(next)
      if (!old) throw byHand(dir)
      moveAway(disk, dir, before, old)
    } else if (disk.entry(dir)) throw byHand(old?.swap === undefined ? dir : before)
    else if (!isThere) throw byHand(next)
    const moved = factsOf(disk, before)
    // Even if it waits: a process that was killed may not have made that durable.
    if (moved) writeDataFolder(disk, before, { ...unmarked(moved), waits: true })
    disk.rename(next, dir)
  }
  // Even after a crash: the names may not be durable yet.
  for (const around of [dirname(next), dirname(dir)])
    if (disk.entry(around)) disk.syncFolder(around)
  const facts = factsOf(disk, dir)
  if (facts && !waits) {
    const { waits: _, ...acting } = facts
    writeDataFolder(disk, dir, acting)
  }
  removeSwap(disk, dir)
  return 'replaced'
}

/**
 * Takes the mark from a folder whose `DIR.swap` was removed by hand: nothing was moved. False: it has no
 * mark of this path. @throws DiskError
 */
export const dropSwap = (disk: Disk, dir: string): boolean => {
  const facts = factsOf(disk, dir)
  if (facts?.swap !== dir || disk.entry(swapPath(dir))) return false
  writeDataFolder(disk, dir, unmarked(facts))
  return true
}

const unmarked = ({ swap: _, ...facts }: DataFolderFacts): DataFolderFacts => facts

const abandoned = (disk: Disk, dir: string, old: DataFolderFacts): 'abandoned' => {
  if (old.swap !== undefined) writeDataFolder(disk, dir, unmarked(old))
  removeSwap(disk, dir)
  return 'abandoned'
}

/** The first change of a name: if the folder cannot be moved, there is no swap, and the old folder starts. */
const moveAway = (disk: Disk, dir: string, before: string, old: DataFolderFacts): void => {
  try {
    disk.rename(dir, before)
  } catch (error) {
    attempt(() => abandoned(disk, dir, old))
    if (!(error instanceof DiskError) || error.code !== 'EBUSY') throw error
    throw configError('dir', 'a folder that can be moved', `${dir}, which is a mount point`)
  }
  disk.syncFolder(dirname(dir))
}

const removeSwap = (disk: Disk, dir: string): void => {
  disk.remove(swapPath(dir))
  disk.syncFolder(dirname(dir))
}

const factsOf = (disk: Disk, dir: string): DataFolderFacts | undefined => {
  const reading = readDataFolder(disk, dir)
  return reading.state === 'sound' ? reading.facts : undefined
}

const byHand = (path: string): KeelsonError =>
  new KeelsonError(
    'CONFLICT',
    `${basename(path)} was moved, or made, by hand: put it back, or remove it, as it was before`,
    { details: { path } },
  )
