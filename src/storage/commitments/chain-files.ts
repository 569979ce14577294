/**
 * The files of a chain, in `commitments/` of a log's folder. A part holds consecutive headers, and
 * after them the nodes that they make in the range over all headers. It is written once, whole,
 * under its final name: no later write can harm it. Parts are derived from the log, and keep what
 * the log gives back. The header of a segment says how many of their headers count.
 */
import { crc32 } from '../../bytes/crc32.ts'
import { viewOf } from '../../bytes/u64.ts'
import { type Disk, type DiskFile, pathIn } from '../ports/disk.ts'
import { attempt } from '../ports/disk-failure.ts'
import { writeNewFile } from '../ports/sealed-file.ts'
import {
  decodeHeader,
  headerBytes,
  type ReadHeader,
  signedHeaderBytes,
} from './commitment-header.ts'
import { type Digest, digestAt, digestBytes, putDigest } from './digests.ts'
import { nodeCount } from './mountains.ts'

/** The folder of the parts, in that of the log. */
export const commitmentsFolder = 'commitments'

const recordBytes = signedHeaderBytes + 8

/** A part: the number of its first header, and how many it has. */
export type ChainPart = { readonly name: string; readonly first: number; readonly count: number }

const partPattern = /^([0-9a-f]{16})-([0-9a-f]{8})\.part$/

const partOf = (first: number, count: number): ChainPart => {
  const name = `${first.toString(16).padStart(16, '0')}-${count.toString(16).padStart(8, '0')}.part`
  return { name, first, count }
}

/** The parts of the log in `dir`, in order. @throws DiskError */
export const chainParts = (disk: Disk, dir: string): ChainPart[] => {
  const folder = pathIn(dir, commitmentsFolder)
  if (disk.entry(folder)?.kind !== 'folder') return []
  return disk.list(folder).flatMap((name) => {
    const [, first, count] = partPattern.exec(name) ?? []
    if (first === undefined || count === undefined) return []
    return [{ name, first: Number.parseInt(first, 16), count: Number.parseInt(count, 16) }]
  })
}

/** Reads headers and nodes from the parts. Close it. */
export class ChainFiles {
  readonly #disk: Disk
  readonly #dir: string
  readonly #parts: readonly ChainPart[]
  /** The part that was read last, open. */
  #open: { readonly part: ChainPart; readonly file: DiskFile } | undefined

  /** The parts of the log in `dir`. @throws DiskError */
  constructor(disk: Disk, dir: string) {
    this.#disk = disk
    this.#dir = pathIn(dir, commitmentsFolder)
    this.#parts = chainParts(disk, dir)
  }

  /** Whether the parts have every header below `count`, by their names. */
  covers(count: number): boolean {
    let reached = 0
    for (const part of this.#parts) if (part.first === reached) reached += part.count
    return reached >= count
  }

  /** The header `seq`; `undefined` if it is missing or damaged. */
  header(seq: number): ReadHeader | undefined {
    const part = this.#parts.findLast(({ first }) => first <= seq)
    if (!part || seq >= part.first + part.count) return undefined
    const record = Buffer.alloc(recordBytes)
    if (!this.#fill(part, record, recordBytes * (seq - part.first))) return undefined
    const body = record.subarray(0, signedHeaderBytes)
    if (crc32(body) !== viewOf(record).getUint32(signedHeaderBytes, true)) return undefined
    const read = decodeHeader(body[1] === 0 ? body.subarray(0, headerBytes) : body)
    return read?.header.seq === seq ? read : undefined
  }

  /** The node at a position; `undefined` if it is missing. */
  node(position: number): Digest | undefined {
    const part = this.#parts.findLast(({ first }) => nodeCount(first) <= position)
    if (!part || position >= nodeCount(part.first + part.count)) return undefined
    const bytes = Buffer.alloc(digestBytes)
    const at = recordBytes * part.count + digestBytes * (position - nodeCount(part.first))
    return this.#fill(part, bytes, at) ? digestAt(bytes, 0) : undefined
  }

  close(): void {
    const { file } = this.#open ?? {}
    this.#open = undefined
    if (file) attempt(() => file.close())
  }

  #fill(part: ChainPart, into: Uint8Array, at: number): boolean {
    if (this.#open?.part !== part) {
      this.close()
      this.#open = { part, file: this.#disk.open(pathIn(this.#dir, part.name), 'read') }
    }
    return this.#open?.file.read(into, at) === into.length
  }
}

/**
 * Writes the part of the headers from `first` on, with the nodes that they make, durably. Parts
 * from there on are leftovers, and are removed.
 * @throws DiskError: the parts before are as they were
 */
export const writePart = (
  disk: Disk,
  dir: string,
  first: number,
  headers: readonly Uint8Array[],
  nodes: readonly Digest[],
): void => {
  const folder = pathIn(dir, commitmentsFolder)
  if (!disk.entry(folder)) {
    disk.makeFolder(folder)
    disk.syncFolder(dir)
  }
  for (const part of chainParts(disk, dir))
    if (part.first >= first) disk.remove(pathIn(folder, part.name))
  const path = pathIn(folder, partOf(first, headers.length).name)
  const spare = pathIn(folder, 'part.tmp')
  writeNewFile(disk, spare, partBytes(headers, nodes))
  disk.rename(spare, path)
  disk.syncFolder(folder)
}

const partBytes = (headers: readonly Uint8Array[], nodes: readonly Digest[]): Uint8Array => {
  const nodesAt = recordBytes * headers.length
  const bytes = Buffer.alloc(nodesAt + digestBytes * nodes.length)
  for (const [index, header] of headers.entries()) {
    const at = recordBytes * index
    bytes.set(header, at)
    const crc = crc32(bytes.subarray(at, at + signedHeaderBytes))
    bytes.writeUInt32LE(crc, at + signedHeaderBytes)
  }
  for (const [index, node] of nodes.entries()) putDigest(bytes, nodesAt + digestBytes * index, node)
  return bytes
}
