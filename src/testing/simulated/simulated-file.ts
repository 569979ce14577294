/**
 * One file of the simulated disk: the bytes in the page cache, the bytes on the platter, and every
 * outcome that a power cut may have for the difference. A sector without unsynced writes is never
 * harmed. The log rests on that one assumption about disks, "powersafe overwrite".
 */
import { Refusal } from './simulated-faults.ts'

/** The outcome of a power cut for an unsynced sector. */
export type SectorFate = 'kept' | 'lost' | 'torn' | 'garbage'

/** The decisions of one power cut about one file. */
export type CrashDraw = {
  /**
   * The fate of the `index`-th of `count` unsynced sectors, in the order in which they were first
   * written.
   */
  readonly fate: (index: number, count: number) => SectorFate
  /** How many of `count` unsynced changes of the size reached the disk, in order. */
  readonly sizesKept: (count: number) => number
  /** A whole number from 0 up to, not including, `limit`. */
  readonly below: (limit: number) => number
  /** Fills a sector with foreign bytes. */
  readonly garbage: (into: Uint8Array) => void
}

/** A sector's content, and the number of unsynced size changes that came before it. */
type Version = { readonly bytes: Uint8Array; readonly after: number }

type DirtySector = {
  /**
   * Contents since the last sync that a later write replaced. Write-back may have written any of
   * them.
   */
  older: Version[]
  /** How many unsynced size changes came before the content in the cache. */
  after: number
  /** A failed sync marked it clean. No later sync writes it until it is written again. */
  abandoned: boolean
  /** The sector that gets its bytes by mistake. */
  landsAt: number | undefined
}

/** Older contents of one sector that are kept between two syncs. */
const olderMax = 4

/** Space is given out in blocks of this many bytes, as file systems do. */
export const blockBytes = 4096

/** Files are held whole in memory, holes included. */
const fileBytesMax = 2 ** 30

/** Refuses a wrong range with `EINVAL`, and a file that is too large for memory with `EFBIG`. */
export const checkExtent = (offset: number, count: number): void => {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new Refusal('EINVAL')
  if (!Number.isSafeInteger(count) || count < 0) throw new Refusal('EINVAL')
  if (count > 0 && offset + count > fileBytesMax) throw new Refusal('EFBIG')
}

/** The contents of a file, before and after a power cut. Offsets and sizes are bytes. */
export class SimulatedFile {
  readonly kind = 'file'
  readonly #sectorBytes: number
  #cache = new Uint8Array(0)
  #size = 0
  #durable = new Uint8Array(0)
  #durableSize = 0
  /** Sizes since the last sync, oldest first. */
  #sizes: number[] = []
  readonly #dirty = new Map<number, DirtySector>()
  readonly #blocks = new Set<number>()

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of the blocks that were ever written; holes take no space. */
  get allocatedBytes(): number {
    return this.#blocks.size * blockBytes
  }

