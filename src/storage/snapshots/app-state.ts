/**
 * States of an application, saved beside the snapshots of its shard under the LSN that they stand
 * for. A file is whole or not there, and has a checksum over all of it. The last two are kept: if
 * the newest is damaged, the one before is loaded. During a backup the two that it copies stay, too.
 *
 *     8 bytes magic KEELSTA\n | u16 version 1 | u16 0 | u32 CRC of the content | u64 LSN |
 *     u64 ms since 1970 | u64 bytes of the content | u32 0 | u32 CRC of the 44 bytes before | content
 */

import { crc32 } from '../../bytes/crc32.ts'
import { layout, u32, u64 } from '../../bytes/layout.ts'
import { viewOf } from '../../bytes/u64.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Disk, pathIn, readWhole } from '../ports/disk.ts'
import { isFileFailure } from '../ports/disk-failure.ts'
import { makeFolders } from '../ports/new-folders.ts'
import { replaceFile } from '../ports/sealed-file.ts'
import type { AppState, SnapshotProtocol } from '../ports/snapshot-host.ts'

/** How many states are kept. */
export const statesKept = 2
const headBytes = 48
const magic = Buffer.from('KEELSTA\n')
const version = 1
const head = layout({ sum: u32(12), lsn: u64(16), time: u64(24), bytes: u64(32) })
const statePattern = /^[0-9a-f]{16}\.state$/

const stateName = (lsn: number): string => `${lsn.toString(16).padStart(16, '0')}.state`

/** The file of a state in `dir`. */
export const appStatePath = (dir: string, lsn: number): string => pathIn(dir, stateName(lsn))

/** The LSNs of the states in `dir`, oldest first. Reads no content. @throws DiskError */
export const statesIn = (disk: Disk, dir: string): number[] =>
  (disk.entry(dir) ? disk.list(dir) : [])
    .filter((name) => statePattern.test(name))
    .map((name) => Number.parseInt(name, 16))
    .sort((one, other) => one - other)

/** The last two states in `dir` up to an LSN, oldest first. @throws DiskError */
export const newestUpTo = (disk: Disk, dir: string, lsn: number): number[] =>
  statesIn(disk, dir)
    .filter((each) => each <= lsn)
    .slice(-statesKept)

/**
 * Saves a state durably, and removes all but the last two, and the last two up to `copiedLsn`.
 * Returns the LSNs that are kept. After an error or a power cut the new one is there as a whole, or
 * not. One call at a time for a folder: it removes unfinished ones. @throws DiskError
 */
export const saveAppState = (
  disk: Disk,
  dir: string,
  state: AppState,
  copiedLsn = 0,
): readonly number[] => {
  makeFolders(disk, dir)
  replaceFile(disk, appStatePath(dir, state.lsn), encodedAppState(state))
  const last = newestUpTo(disk, dir, Number.MAX_SAFE_INTEGER)
  removeStatesBut(disk, dir, [...last, ...newestUpTo(disk, dir, copiedLsn)])
  return statesIn(disk, dir)
}

/** Removes all states in `dir` but `kept`, and unfinished ones, durably. @throws DiskError */
export const removeStatesBut = (disk: Disk, dir: string, kept: readonly number[]): void => {
  const names = kept.map(stateName)
  const gone = (disk.entry(dir) ? disk.list(dir) : []).filter(
    (name) => name.endsWith('.state.tmp') || (statePattern.test(name) && !names.includes(name)),
  )
  for (const name of gone) disk.remove(pathIn(dir, name))
  if (gone.length > 0) disk.syncFolder(dir)
}

/** The states of a folder, and the newest sound one. */
export type LoadedAppState = SnapshotProtocol['loadState']['answer']

/**
 * The newest sound state; none without any file.
 * @throws KeelsonError `CORRUPT` with `details.file` if there are files and none is sound;
 * `UNSUPPORTED_VERSION`; DiskError
 */
export const loadAppState = (disk: Disk, dir: string): LoadedAppState => {
  const states = statesIn(disk, dir)
  let damage: KeelsonError | undefined
  const damaged: string[] = []
  for (const lsn of states.toReversed()) {
    const state = readAppState(disk, dir, lsn)
    if (!isKeelsonError(state)) return { state, states, damaged }
    damage ??= state
    damaged.push(appStatePath(dir, lsn))
  }
  if (damage) throw damage
  return { state: undefined, states, damaged }
}

/**
 * Brings `dir` to these files of states, by LSN: writes a missing or different one, and removes all
 * others but the last two up to `copiedLsn`. @throws DiskError
 */
