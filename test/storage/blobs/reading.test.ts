import { describe, expect, test } from 'vitest'
import {
  ChunkSums,
  encodeBlobHeader,
  encodeBlobTrailer,
} from '../../../src/storage/blobs/blob-record.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { BlobWorld, codeThrown, payload } from '../../support/worlds/blob-folder.ts'

const size = 3 * 65_536 + 100

const stored = () => {
  const world = new BlobWorld({ segmentBytes: 1024 * 1024 })
  const [before, ref, behind] = world.put(payload(1), payload(2, size), payload(3)) as [
    BlobRef,
    BlobRef,
    BlobRef,
  ]
  return { world, before, ref, behind, content: payload(2, size) }
}

describe('a range of a blob', () => {
  test('is the range of the payload, at every border of a chunk', () => {
    const { world, ref, content } = stored()
    const borders = [0, 1, 65_535, 65_536, 65_537, 131_072, size - 1, size]
    for (const from of borders)
      for (const to of borders.filter((at) => at >= from))
        expect(Buffer.compare(world.range(ref, from, to), content.subarray(from, to))).toBe(0)
  })

  test('beyond the blob is refused', () => {
    const { world, ref } = stored()
    for (const [from, to] of [
      [-1, 5],
      [5, 4],
      [0, size + 1],
    ] as const)
      expect(codeThrown(() => world.range(ref, from, to))).toBe('INVALID_ARGUMENT')
  })

  test('reads only the chunks that it touches', () => {
    const { world, ref } = stored()
    const calls = world.disk.recordCalls()
    world.range(ref, 70_000, 70_010)
    const read = calls.filter(({ operation }) => operation === 'read')
    expect(read.reduce((sum, { bytes = 0 }) => sum + bytes, 0)).toBe(48 + 65_536 + 4)
  })

  test('notices a flipped bit inside the range, and none outside', () => {
    const { world, ref, content } = stored()
    world.harm(ref, 65_536 + 7)
    expect(codeThrown(() => world.range(ref, 65_536, 65_540))).toBe('CORRUPT')
    expect(codeThrown(() => world.range(ref, 131_071, 131_073))).toBe('CORRUPT')
    expect(world.range(ref, 0, 65_536)).toEqual(content.subarray(0, 65_536))
    expect(world.range(ref, 131_072, size)).toEqual(content.subarray(131_072))
  })

  test('of zero bytes still needs the blob', () => {
    const { world, ref } = stored()
    expect(world.range(ref, 5, 5)).toHaveLength(0)
    world.disk.remove(world.file(ref))
    expect(codeThrown(() => world.range(ref, 5, 5))).toBe('CORRUPT')
  })
})

describe('a missing or damaged blob is CORRUPT, never absent', () => {
  test.each([
    [
      'its segment is missing',
      ({ world, ref }: ReturnType<typeof stored>) => world.disk.remove(world.file(ref)),
    ],
    ['its header is damaged', ({ world, ref }: ReturnType<typeof stored>) => world.harm(ref, -20)],
    ['its payload is damaged', ({ world, ref }: ReturnType<typeof stored>) => world.harm(ref, 99)],
    [
      'the sum of a chunk is damaged',
      ({ world, ref }: ReturnType<typeof stored>) => world.harm(ref, size),
    ],
    [
      'its segment is too short',
      ({ world, ref }: ReturnType<typeof stored>) =>
        world.disk.open(world.file(ref), 'write').truncate(ref.offset + 50),
    ],
  ])('when %s', (_, harm) => {
    const all = stored()
    harm(all)
    expect(codeThrown(() => all.world.range(all.ref, 0, 10))).toBe('CORRUPT')
    expect(codeThrown(() => all.world.whole(all.ref))).toBe('CORRUPT')
  })

  test('if its trailer is damaged, which only a reading of the whole notices', () => {
    const { world, ref } = stored()
    world.harm(ref, size + 4 * 4 + 2)
    expect(codeThrown(() => world.range(ref, 0, 10))).toBe('ok')
    expect(codeThrown(() => world.whole(ref))).toBe('CORRUPT')
  })

  test('if its sums match its payload but not the reference', () => {
    const { world, ref } = stored()
    const sha256 = new Uint8Array(ref.sha256)
    sha256[0] = (sha256[0] ?? 0) ^ 1
    expect(codeThrown(() => world.range({ ...ref, sha256 }, 0, 10))).toBe('CORRUPT')
  })

  test('if a reference names a place without a record', () => {
    const { world, ref } = stored()
    for (const offset of [0, ref.offset + 1, ref.offset + 10_000_000])
      expect(codeThrown(() => world.range({ ...ref, offset }, 0, 10))).toBe('CORRUPT')
  })

  test('and the blobs beside it stay readable, also after a restart', () => {
    const { world, before, ref, behind } = stored()
    world.harm(ref, -48)
    world.harm(ref, 5)
    for (const life of ['this', 'next']) {
      expect(world.whole(before), life).toEqual(payload(1))
      expect(world.whole(behind), life).toEqual(payload(3))
      expect(world.put(payload(9)), life).toHaveLength(1)
      world.crash()
    }
  })
})

