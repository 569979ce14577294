/**
 * The MANIFEST: facts about the log that its segments do not prove: the newest segment, the durable
 * LSN, the checkpoint, the snapshots, a clean close. It is one file of two slots, written in turn.
 * A torn write leaves the other slot intact, and no write needs space on a full disk. Without a
 * MANIFEST the log is recovered from its segments. A MANIFEST that names more than the segments
 * hold proves a loss of data.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { hex, layout, u32, u64 } from '../../bytes/layout.ts'
import { viewOf } from '../../bytes/u64.ts'
import type { Salt } from '../frames/frame.ts'
import { closing, type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { writeAll } from '../ports/disk-failure.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { writeNewFile } from '../ports/sealed-file.ts'
import { manifestName, manifestSpareName } from './log-folder.ts'

/** One state of the MANIFEST. */
export type Manifest = {
  /** Increases by one with each write. Its parity selects the slot. */
  readonly generation: number
  readonly walId: string
  readonly epoch: number
  /** The last segment that may hold an acknowledged frame; `seq` 0 while no segment does. */
  readonly newest: { readonly seq: number; readonly baseLsn: number; readonly salt: Salt }
  /** Everything up to this LSN was durable when this state was written. */
  readonly recoveredLsn: number
  /** Everything up to this LSN was durable outside the log. */
  readonly checkpointLsn: number
  /**
   * The segment that holds the frame after the checkpoint, or will hold it. Recovery reads frames
   * from this segment on.
   */
  readonly checkpointSegment: number
  /** The greatest time stamp of a DATA frame when this state was written, in ms. */
  readonly lastTime: number
  /**
   * The snapshots that count, oldest first, at most `snapshotsMax`. Their content may be missing in
   * the log.
   */
  readonly snapshots: readonly NamedSnapshot[]
  /** The end of the log when it was closed; absent while it is open, and after a crash. */
  readonly cleanClose?: { readonly lastLsn: number; readonly endOffset: number }
}

/** The content of the file. `whole`: it has its full size, so a slot can be written in place. */
export type ManifestReading = {
  readonly manifest: Manifest | undefined
  readonly exists: boolean
  readonly whole: boolean
  readonly damagedSlots: number
  /** The version of a slot that this code cannot read. */
  readonly unsupported?: number
}

const magic = new TextEncoder().encode('KEELMAN\n')
const slotBytes = 4096
const factBytes = 512
const cleanFlag = 1

const manifestVersion = 1

/** The most snapshots that a MANIFEST names. */
export const snapshotsMax = 8

const facts = layout<Omit<Manifest, 'snapshots' | 'cleanClose'>>({
  walId: hex(16, 16),
  generation: u64(32),
  epoch: u64(40),
  newest: layout<Manifest['newest']>({
    seq: u64(48),
    baseLsn: u64(56),
    salt: layout<Salt>({ low: u32(64), high: u32(68) }),
  }),
  recoveredLsn: u64(72),
  checkpointLsn: u64(80),
  checkpointSegment: u64(88),
  lastTime: u64(96),
})

const closedEnd = layout<NonNullable<Manifest['cleanClose']>>({
  lastLsn: u64(104),
  endOffset: u64(112),
})

const snapshotAt = (index: number) => {
  const at = 128 + 20 * index
  return layout<NamedSnapshot>({ lsn: u64(at), bytes: u64(at + 8), sum: u32(at + 16) })
}

/** The size of the file. */
export const manifestBytes = 2 * slotBytes

/** Encodes a slot. */
export const encodeManifest = (manifest: Manifest): Uint8Array => {
  const slot = new Uint8Array(slotBytes)
  const view = viewOf(slot)
  slot.set(magic)
  view.setUint16(8, manifestVersion, true)
  view.setUint16(10, manifest.cleanClose ? cleanFlag : 0, true)
  facts.write(view, manifest)
  if (manifest.cleanClose) closedEnd.write(view, manifest.cleanClose)
  view.setUint16(120, manifest.snapshots.length, true)
  for (const [index, named] of manifest.snapshots.entries()) snapshotAt(index).write(view, named)
  view.setUint32(508, crc32(slot.subarray(0, 508)), true)
  return slot
}

const snapshotsIn = (view: DataView): NamedSnapshot[] =>
  Array.from({ length: view.getUint16(120, true) }, (_, index) => snapshotAt(index).read(view))

