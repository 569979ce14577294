/**
 * Fills the folder of a shard's blobs, which is a cache of the blobs in the engine, and frees what the
 * engine has no more. A record that only the folder has is harmless: nothing refers to a blob that was
 * not uploaded, and a sweep frees it.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import {
  BlobExtents,
  type BlobRef,
  blobHeaderBytes,
  blobSegmentPath,
  clearing,
  closing,
  type Disk,
  DiskError,
  type DiskFile,
  type EngineFiles,
  encodeBlobHeader,
  filled,
  headerFault,
  listBlobs,
  makeFolders,
  piecesOf,
  recordExtent,
  refusing,
  trailerBytes,
  trailerFault,
  writeAll,
} from '../../storage/index.ts'

/** Repeats a call until the engine answers. */
export type Ask = <T>(call: () => Promise<T>) => Promise<T>

/** The files of a cluster, and the folder of a shard's blobs. */
export type BlobCacheParts = {
  readonly files: EngineFiles
  readonly disk: Disk
  readonly shard: number
  readonly dir: string
}

/** The beginning of the names of a shard's blobs. The rest of a name is the reference. */
export const blobPrefix = (shard: number): string => `shard-${shard}/blob-`

/** The beginning of the names of the blobs of one segment. */
export const segmentPrefix = (shard: number, segment: number): string =>
  `${blobPrefix(shard)}${segment}-`

/** The name of the file that has the record of a blob. */
export const blobName = (shard: number, { segment, offset, size, sha256 }: BlobRef): string =>
  `${segmentPrefix(shard, segment)}${offset}-${size}-${Buffer.from(sha256).toString('hex')}`

/** The reference in a name; `undefined` for another sort of name. */
export const refIn = (name: string): BlobRef | undefined => {
  const found = /\/blob-(\d+)-(\d+)-(\d+)-([0-9a-f]{64})$/.exec(name)
  if (!found) return undefined
  const [segment = 0, offset = 0, size = 0] = found.slice(1, 4).map(Number)
  return { segment, offset, size, sha256: Buffer.from(found[4] ?? '', 'hex') }
}

/**
 * Uploads the record of a blob from the folder. `onPiece`: called as the engine takes each
 * piece. @throws as the disk refuses; as `EngineFiles.put`
 */
export const putBlob = (
  { files, disk, shard, dir }: BlobCacheParts,
  ref: BlobRef,
  onPiece: () => void = () => undefined,
): Promise<unknown> => {
  const { from, to } = recordExtent(ref)
  const pieces = piecesOf(disk, blobSegmentPath(dir, ref.segment), from, to)
  return files.put(blobName(shard, ref), noting(pieces, onPiece))
}

function* noting(pieces: Iterable<Uint8Array>, note: () => void): Generator<Uint8Array> {
  for (const piece of pieces) {
    note()
    yield piece
  }
}

/**
 * Fills the folder with the blobs of these `names`. Those in `seen` are left out if the folder is
 * there. A segment that is being written must have no record in the engine that the
 * folder lacks.
 * @throws KeelsonError `NO_SPACE`, `READ_ONLY`, `SHARD_DOWN` (reason `disk`); what `ask` rejects with
 */
export const fillBlobCache = async (
  parts: BlobCacheParts,
  ask: Ask,
  names: readonly string[],
  seen: ReadonlySet<string> = new Set(),
): Promise<void> => {
  const { disk, dir } = parts
  const known = refusing(() => disk.entry(dir)) ? seen : new Set<string>()
  const segments = new Map<number, BlobRef[]>()
  for (const name of names) {
    const ref = known.has(name) ? undefined : refIn(name)
    if (!ref) continue
    const refs = segments.get(ref.segment) ?? []
    segments.set(ref.segment, refs)
    refs.push(ref)
  }
  for (const [segment, refs] of segments) {
    const path = blobSegmentPath(dir, segment)
    const missing = refusing(() => missingIn(disk, path, refs))
    if (missing.length > 0) await restored(parts, ask, path, missing)
  }
}

/** One look frees about so much, in MiB: nobody who waits for the look waits for long. */
const freedMax = 1_024