  /** Copies the contents as a reader sees them. */
  contents(): Uint8Array {
    return this.#cache.slice(0, this.#size)
  }

  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - offset))
    into.set(this.#cache.subarray(offset, offset + count))
    return count
  }

  /** How many of `count` bytes at `offset` can be written when `free` bytes of space are left. */
  room(offset: number, count: number, free: number): number {
    let left = free
    for (let at = offset; at < offset + count; ) {
      const block = Math.floor(at / blockBytes)
      // On a disk that has less than it holds, as on any full one, only new blocks are refused.
      if (!this.#blocks.has(block)) {
        left -= blockBytes
        if (left < 0) return at - offset
      }
      at = (block + 1) * blockBytes
    }
    return count
  }

  /**
   * Writes to the cache. With `landsAt`, a later sync writes there, and the right place stays as it
   * was.
   */
  write(bytes: Uint8Array, offset: number, landsAt?: number): void {
    if (bytes.length === 0) return
    const end = offset + bytes.length
    const shift =
      landsAt === undefined ? undefined : Math.floor((landsAt - offset) / this.#sectorBytes)
    if (end > this.#size) this.#resize(end)
    const last = Math.floor((end - 1) / this.#sectorBytes)
    for (let sector = Math.floor(offset / this.#sectorBytes); sector <= last; sector++)
      this.#touch(sector, shift === undefined ? undefined : Math.max(0, sector + shift))
    this.#cache.set(bytes, offset)
    for (
      let block = Math.floor(offset / blockBytes);
      block <= Math.floor((end - 1) / blockBytes);
      block++
    )
      this.#blocks.add(block)
  }

  truncate(size: number): void {
    if (size === this.#size) return
    if (size < this.#size) this.#cut(size)
    this.#resize(size)
  }

  /** fdatasync: makes the cache durable, but for sectors that an earlier failed sync abandoned. */
  sync(): void {
    this.#durable.fill(0, smallest(this.#sizes, 0, this.#sizes.length))
    this.#durable = grown(this.#durable, this.#roundUp(this.#size))
    for (const [index, sector] of this.#dirty) {
      if (sector.abandoned) {
        sector.older = []
        sector.after = 0
        continue
      }
      this.#land(index, sector.landsAt ?? index)
      this.#dirty.delete(index)
    }
    this.#durable.fill(0, this.#size)
    this.#durableSize = this.#size
    this.#sizes = []
  }

  /**
   * A failed sync: the kernel reports it once and marks the pages clean. The cache still shows the
   * data, the next sync succeeds, and the data may never reach the disk.
   */
  abandon(): void {
    for (const sector of this.#dirty.values()) sector.abandoned = true
  }

  /** Cuts the power. Afterwards the cache shows the bytes on the disk. */
  crash(draw: CrashDraw): void {
    const kept = draw.sizesKept(this.#sizes.length)
    const size = kept === 0 ? this.#durableSize : (this.#sizes[kept - 1] ?? 0)
    const image = new Uint8Array(this.#roundUp(size))
    image.set(this.#durable.subarray(0, Math.min(this.#durableSize, image.length)))
    image.fill(0, smallest(this.#sizes, 0, kept))
    const count = this.#dirty.size
    let position = 0
    for (const [index, sector] of this.#dirty) {
      const fate = sector.landsAt === undefined ? draw.fate(position, count) : 'lost'
      position += 1
      const start = index * this.#sectorBytes
      if (fate === 'lost' || start >= image.length) continue
      this.#befall(fate, image.subarray(start, start + this.#sectorBytes), index, kept, draw)
    }
    image.fill(0, size)
    this.#settleOn(image, size)
  }

  /** Changes bytes on the disk and in the cache, as bit rot does. Nothing becomes unsynced. */
  poke(offset: number, bytes: Uint8Array): void {
    this.#cache.set(bytes.subarray(0, Math.max(0, this.#size - offset)), offset)
    if (offset < this.#durableSize)
      this.#durable.set(bytes.subarray(0, this.#durableSize - offset), offset)
  }

  clone(): SimulatedFile {
    const copy = new SimulatedFile(this.#sectorBytes)
    copy.#cache = this.#cache.slice()
    copy.#size = this.#size
    copy.#durable = this.#durable.slice()
    copy.#durableSize = this.#durableSize
    copy.#sizes = [...this.#sizes]
    for (const [index, sector] of this.#dirty)
      copy.#dirty.set(index, { ...sector, older: [...sector.older] })
    for (const block of this.#blocks) copy.#blocks.add(block)
    return copy
  }

  /** Marks a sector as written; call it before the cache changes. */
  #touch(index: number, landsAt: number | undefined): void {
    const sector = this.#dirty.get(index)
    const after = this.#sizes.length
    if (!sector) {
      this.#dirty.set(index, { older: [], after, abandoned: false, landsAt })
      return
    }
    sector.older.push({ bytes: this.#sector(index).slice(), after: sector.after })
    if (sector.older.length > olderMax) sector.older.shift()
    sector.after = after
    sector.abandoned = false
    sector.landsAt = landsAt
  }

  /**
   * Shrinks the cache. Unsynced bytes after the cut may reach the disk when the new size does not.
   */
  #cut(size: number): void {
    const first = Math.floor(size / this.#sectorBytes)
    for (const [index, sector] of this.#dirty) {
      if (index < first) continue
      sector.older.push({ bytes: this.#sector(index).slice(), after: sector.after })
      if (sector.older.length > olderMax) sector.older.shift()
      sector.after = this.#sizes.length + 1
    }
    this.#cache.fill(0, size)
    for (const block of this.#blocks) if (block * blockBytes >= size) this.#blocks.delete(block)
  }

  #resize(size: number): void {
    this.#cache = grown(this.#cache, this.#roundUp(size))
    this.#size = size
    this.#sizes.push(size)
  }

  #land(from: number, to: number): void {
    const start = to * this.#sectorBytes
    if (start < this.#durable.length) this.#durable.set(this.#sector(from), start)
  }

  #befall(
    fate: Exclude<SectorFate, 'lost'>,
    into: Uint8Array,
    index: number,
    kept: number,
    draw: CrashDraw,
  ): void {
    if (fate === 'garbage') draw.garbage(into)
    else {
      const written = this.#version(index, kept, draw)
      const tear = fate === 'kept' ? 0 : 1 + draw.below(into.length - 1)
      if (draw.below(2) === 0) into.set(written.subarray(tear), tear)
      else into.set(tear === 0 ? written : written.subarray(0, tear))
    }
  }

  /** One of the contents that the sector had since the last sync, the newest most often. */
  #version(index: number, kept: number, draw: CrashDraw): Uint8Array {
    const sector = this.#dirty.get(index)
    const newest = { bytes: this.#sector(index), after: sector?.after ?? 0 }
    const older = sector?.older ?? []
    const chosen = draw.below(4) > 0 ? newest : (older[draw.below(older.length + 1)] ?? newest)
    const bytes = chosen.bytes.slice()
    // A truncation that reached the disk after this content took the bytes after it.
    const cut = smallest(this.#sizes, chosen.after, kept) - index * this.#sectorBytes
    if (cut < bytes.length) bytes.fill(0, Math.max(0, cut))
    return bytes
  }

  #settleOn(image: Uint8Array<ArrayBuffer>, size: number): void {
    this.#durable = image
    this.#durableSize = size
    this.#cache = image.slice()
    this.#size = size
    this.#sizes = []
    this.#dirty.clear()
    for (const block of this.#blocks) if (block * blockBytes >= size) this.#blocks.delete(block)
  }

  #sector(index: number): Uint8Array {
    return this.#cache.subarray(index * this.#sectorBytes, (index + 1) * this.#sectorBytes)
  }

  #roundUp(size: number): number {
    return Math.ceil(size / this.#sectorBytes) * this.#sectorBytes
  }
}

/** The smallest of the sizes from index `from` up to `to`; infinite when there is none. */
const smallest = (sizes: readonly number[], from: number, to: number): number => {
  let least = Number.POSITIVE_INFINITY
  for (let at = from; at < to; at++) least = Math.min(least, sizes[at] ?? least)
  return least
}

/**
 * `bytes`, or a larger copy of it. Doubling keeps a file that grows in small steps from being
 * copied at each.
 */
const grown = (bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> => {
  if (length <= bytes.length) return bytes
  const larger = new Uint8Array(Math.max(length, bytes.length * 2))
  larger.set(bytes)
  return larger
}
