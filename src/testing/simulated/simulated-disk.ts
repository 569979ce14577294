/**
 * A disk in memory with the faults of real disks. A power cut loses, tears and garbles unsynced
 * bytes and forgets unsynced names; calls fail, space runs out, bits rot. One seed decides
 * everything. Two promises always hold: a sync that returned is durable, and a sector without
 * unsynced writes is unharmed. After `crash` the same object is the disk after the reboot.
 */

import { posix } from 'node:path'
import { noMore } from '../../check.ts'
import { seededRandom } from '../../clock.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type Disk,
  type DiskEntry,
  type DiskFile,
  type DiskFolder,
  type DiskLock,
  lockedDir,
  type OpenMode,
} from '../../storage/index.ts'
import { crashDraws, type Unsynced } from './simulated-crash.ts'
import {
  type DiskCall,
  type DiskOperation,
  type Fault,
  type FaultPlan,
  Refusal,
  SimulatedCalls,
} from './simulated-faults.ts'
import { blockBytes, checkExtent, SimulatedFile } from './simulated-file.ts'
import { SimulatedNames } from './simulated-names.ts'

/** How a simulated disk begins. */
export type SimulatedDiskOptions = {
  /** Decides what power cuts and faults leave; 1 by default. */
  readonly seed?: number
  /** The unit that a power cut tears, in bytes; 512 by default. */
  readonly sectorBytes?: number
  /** Space for contents and folders, in blocks of 4 KiB; without limit by default. */
  readonly capacityBytes?: number
}

/** Makes an empty simulated disk. @throws KeelsonError `INVALID_ARGUMENT` for a wrong option */
export const simulatedDisk = (
  options: SimulatedDiskOptions = noOptions,
  ...surplus: []
): SimulatedDisk => {
  noMore(surplus, 'simulatedDisk({ seed, … })')
  const { seed = 1, sectorBytes = 512, capacityBytes = 0 } = options
  if (!Number.isSafeInteger(seed)) throw invalidArgument('seed', 'a whole number', seed)
  if (!Number.isSafeInteger(sectorBytes) || sectorBytes < 1)
    throw invalidArgument('sectorBytes', 'a whole number from 1', sectorBytes)
  if (!(capacityBytes >= 0)) throw invalidArgument('capacityBytes', 'bytes from 0', capacityBytes)
  return new SimulatedDisk(options, new SimulatedNames())
}

/** A disk in memory. `simulatedDisk` makes one. */
export class SimulatedDisk implements Disk {
  /** May be changed at any time: lowered to fill the disk, raised to make room. */
  capacityBytes: number
  /** The answer of `isVolatile`. It changes nothing in a power cut. */
  volatile = false
  isVolatile = (): boolean => this.volatile
  free = (): number => this.freeBytes
  identity = (path: string): string | undefined => this.#names.identity(path)
  readonly #seed: number
  readonly #sectorBytes: number
  readonly #names: SimulatedNames
  readonly #calls = new SimulatedCalls()
  readonly #random: () => number
  readonly #opened = new Map<DiskFile, SimulatedFile>()
  readonly #openFolders = new Set<DiskFolder>()
  readonly #locked = new Map<SimulatedFile, DiskLock>()
  #endedProcesses = 0

  /** @internal For `simulatedDisk` and `clone`. */
  constructor(options: SimulatedDiskOptions, names: SimulatedNames) {
    this.#seed = options.seed ?? 1
    this.#sectorBytes = options.sectorBytes ?? 512
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.#random = seededRandom(this.#seed)
    this.#names = names
  }

  /** Calls of each kind since the disk was made or cloned, failed ones included. */
  get counts(): Record<DiskOperation, number> {
    return this.#calls.counts
  }

  /** While true, each call that would change something throws `EROFS`. */
  get readOnly(): boolean {
    return this.#calls.readOnly
  }

  set readOnly(value: boolean) {
    this.#calls.readOnly = value
  }

  get syncs(): number {
    return this.counts.sync
  }

  get writes(): number {
    return this.counts.write
  }