describe('a reading of the whole', () => {
  test('returns its last bytes only if the SHA-256 of all holds', () => {
    const { world, ref, content } = stored()
    const { reading } = world.blobs.handle('readOpen', { ref, from: 0, to: size })
    const first = world.blobs.handle('readNext', { reading, bytes: new Uint8Array(65_536) })
    expect(first).toEqual({ bytes: content.subarray(0, 65_536), done: false })
    world.harm(ref, size - 1)
    world.blobs.handle('readNext', { reading, bytes: new Uint8Array(65_536) })
    expect(
      codeThrown(() => world.blobs.handle('readNext', { reading, bytes: new Uint8Array(1 << 20) })),
    ).toBe('CORRUPT')
    expect(
      codeThrown(() => world.blobs.handle('readNext', { reading, bytes: new Uint8Array(1) })),
    ).toBe('EXITED')
  })

  test('fills the memory of the request with as many chunks as fit', () => {
    const { world, ref, content } = stored()
    const { reading } = world.blobs.handle('readOpen', { ref, from: 70_000, to: size })
    let at = 70_000
    for (const end of [131_072, size]) {
      const memory = new Uint8Array(100_000)
      const { bytes, done } = world.blobs.handle('readNext', { reading, bytes: memory })
      expect(bytes.buffer).toBe(memory.buffer)
      expect(Buffer.compare(bytes, content.subarray(at, end))).toBe(0)
      expect(done).toBe(end === size)
      at = end
    }
  })

  test('refuses memory in which no chunk fits', () => {
    const { world, ref } = stored()
    const { reading } = world.blobs.handle('readOpen', { ref, from: 0, to: size })
    const read = () => world.blobs.handle('readNext', { reading, bytes: new Uint8Array(65_535) })
    expect(codeThrown(read)).toBe('INVALID_ARGUMENT')
  })

  test('notices another content with forged CRCs by its SHA-256', () => {
    const { world, ref } = stored()
    const other = payload(7, size)
    const header = encodeBlobHeader(size, ref.sha256)
    const sums = new ChunkSums(ref)
    sums.add(other)
    world.disk.poke(world.file(ref), ref.offset, other)
    world.disk.poke(world.file(ref), ref.offset + size, encodeBlobTrailer(ref, header, sums.end()))
    expect(codeThrown(() => world.range(ref, 0, size))).toBe('ok')
    expect(codeThrown(() => world.whole(ref))).toBe('CORRUPT')
  })

  test('goes on while a sweep removes its segment', () => {
    const { world, ref, content } = stored()
    const { reading } = world.blobs.handle('readOpen', { ref, from: 0, to: size })
    world.clearAllBut([])
    const { bytes } = world.blobs.handle('readNext', { reading, bytes: new Uint8Array(size) })
    expect(Buffer.compare(bytes, content)).toBe(0)
    expect(codeThrown(() => world.range(ref, 0, 1))).toBe('CORRUPT')
  })

  test('that fails at the disk is SHARD_DOWN, not CORRUPT', () => {
    const { world, ref } = stored()
    world.disk.inject({ at: 1, operation: 'read', fault: { kind: 'error', code: 'EIO' } })
    expect(codeThrown(() => world.range(ref, 0, 10))).toBe('SHARD_DOWN')
    expect(codeThrown(() => world.range(ref, 0, 10))).toBe('ok')
  })
})
