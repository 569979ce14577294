/** One bad sector costs one sector, and is asked for once. */
import { describe, expect, test } from 'vitest'
import { DiskError } from '../../../src/storage/ports/disk.ts'
import { isFileFailure, WornDisk } from '../../../src/storage/rescue/worn-disk.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { withBadSectors } from '../../support/bad-sectors.ts'

const path = '/file'

const fileOf = (size: number) => {
  const disk = simulatedDisk()
  const file = disk.open(path, 'create')
  const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 7 + (at >> 8)) & 0x7f)
  file.write(bytes, 0)
  file.close()
  return { disk, bytes }
}

describe('a worn disk', () => {
  test('gives every byte but those of the sectors that are bad, wherever a read begins and ends', () => {
    const { disk, bytes } = fileOf(10_000)
    const bad = [
      { path, from: 1024, to: 1536 },
      { path, from: 5000, to: 5001 },
    ]
    const expected = Uint8Array.from(bytes)
    expected.fill(0xff, 1024, 1536)
    expected.fill(0xff, 4608, 5120)
    for (const offset of [0, 1, 511, 512, 1023, 1024, 1500, 4608, 5119, 5120, 9999, 10_000, 20_000])
      for (const length of [0, 1, 300, 512, 4096, 20_000]) {
        const worn = new WornDisk(withBadSectors(disk, bad))
        const into = new Uint8Array(length)

        const count = worn.open(path).read(into, offset)

        const wanted = expected.subarray(offset, offset + length)
        expect(count).toBe(wanted.length)
        // A sector of which nothing is asked beyond what can be read may come back whole.
        const given = into.subarray(0, count)
        for (const [at, byte] of given.entries())
          if (byte !== wanted[at] && byte !== bytes[offset + at])
            expect.fail(`offset ${offset}, length ${length}: byte ${at} is ${byte}`)
      }
  })

  test('says what it could not read, in the order of offsets, neighbours as one', () => {
    const { disk } = fileOf(8192)
    const worn = new WornDisk(
      withBadSectors(disk, [
        { path, from: 4096, to: 4608 },
        { path, from: 512, to: 1536 },
      ]),
    )

    worn.open(path).read(new Uint8Array(8192), 0)

    expect(worn.unreadable(path)).toEqual([
      { offset: 512, bytes: 1024 },
      { offset: 4096, bytes: 512 },
    ])
    expect(worn.unreadable('/other')).toEqual([])
  })

  test('asks for a bad sector no second time, through whatever handle', () => {
    const { disk } = fileOf(8192)
    const bad = withBadSectors(disk, [{ path, from: 4096, to: 4608 }])
    const worn = new WornDisk(bad)
    worn.open(path).read(new Uint8Array(8192), 0)
    bad.reads.length = 0

    worn.open(path).read(new Uint8Array(8192), 0)

    const touching = bad.reads.filter((read) => {
      const [, offset = 0, bytes = 0] = read.split(' ').map(Number)
      return offset < 4608 && offset + bytes > 4096
    })
    expect(bad.reads).not.toEqual([])
    expect(touching).toEqual([])
  })

  test('does not take the end of what the process may open for damage', () => {
    const { disk } = fileOf(512)
    const worn = new WornDisk(withBadSectors(disk, [{ path, from: 0, to: 512 }], 'EBADF'))

    expect(() => worn.open(path).read(new Uint8Array(10), 0)).toThrow(DiskError)
    expect(isFileFailure(new DiskError('EMFILE', 'open', path))).toBe(false)
    expect(isFileFailure(new DiskError('EACCES', 'open', path))).toBe(true)
  })
})