/**
 * Decodes a slot: a state, a version that this code cannot read, an empty slot (zeros), or damage.
 */
export const decodeManifest = (slot: Uint8Array): Manifest | number | 'empty' | 'damaged' => {
  const part = slot.subarray(0, factBytes)
  if (part.every((byte) => byte === 0)) return 'empty'
  if (part.length < factBytes || !magic.every((byte, at) => part[at] === byte)) return 'damaged'
  const view = viewOf(part)
  if (crc32(part.subarray(0, 508)) !== view.getUint32(508, true)) return 'damaged'
  const version = view.getUint16(8, true)
  if (version > manifestVersion) return version
  const closed = (view.getUint16(10, true) & cleanFlag) !== 0
  return {
    ...facts.read(view),
    snapshots: snapshotsIn(view),
    ...(closed && { cleanClose: closedEnd.read(view) }),
  }
}

/** Reads the MANIFEST of a log's folder. The newest valid slot counts. */
export const readManifest = (disk: Pick<Disk, 'entry' | 'open'>, dir: string): ManifestReading => {
  const path = pathIn(dir, manifestName)
  if (!disk.entry(path))
    return { manifest: undefined, exists: false, whole: false, damagedSlots: 0 }
  return closing(disk.open(path, 'read'), (file) => {
    const bytes = new Uint8Array(manifestBytes)
    const count = file.read(bytes, 0)
    const slots = [0, slotBytes].map((at) =>
      decodeManifest(bytes.subarray(Math.min(at, count), Math.min(at + slotBytes, count))),
    )
    return { exists: true, whole: count === manifestBytes, ...newestOf(slots) }
  })
}

const newestOf = (
  slots: readonly ReturnType<typeof decodeManifest>[],
): Pick<ManifestReading, 'manifest' | 'damagedSlots' | 'unsupported'> => {
  let manifest: Manifest | undefined
  let unsupported: number | undefined
  for (const slot of slots) {
    if (typeof slot === 'number') unsupported = slot
    if (typeof slot !== 'object') continue
    if (!manifest || slot.generation > manifest.generation) manifest = slot
  }
  // From generation 2 on both slots have been written, so an empty slot is a lost one.
  const isLost = (slot: (typeof slots)[number]) =>
    slot === 'damaged' || (slot === 'empty' && (manifest?.generation ?? 0) > 1)
  const damagedSlots = slots.filter(isLost).length
  return { manifest, damagedSlots, ...(unsupported === undefined ? {} : { unsupported }) }
}

const slotOffset = ({ generation }: Manifest): number => (generation % 2) * slotBytes

/** Opens the MANIFEST to write its states. The file must have its full size. */
export const openManifest = (disk: Disk, dir: string): DiskFile =>
  disk.open(pathIn(dir, manifestName), 'write')

/** Writes a state over the older slot of an open MANIFEST, durably. */
export const writeManifest = (file: DiskFile, manifest: Manifest): void => {
  writeAll(file, encodeManifest(manifest), slotOffset(manifest))
  file.sync()
}

/**
 * Makes a MANIFEST with one state under a name that recovery ignores. Its content is durable;
 * `adoptManifest` renames it. After a failure the file is removed and the disk error thrown.
 */
export const prepareManifest = (disk: Disk, dir: string, manifest: Manifest): void => {
  const bytes = new Uint8Array(manifestBytes)
  bytes.set(encodeManifest(manifest), slotOffset(manifest))
  writeNewFile(disk, pathIn(dir, manifestSpareName), bytes)
}

/** Replaces the MANIFEST by the prepared file, durably. */
export const adoptManifest = (disk: Disk, dir: string): void => {
  disk.rename(pathIn(dir, manifestSpareName), pathIn(dir, manifestName))
  disk.syncFolder(dir)
}

/** Replaces the MANIFEST of a log that nothing has open by one with this state, durably. */
export const replaceManifest = (disk: Disk, dir: string, manifest: Manifest): void => {
  prepareManifest(disk, dir, manifest)
  adoptManifest(disk, dir)
}

/** Writes a state over the older slot of a MANIFEST that nothing has open, durably. */
export const overwriteManifest = (disk: Disk, dir: string, manifest: Manifest): void => {
  closing(openManifest(disk, dir), (file) => {
    writeManifest(file, manifest)
  })
}