export const keepAppStates = (
  disk: Disk,
  dir: string,
  files: ReadonlyMap<number, Uint8Array>,
  copiedLsn = 0,
): void => {
  if (files.size > 0) makeFolders(disk, dir)
  for (const [lsn, bytes] of files) {
    const path = appStatePath(dir, lsn)
    if (!disk.entry(path) || !Buffer.from(bytes).equals(readWhole(disk, path)))
      replaceFile(disk, path, bytes)
  }
  removeStatesBut(disk, dir, [...files.keys(), ...newestUpTo(disk, dir, copiedLsn)])
}

/**
 * Copies these states, verified. Returns the LSNs of the copied ones. `areListed`: a backup lists them,
 * so all of them must be there. Removes none from
 * `to`: an earlier backup may need it. @throws as `loadAppState`
 */
export const copyAppStates = (
  disk: Disk,
  from: string,
  to: string,
  wanted: readonly number[],
  areListed: boolean,
): number[] =>
  wanted.filter((each) => {
    const state = readAppState(disk, from, each)
    if (!isKeelsonError(state)) {
      replaceFile(disk, appStatePath(to, each), encodedAppState(state))
      return true
    }
    // While an application saves states, it may have been replaced by newer ones.
    if (areListed || statesIn(disk, from).includes(each)) throw state
    return false
  })

/** A file of a state, and why it cannot be loaded. */
export type AppStateFile = { readonly file: string; readonly fault?: string }

/** Reads the states in `dir` whole, oldest first. @throws DiskError that is not of one file */
export const examineAppStates = (disk: Disk, dir: string): AppStateFile[] =>
  statesIn(disk, dir).flatMap((lsn) => {
    const file = pathIn(dir, stateName(lsn))
    const fault = stateOrFault(disk, dir, lsn)
    if (typeof fault !== 'string') return [{ file }]
    // It may have been replaced by newer ones since.
    return disk.entry(file) ? [{ file, fault }] : []
  })

/** Copies the states up to `lsn` that can be read. @throws DiskError that is not of one file */
export const salvageAppStates = (disk: Disk, from: string, to: string, lsn: number): void => {
  for (const each of statesIn(disk, from)) {
    const state = each > lsn ? 'beyond the log' : stateOrFault(disk, from, each)
    if (typeof state !== 'string') saveAppState(disk, to, state)
  }
}

/** A state, or why it cannot be loaded. @throws DiskError that is not of one file */
const stateOrFault = (disk: Disk, dir: string, lsn: number): AppState | string => {
  try {
    const state = readAppState(disk, dir, lsn)
    return isKeelsonError(state) ? String(state.details.evidence) : state
  } catch (error) {
    if (isFileFailure(error)) return `the disk cannot read it: ${error.code}`
    if (isKeelsonError(error, 'UNSUPPORTED_VERSION')) return error.message
    throw error
  }
}

/** The bytes of the file of a state. */
export const encodedAppState = ({ lsn, time, content }: AppState): Uint8Array => {
  const bytes = new Uint8Array(headBytes + content.length)
  const view = viewOf(bytes)
  bytes.set(magic)
  view.setUint16(8, version, true)
  head.write(view, { sum: crc32(content), lsn, time, bytes: content.length })
  view.setUint32(44, crc32(bytes.subarray(0, 44)), true)
  bytes.set(content, headBytes)
  return bytes
}

/** A state, or the error that says why the file is none. */
const readAppState = (disk: Disk, dir: string, lsn: number): AppState | KeelsonError => {
  const path = pathIn(dir, stateName(lsn))
  const damaged = (evidence: string): KeelsonError =>
    new KeelsonError('CORRUPT', `a saved state is damaged: ${evidence}`, {
      details: { file: path, lsn, evidence },
    })
  if (!disk.entry(path)) return damaged('it is missing')
  const bytes = readWhole(disk, path)
  const view = viewOf(bytes)
  const isSound =
    bytes.length >= headBytes &&
    magic.equals(bytes.subarray(0, magic.length)) &&
    crc32(bytes.subarray(0, 44)) === view.getUint32(44, true)
  if (!isSound) return damaged('its head does not hold')
  if (view.getUint16(8, true) !== version)
    throw new KeelsonError('UNSUPPORTED_VERSION', `a newer version saved ${path}`, {
      details: { file: path, version: view.getUint16(8, true) },
    })
  const content = bytes.subarray(headBytes)
  const facts = head.read(view)
  if (facts.lsn !== lsn || facts.bytes !== content.length)
    return damaged(`it has ${content.length} bytes of lsn ${facts.lsn}`)
  if (crc32(content) !== facts.sum) return damaged('its checksum does not hold')
  return { lsn, time: facts.time, content }
}
