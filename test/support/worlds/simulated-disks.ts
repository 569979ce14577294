import type { DiskFile } from '../../../src/storage/ports/disk.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'

/** So many that each fate of a sector and of a name comes up at one of them. */
export const seeds: readonly number[] = Array.from({ length: 200 }, (_, index) => index + 1)

/** What a power cut keeps, loses, tears or garbles as one. */
export const sectorBytes = 512

/** `length` times the same `byte`. */
export const filled = (length: number, byte: number): Uint8Array =>
  new Uint8Array(length).fill(byte)

/** A disk with one durable file `/a` of `content`. */
export const diskWith = (content: Uint8Array, seed = 1): SimulatedDisk => {
  const disk = simulatedDisk({ seed })
  const file = disk.open('/a', 'create')
  file.write(content, 0)
  file.sync()
  file.close()
  disk.syncFolder('/')
  return disk
}

/** Writes `bytes` to `/a` without a sync, and answers the open file. */
export const overwrite = (disk: SimulatedDisk, bytes: Uint8Array, offset: number): DiskFile => {
  const file = disk.open('/a', 'write')
  file.write(bytes, offset)
  return file
}