/**
 * Frees the records of the folder that are not among `names`, in small steps: those of a segment when
 * half of its bytes are dead. `full`: the most bytes of each segment that were live since then.
 * Returns false if another look must go on.
 * @throws KeelsonError `SHARD_DOWN` (reason `disk`) if the folder cannot be listed
 */
export const freeBlobCache = async (
  { disk, dir }: BlobCacheParts,
  clock: Pick<Clock, 'soon'>,
  names: Iterable<string>,
  full: Map<number, number>,
): Promise<boolean> => {
  const kept = new BlobExtents()
  for (const name of names) {
    const ref = refIn(name)
    if (ref) kept.add(ref.segment, recordExtent(ref))
  }
  let steps = 0
  for (const { segment, size } of refusing(() => listBlobs(disk, dir)).segments) {
    if (steps > freedMax) return false
    const live = kept.of(segment)
    const bytes = live.reduce((sum, { from, to }) => sum + to - from, 0)
    const most = Math.max(full.get(segment) ?? size, bytes)
    full.set(segment, most)
    if (bytes > most / 2) continue
    try {
      for (const _ of clearing(disk, dir, segment, live)) {
        steps++
        await new Promise<void>((resolve) => clock.soon(resolve))
      }
      full.set(segment, bytes)
    } catch (error) {
      // The segment is as it was, for instance on a full disk.
      if (!(error instanceof DiskError)) throw error
    }
    if (live.length === 0) full.delete(segment)
  }
  return true
}

/** The records of a segment that its file does not have. @throws DiskError */
const missingIn = (disk: Disk, path: string, refs: readonly BlobRef[]): readonly BlobRef[] => {
  if (!disk.entry(path)) return refs
  return closing(disk.open(path, 'read'), (file) => refs.filter((ref) => !isIn(file, ref)))
}

/** Whether a file has a record. Its payload is verified when it is read. @throws DiskError */
export const isIn = (file: DiskFile, ref: BlobRef): boolean => {
  const header = new Uint8Array(blobHeaderBytes)
  const trailer = new Uint8Array(trailerBytes(ref.size))
  if (file.read(header, ref.offset - blobHeaderBytes) < header.length) return false
  if (headerFault(header, ref)) return false
  if (file.read(trailer, ref.offset + ref.size) < trailer.length) return false
  return trailerFault(ref, header, trailer) === undefined
}

/**
 * Writes records to their places in a segment, and their headers when all else is durable: after a
 * crash in between, the records are missing still.
 */
const restored = async (
  { files, disk, shard, dir }: BlobCacheParts,
  ask: Ask,
  path: string,
  missing: readonly BlobRef[],
): Promise<void> => {
  const file = refusing(() => opened(disk, dir, path))
  try {
    refusing(() => {
      for (const ref of missing) writeHeader(file, ref, new Uint8Array(blobHeaderBytes))
      file.sync()
    })
    const whole: BlobRef[] = []
    for (const ref of missing)
      if (await ask(() => fetched(files, blobName(shard, ref), file, ref))) whole.push(ref)
    refusing(() => {
      file.sync()
      for (const ref of whole) writeHeader(file, ref, encodeBlobHeader(ref.size, ref.sha256))
      file.sync()
      disk.syncFolder(dir)
    })
  } finally {
    file.close()
  }
}

const opened = (disk: Disk, dir: string, path: string): DiskFile => {
  if (disk.entry(path)) return disk.open(path, 'write')
  makeFolders(disk, dir)
  return disk.open(path, 'create')
}

const writeHeader = (file: DiskFile, { offset }: BlobRef, header: Uint8Array): void =>
  writeAll(file, header, offset - blobHeaderBytes, 'ENOSPC')

/**
 * Writes a record without its header. False if the engine does not have it whole: its readers get
 * `CORRUPT`, and other values stay readable. A sweep of the owner before may have removed it,
 * because nothing refers to it.
 */
const fetched = async (
  files: EngineFiles,
  name: string,
  file: DiskFile,
  ref: BlobRef,
): Promise<boolean> => {
  try {
    await filled(file, files.read(name, blobHeaderBytes), ref.offset)
    return true
  } catch (error) {
    if (isKeelsonError(error, 'CORRUPT')) return false
    throw error
  }
}
