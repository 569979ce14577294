/** A data folder that nothing has open, and ways to damage its snapshots and its projection. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '../../../src/clock.ts'
import {
  newerMeta,
  overflowNode,
  pageFlags,
  readMeta,
} from '../../../src/storage/lmdb/lmdb-format.ts'

/** A change of a file's bytes, in place or as a copy. */
export type Edit = (bytes: Buffer) => Uint8Array

/** The paths in a data folder with one shard. */
export class DataFolder {
  readonly dir: string

  constructor(dir: string) {
    this.dir = dir
  }

  /** A path in the folder of its shard. */
  at(...names: readonly string[]): string {
    return join(this.dir, 'shard-0', ...names)
  }

  get lmdb(): string {
    return this.at('lmdb')
  }

  get data(): string {
    return this.at('lmdb', 'data.mdb')
  }

  /** Its snapshots, oldest first. */
  get snapshots(): readonly string[] {
    return this.#files('snapshot', '.snap')
  }

  /** The newest snapshot. */
  get snapshot(): string {
    return this.snapshots.at(-1) ?? ''
  }

  /** Its segments, oldest first. */
  get segments(): readonly string[] {
    return this.#files('wal', '.wal')
  }

  get manifest(): string {
    return this.at('wal', 'MANIFEST')
  }

  #files(name: string, end: string): readonly string[] {
    const names = readdirSync(this.at(name)).filter((each) => each.endsWith(end))
    return names.sort().map((each) => this.at(name, each))
  }
}

/** Damages a file. */
export const edit = (path: string, ...edits: readonly Edit[]): void => {
  let bytes: Uint8Array = readFileSync(path)
  for (const each of edits) bytes = each(Buffer.from(bytes))
  writeFileSync(path, bytes)
}

/** Removes a file or a folder. */
export const gone = (path: string): void => rmSync(path, { recursive: true })

/** Something else stands in the place of a file or folder. */
export const replacedBy = (kind: 'a file' | 'a folder', path: string): void => {
  gone(path)
  if (kind === 'a file') writeFileSync(path, 'no folder')
  else mkdirSync(path)
}

/** One bit is flipped. A negative offset counts from the end. */
export const bitAt =
  (offset: number): Edit =>
  (bytes) => {
    const at = offset < 0 ? bytes.length + offset : offset
    bytes[at] = (bytes[at] ?? 0) ^ 0x10
    return bytes
  }

/** So many bits are flipped anywhere. */
export const bitsAnywhere =
  (count: number): Edit =>
  (bytes) => {
    const random = seededRandom(count)
    for (let flip = 0; flip < count; flip++) bitAt(Math.floor(random() * bytes.length))(bytes)
    return bytes
  }

/** Only this part is left: a share, or with a negative number all but so many bytes. */
export const cutTo =
  (part: number): Edit =>
  (bytes) =>
    bytes.subarray(0, part < 0 ? part : Math.floor(bytes.length * part))

/** Something follows the end. */
export const longer: Edit = (bytes) => Buffer.concat([bytes, Buffer.from([0])])

/** Zeros lie over a stretch. */
export const zerosAt =
  (offset: number, length: number): Edit =>
  (bytes) =>
    bytes.fill(0, offset, offset + length)

/** Noise lies over a stretch. */
export const noiseAt =
  (offset: number, length: number): Edit =>
  (bytes) => {
    const random = seededRandom(offset + 1)
    for (let at = offset; at < offset + length; at++) bytes[at] = Math.floor(random() * 256)
    return bytes
  }

/** A number of 32 bits is another one. */
export const numberAt =
  (offset: number, value: number): Edit =>
  (bytes) => {
    bytes.writeUInt32LE(value, offset)
    return bytes
  }

/** A stretch also replaces another one, as after a write that went elsewhere. */
export const copiedOver =
  (from: number, to: number, length: number): Edit =>
  (bytes) => {
    bytes.copy(bytes, to, from, from + length)
    return bytes
  }

/** Every place that has `text` has one other byte in it. */
export const garbled =
  (text: string): Edit =>
  (bytes) => {
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) bytes[at] = 0x21
    return bytes
  }

/** The size of a page of LMDB. */
export const pageBytes = 4096

/** The kinds of pages in use, and the offsets of those in a projection's file. */
export type PageKind = 'root' | 'branch' | 'leaf' | 'overflow' | 'free'

/** The offset of the middle one of the pages in use of a kind. */
export const pageOf = (bytes: Buffer, kind: PageKind): number => {
  const metas = [0, 1].map((page) => readMeta(bytes.subarray(page * pageBytes), page))
  const [first, second] = metas
  if (typeof first !== 'object' || typeof second !== 'object') throw new Error('no sound file')
  const meta = newerMeta(first, second)
  if (typeof meta === 'string' || meta.main.root === undefined) throw new Error('an empty file')
  if (kind === 'free') return (meta.free.root ?? Number.NaN) * pageBytes
  if (kind === 'root') return meta.main.root * pageBytes
  const found: Record<'branch' | 'leaf' | 'overflow', number[]> = {
    branch: [],
    leaf: [],
    overflow: [],
  }
  walk(bytes, meta.main.root * pageBytes, found)
  if (kind === 'branch') found.branch.shift()
  const pages = found[kind]
  const page = pages[Math.floor(pages.length / 2)]
  if (page === undefined) throw new Error(`it has no ${kind} page`)
  return page
}

const walk = (bytes: Buffer, at: number, found: Record<string, number[]>): void => {
  const isBranch = bytes.readUInt16LE(at + 18) === pageFlags.branch
  found[isBranch ? 'branch' : 'leaf']?.push(at)
  for (const node of nodesOf(bytes, at)) {
    const isLarge = (bytes.readUInt16LE(node + 4) & overflowNode) !== 0
    if (isBranch) walk(bytes, bytes.readUIntLE(node, 6) * pageBytes, found)
    else if (isLarge)
      found.overflow?.push(bytes.readUIntLE(node + 8 + bytes.readUInt16LE(node + 6), 6) * pageBytes)
  }
}

const nodesOf = (bytes: Buffer, at: number): number[] =>
  Array.from(
    { length: bytes.readUInt16LE(at + 20) / 2 },
    (_, index) => at + 24 + bytes.readUInt16LE(at + 24 + 2 * index),
  )

/** Damages a page in use of a projection. */
export const onPage =
  (kind: PageKind, damage: (at: number) => Edit): Edit =>
  (bytes) =>
    damage(pageOf(bytes, kind))(bytes)