  /** Calls of all kinds. */
  get calls(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0)
  }

  get freeBytes(): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return this.capacityBytes
    // As on real file systems, a removed file keeps its space while it is open.
    const nodes = new Set([...this.#names.nodes(), ...this.#opened.values()])
    let used = 0
    for (const node of nodes) used += node.kind === 'file' ? node.allocatedBytes : blockBytes
    return this.capacityBytes - used
  }

  // The port.

  open(path: string, mode: OpenMode): DiskFile {
    const operation = mode.startsWith('create') ? 'create' : 'open'
    const open = (): DiskFile => {
      const file = operation === 'create' ? this.#create(path) : this.#existing(path)
      const handle = this.#handle(path, file, mode !== 'read')
      this.#opened.set(handle, file)
      return handle
    }
    return this.#calls.make({ operation, path }, open, { opensToWrite: mode === 'write' })
  }

  openFolder(path: string): DiskFolder {
    return this.#calls.make({ operation: 'open', path }, () => {
      const folder = this.#names.folder(path)
      const handle: DiskFolder = {
        sync: () =>
          this.#calls.make({ operation: 'syncFolder', path }, () => {
            if (!this.#openFolders.has(handle)) throw new Refusal('EBADF')
            this.#names.sync(folder)
          }),
        close: () =>
          this.#calls.make({ operation: 'close', path }, () => {
            if (!this.#openFolders.delete(handle)) throw new Refusal('EBADF')
          }),
      }
      this.#openFolders.add(handle)
      return handle
    })
  }

  entry(path: string): DiskEntry | undefined {
    return this.#calls.make({ operation: 'entry', path }, () => {
      const node = this.#names.find(path)
      return node && { kind: node.kind, size: node.kind === 'file' ? node.size : blockBytes }
    })
  }

  list(path: string): string[] {
    return this.#calls.make({ operation: 'list', path }, () =>
      [...this.#names.folder(path).names.keys()].sort(),
    )
  }

  makeFolder(path: string): void {
    this.#calls.make({ operation: 'makeFolder', path }, () => {
      const exists = this.#names.find(path)?.kind === 'folder'
      if (!exists && this.freeBytes < blockBytes) throw new Refusal('ENOSPC')
      this.#names.makeFolder(path)
    })
  }

  rename(from: string, to: string): void {
    this.#calls.make({ operation: 'rename', path: from }, () => this.#names.rename(from, to))
  }

  /** Removes the names in a folder one by one, each by one call. */
  remove(path: string): void {
    const node = this.#names.find(path)
    if (node?.kind === 'folder')
      for (const name of [...node.names.keys()].sort()) this.remove(posix.join(path, name))
    this.#calls.make({ operation: 'remove', path }, () => this.#names.remove(path))
  }

  syncFolder(path: string): void {
    this.#calls.make({ operation: 'syncFolder', path }, () =>
      this.#names.sync(this.#names.folder(path)),
    )
  }

  lock(path: string, holder: string): DiskLock {
    return this.#calls.make({ operation: 'lock', path }, () => {
      const file = this.#names.find(path) ? this.#existing(path) : this.#create(path)
      if (this.#locked.has(file)) throw lockedDir(path, new TextDecoder().decode(file.contents()))
      this.#writeHolder(file, holder)
      const lock: DiskLock = {
        identity: this.#names.identity(path),
        release: () => {
          if (this.#calls.halted || this.#locked.get(file) !== lock) return
          this.#locked.delete(file)
          file.write(new Uint8Array(file.size).fill(0x0a), 0)
        },
      }
      this.#locked.set(file, lock)
      return lock
    })
  }

  // For tests.

  /**
   * Plans a fault, beside those planned before. @throws KeelsonError `INVALID_ARGUMENT` for a wrong
   * plan
   */
  inject(plan: FaultPlan): void {
    this.#calls.faults.add(plan)
  }

  /** Forgets all plans. It does not undo their effects. */
  clearFaults(): void {
    this.#calls.faults.clear()
  }

  /**
   * Names the process that uses the disk, by how many have ended before it; `undefined` once it has
   * stopped.
   */
  get process(): number | undefined {
    return this.#calls.halted ? undefined : this.#endedProcesses
  }

  /** Whether the process has stopped here, by `halt` or a fault. */
  get isHalted(): boolean {
    return this.#calls.halted
  }

  /**
   * The process stops here: all further calls throw `HALTED`, without effect, until `crash` or
   * `killProcess`.
   */
  halt(): void {
    this.#calls.halted = true
  }

  /** Starts a new record of calls. It grows with each call. */
  recordCalls(): readonly DiskCall[] {
    return this.#calls.record()
  }

  /**
   * Cuts the power and brings the machine back. Unsynced changes are kept, lost, torn or garbled as
   * the seed decides, or all `kept` or all `lost`. Files are closed, locks are free, plans
   * forgotten.
   */
  crash({ unsynced = 'seeded' }: { unsynced?: Unsynced } = noOptions): void {
    const files = [...this.#names.nodes()].filter((node) => node.kind === 'file')
    const below = (limit: number): number => Math.floor(this.#random() * limit)
    const draws = crashDraws(this.#random, unsynced, (into) => {
      const from = files[below(files.length)]
      from?.read(into, below(Math.ceil(from.size / into.length)) * into.length)
    })
    this.#names.crash(draws.nameKept)
    for (const node of this.#names.nodes()) if (node.kind === 'file') node.crash(draws.file())
    this.killProcess()
    this.#calls.faults.clear()
  }

  /** Ends the process, not the machine: nothing is lost, files are closed and locks are free. */
  killProcess(): void {
    this.#opened.clear()
    this.#openFolders.clear()
    this.#locked.clear()
    this.#calls.halted = false
    this.#endedProcesses++
  }

  /**
   * Copies the disk with its unsynced changes. On the copy nothing is open or locked, no fault is
   * planned, and all counts are zero. Its draws begin with `seed`, by default that of this disk.
   */
  clone({ seed = this.#seed }: { seed?: number } = noOptions): SimulatedDisk {
    const { capacityBytes } = this
    return new SimulatedDisk(
      { seed, sectorBytes: this.#sectorBytes, capacityBytes },
      this.#names.clone(),
    )
  }

  /** Copies a file's contents as a reader sees them. Not counted as a call. */
  contents(path: string): Uint8Array {
    return this.#existing(path).contents()
  }

  /** Replaces bytes at rest, as rot does: on the disk and in the cache, never beyond the end. */
  poke(path: string, offset: number, bytes: Uint8Array): void {
    this.#existing(path).poke(offset, bytes)
  }

  /** Flips one bit at rest. Bit 0 is the lowest of byte 0. */
  flipBit(path: string, bit: number): void {
    const file = this.#existing(path)
    const byte = file.contents()[Math.floor(bit / 8)] ?? 0
    file.poke(Math.floor(bit / 8), Uint8Array.of(byte ^ (1 << (bit % 8))))
  }

  #handle(opened: string, file: SimulatedFile, writable: boolean): DiskFile {
    let path = opened
    const call = <T>(facts: Omit<DiskCall, 'path'>, action: (fault: Fault | undefined) => T): T =>
      this.#calls.make({ ...facts, path }, (fault) => {
        if (!this.#opened.has(handle)) throw new Refusal('EBADF')
        return action(fault)
      })
    const handle: DiskFile = {
      get path() {
        return path
      },
      size: () => call({ operation: 'size' }, () => file.size),
      read: (into, offset) =>
        call({ operation: 'read', offset, bytes: into.length }, () => {
          checkExtent(offset, 0)
          return file.read(into, offset)
        }),
      write: (bytes, offset) =>
        call({ operation: 'write', offset, bytes: bytes.length }, (fault) => {
          if (!writable) throw new Refusal('EBADF')
          checkExtent(offset, bytes.length)
          return this.#write(file, bytes, offset, fault)
        }),
      sync: () =>
        call({ operation: 'sync' }, (fault) => {
          if (fault?.kind !== 'error') return file.sync()
          file.abandon()
          throw new Refusal(fault.code ?? 'EIO')
        }),
      truncate: (size) =>
        call({ operation: 'truncate', offset: size }, () => {
          if (!writable) throw new Refusal('EINVAL')
          checkExtent(0, size)
          file.truncate(size)
        }),
      rename: (to) =>
        call({ operation: 'rename' }, () => {
          this.#names.rename(path, to)
          path = to
        }),
      close: () => call({ operation: 'close' }, () => void this.#opened.delete(handle)),
    }
    return handle
  }

  #write(file: SimulatedFile, bytes: Uint8Array, offset: number, fault: Fault | undefined): number {
    let count = file.room(offset, bytes.length, this.freeBytes)
    if (count === 0 && bytes.length > 0) throw new Refusal('ENOSPC')
    if (fault?.kind === 'short') count = Math.min(count, fault.bytes)
    // A failed write may have written any part of its bytes.
    if (fault?.kind === 'error') count = Math.floor(this.#random() * (count + 1))
    file.write(
      bytes.subarray(0, count),
      offset,
      fault?.kind === 'misdirected' ? fault.offset : undefined,
    )
    if (fault?.kind === 'error') throw new Refusal(fault.code ?? 'EIO')
    return count
  }

  #create(path: string): SimulatedFile {
    const [folder, name] = this.#names.place(path)
    if (folder.names.has(name) || name === '') throw new Refusal('EEXIST')
    const file = new SimulatedFile(this.#sectorBytes)
    this.#names.change([folder, name, file])
    return file
  }

  #existing(path: string): SimulatedFile {
    const [folder, name] = this.#names.place(path)
    const node = folder.names.get(name)
    if (!node) throw new Refusal('ENOENT')
    if (node.kind === 'folder') throw new Refusal('EISDIR')
    return node
  }

  #writeHolder(file: SimulatedFile, holder: string): void {
    const line = new TextEncoder().encode(`${holder}\n`)
    if (file.room(0, line.length, this.freeBytes) < line.length) throw new Refusal('ENOSPC')
    file.write(line, 0)
    file.truncate(line.length)
  }
}
