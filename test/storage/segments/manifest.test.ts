import { describe, expect, test } from 'vitest'
import { crc32 } from '../../../src/bytes/crc32.ts'
import {
  adoptManifest,
  decodeManifest,
  encodeManifest,
  type Manifest,
  manifestBytes,
  openManifest,
  prepareManifest,
  readManifest,
  writeManifest,
} from '../../../src/storage/segments/manifest.ts'
import { type SimulatedDisk, simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { dir, fill } from '../../support/worlds/logs.ts'

const manifest: Manifest = {
  generation: 1,
  walId: '00112233445566778899aabbccddeeff',
  epoch: 3,
  newest: { seq: 9, baseLsn: 2 ** 40, salt: { low: 0xffff_ffff, high: 0 } },
  recoveredLsn: 2 ** 40 + 3,
  checkpointLsn: 12,
  checkpointSegment: 2,
  lastTime: Date.UTC(2026, 0, 1),
  snapshots: [],
}
const closed: Manifest = { ...manifest, cleanClose: { lastLsn: 2 ** 40 + 3, endOffset: 4200 } }
const named: Manifest = {
  ...closed,
  snapshots: Array.from({ length: 8 }, (_, at) => ({
    ...{ lsn: 2 ** 53 - 9 + at, bytes: 2 ** 50 + at, sum: 2 ** 32 - 1 - at },
  })),
}
const path = `${dir}/MANIFEST`

const newDisk = () => {
  const disk = simulatedDisk()
  disk.makeFolder(dir)
  for (const folder of ['/', '/data']) disk.syncFolder(folder)
  return disk
}

const write = (disk: SimulatedDisk, state: Manifest): void => {
  const file = openManifest(disk, dir)
  writeManifest(file, state)
  file.close()
}

/** A disk whose MANIFEST has both slots written: generations 1 and 2. */
const written = () => {
  const disk = newDisk()
  prepareManifest(disk, dir, manifest)
  adoptManifest(disk, dir)
  write(disk, { ...closed, generation: 2 })
  return disk
}

describe('a slot', () => {
  test.each([
    ['open', manifest],
    ['closed', closed],
    ['followed by snapshots', named],
  ])('of a log that is %s decodes to the state that was encoded', (_, state) => {
    expect(decodeManifest(encodeManifest(state))).toEqual(state)
  })

  test('is damaged by each flipped bit', () => {
    const slot = encodeManifest(named)
    for (let bit = 0; bit < 512 * 8; bit++) {
      slot[bit >> 3] = (slot[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeManifest(slot), `bit ${bit}`).toBe('damaged')
      slot[bit >> 3] = (slot[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    }
  })
})

describe('the MANIFEST', () => {
  test('is absent, not damaged, in a folder without one', () => {
    expect(readManifest(newDisk(), dir)).toEqual({
      manifest: undefined,
      exists: false,
      whole: false,
      damagedSlots: 0,
    })
  })

  test('has the state that was written last', () => {
    expect(readManifest(written(), dir)).toEqual({
      manifest: { ...closed, generation: 2 },
      exists: true,
      whole: true,
      damagedSlots: 0,
    })
  })

  test('is written in place: it keeps its size and works on a full disk', () => {
    const disk = written()
    fill(disk)

    write(disk, { ...manifest, generation: 3 })

    expect(disk.entry(path)?.size).toBe(manifestBytes)
    expect(readManifest(disk, dir).manifest?.generation).toBe(3)
  })

  test('falls back to the state before when the newer slot is damaged', () => {
    const disk = written()
    disk.flipBit(path, 40 * 8)

    expect(readManifest(disk, dir)).toMatchObject({ manifest, damagedSlots: 1 })
  })

  test('has no state when both slots are damaged', () => {
    const disk = written()
    disk.flipBit(path, 40 * 8)
    disk.flipBit(path, (4096 + 40) * 8)

    expect(readManifest(disk, dir)).toMatchObject({ manifest: undefined, damagedSlots: 2 })
  })

  test('is not whole when it is cut anywhere, and the rest is read', () => {
    for (const size of [0, 100, 4096, 4400, 8191]) {
      const disk = written()
      const file = disk.open(path, 'write')
      file.truncate(size)
      file.close()
      const generation = size === 8191 ? 2 : size >= 512 ? 2 : undefined
      const reading = readManifest(disk, dir)
      expect(reading.whole, `${size} bytes`).toBe(false)
      expect(reading.manifest?.generation, `${size} bytes`).toBe(generation)
    }
  })

  test('survives a power cut during any write: it has the state before or after it', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const disk = written().clone({ seed })
      disk.inject({ at: 1, operation: 'sync', fault: { kind: 'halt' } })
      expect(() => write(disk, { ...manifest, generation: 3 })).toThrow()
      disk.crash()
      expect([2, 3], `seed ${seed}`).toContain(readManifest(disk, dir).manifest?.generation)
    }
  })

  test('of a newer version is not taken for damage', () => {
    const disk = written()
    const slot = encodeManifest({ ...manifest, generation: 3 })
    slot[8] = 9
    new DataView(slot.buffer).setUint32(508, crc32(slot.subarray(0, 508)), true)
    disk.poke(path, 4096, slot)

    expect(readManifest(disk, dir)).toMatchObject({ damagedSlots: 0, unsupported: 9 })
  })
})
