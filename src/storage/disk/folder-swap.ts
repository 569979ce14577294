/**
 * Puts a new data folder in the place of another one. `DIR.swap` names both from before the first change
 * until after the last one. While it is there no instance starts in `DIR`, and the swap is completed.
 * Each step can be repeated: a crash leaves the old folder, the new one, or `DIR.swap`.
 */
import { basename, dirname, join } from 'node:path'
import { KeelsonError } from '../../errors.ts'
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

/** @throws KeelsonError `CONFIG` while a swap of `dir` is not complete; as `readSwap` */
export const refuseSwap = (disk: Disk, dir: string): void => {
  if (!readSwap(disk, dir)) return
  throw new KeelsonError(
    'CONFIG',
    `${dir} gets another folder in its place, and that is not complete: \`keelson reshard ${dir}\` completes it`,
    { details: { path: 'dir', file: swapPath(dir) } },
  )
}

/** Begins a swap, durably. `next` and `before` are below or beside the folder above `dir`. @throws DiskError */
export const beginSwap = (disk: Disk, dir: string, swap: FolderSwap): void => {
  const inside = (path: string): string => path.slice(dirname(dir).length).replace(/^\/+/, '')
  const names = { next: inside(swap.next), before: inside(swap.before) }
  const { instanceId, waits } = swap
  replaceFile(disk, swapPath(dir), sealedJson({ format: swapFormat, ...names, instanceId, waits }))
}

/**
 * Completes a swap that has begun. The new folder is in its place, and durable there, on return.
 * @throws KeelsonError `CONFLICT` if a folder was moved by hand; DiskError: `completeSwap` can be
 * repeated, or nothing has begun
 */
export const completeSwap = (disk: Disk, dir: string, swap: FolderSwap): void => {
  const { next, before, instanceId, waits } = swap
  const isNext = (path: string): boolean => factsOf(disk, path)?.instanceId === instanceId
  if (!isNext(dir)) {
    if (!isNext(next)) throw moved(next)
    if (disk.entry(dir)) moveAway(disk, dir, before)
    else if (!disk.entry(before)) throw moved(before)
    const old = factsOf(disk, before)
    // Also if it says so: a process that was killed may not have made it durable.
    if (old) writeDataFolder(disk, before, { ...old, waits: true })
    disk.rename(next, dir)
  }
  // Also after a crash: the names may not be durable yet.
  for (const around of [dirname(next), dirname(dir)])
    if (disk.entry(around)) disk.syncFolder(around)
  const facts = factsOf(disk, dir)
  if (facts && !waits) {
    const { waits: _, ...acting } = facts
    writeDataFolder(disk, dir, acting)
  }
  removeSwap(disk, dir)
}

/** The first change: if the folder cannot be moved, there is no swap, and the old folder starts. */
const moveAway = (disk: Disk, dir: string, before: string): void => {
  if (disk.entry(before)) throw moved(before)
  try {
    disk.rename(dir, before)
  } catch (error) {
    attempt(() => removeSwap(disk, dir))
    throw error
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

const moved = (path: string): KeelsonError =>
  new KeelsonError(
    'CONFLICT',
    `${basename(path)} was moved, or made, by hand: put it back as it was`,
    {
      details: { path },
    },
  )
