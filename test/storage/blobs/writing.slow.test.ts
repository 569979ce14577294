import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { simulatedDisk } from '../../../src/testing/index.ts'
import { BlobWorld, codeThrown, dir, payload } from '../../support/worlds/blob-folder.ts'

describe('a put of blobs', () => {
  test('goes to segment 0, offset 48 of a new folder, and makes no other file', () => {
    const world = new BlobWorld()
    const [ref] = world.put(payload(1))
    expect(ref).toMatchObject({ segment: 0, offset: 48, size: 300 })
    expect(world.disk.list(dir)).toEqual(['00000000000000000000.bloblog'])
    expect(world.whole(ref as never)).toEqual(payload(1))
  })

  test('is one write and one sync for all payloads of a call, equal ones written once', () => {
    const world = new BlobWorld()
    world.put(payload(0))
    const before = world.survey().segments[0]?.size ?? 0
    const calls = world.disk.recordCalls()
    const refs = world.put(payload(1, 20), payload(2, 5000), payload(1, 20))
    const done = calls.filter(({ operation }) => ['write', 'sync'].includes(operation))
    expect(done.map(({ operation, path }) => `${operation} ${path}`)).toEqual([
      `write ${dir}/00000000000000000000.bloblog`,
      `sync ${dir}/00000000000000000000.bloblog`,
      `write ${dir}.sizes`,
    ])
    expect(refs[2]).toEqual(refs[0])
    expect(refs[1]?.offset).toBe((refs[0]?.offset ?? 0) + 4096)
    expect(world.survey().segments[0]?.size).toBe(before + 4096 + 8192)
    expect(refs.map((ref) => world.whole(ref).length)).toEqual([20, 5000, 20])
  })

  test('of no payload does not touch the disk, and an open alone makes no file', () => {
    const world = new BlobWorld()
    const { calls } = world.disk
    expect(world.put()).toEqual([])
    expect(world.disk.calls).toBe(calls)
    expect(world.disk.entry(dir)).toBeUndefined()
  })

  test('makes the segment’s name durable once, with its first put', () => {
    const world = new BlobWorld()
    world.put(payload(1))
    const { syncFolder } = world.disk.counts
    world.put(payload(2))
    expect(world.disk.counts.syncFolder).toBe(syncFolder)
  })

  test('survives a power cut after its answer, also during the next put', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = new BlobWorld({ seed })
      const refs = [1, 2, 3].map((number) => world.put(payload(number, number * 3000))[0])
      world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'halt' } })
      expect(codeThrown(() => world.put(payload(4, 9000)))).not.toBe('ok')
      world.crash()
      refs.forEach((ref, at) => {
        const number = at + 1
        expect(world.whole(ref as never), `seed ${seed}`).toEqual(payload(number, number * 3000))
      })
    }
  })

  test('written in many pieces survives every power cut after its answer, and harms no other blob before', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = seededRandom(seed)
      const bufferBytes = 8192 * (1 + (seed % 3))
      const world = new BlobWorld({ seed, segmentBytes: 1 << 20, bufferBytes })
      const refs = world.put(payload(1, 30_000), payload(2, 10), payload(3, 70_000))
      // Both payloads take 57,344 bytes: three writes with the largest buffer.
      const at = 1 + Math.floor(random() * 3)
      world.disk.inject({ at, operation: 'write', fault: { kind: 'halt' } })
      expect(codeThrown(() => world.put(payload(4, 40_000), payload(5, 9000)))).not.toBe('ok')
      world.crash()
      const sizes = [30_000, 10, 70_000]
      for (const [number, ref] of refs.entries()) {
        const isWhole = Buffer.compare(world.whole(ref), payload(number + 1, sizes[number])) === 0
        expect(isWhole, `seed ${seed}, blob ${number}`).toBe(true)
      }
      const [after] = world.put(payload(6, 20_000))
      expect(after?.segment, `seed ${seed}`).toBeGreaterThan(refs[0]?.segment ?? 0)
      const found = world.whole(after as never)
      expect(Buffer.compare(found, payload(6, 20_000)), `seed ${seed}`).toBe(0)
    }
  })

  test('starts a new segment when the active one is full; a larger put gets a segment of its size', () => {
    const world = new BlobWorld({ segmentBytes: 16 * 1024 })
    const refs = [1, 2, 3].map((number) => world.put(payload(number, 5000))[0])
    expect(refs.map((ref) => ref?.segment)).toEqual([0, 0, 1])
    const [large] = world.put(payload(4, 100_000))
    expect(large).toMatchObject({ segment: 2, offset: 48 })
    expect(world.whole(large as never)).toEqual(payload(4, 100_000))
  })

  test('starts a new segment in each life', () => {
    const world = new BlobWorld()
    world.put(payload(1))
    world.open()
    expect(world.put(payload(2))[0]?.segment).toBe(1)
  })

  test('larger than one write is written in pieces, and is whole', () => {
    const world = new BlobWorld()
    const large = payload(5, 17 * 1024 * 1024)
    const [ref, small] = world.put(large, payload(6))
    expect(Buffer.compare(world.whole(ref as never, 3_000_000), large)).toBe(0)
    expect(world.whole(small as never)).toEqual(payload(6))
  })
})

describe('a put that fails', () => {
  test.each([
    ['write', 'EIO', 'SHARD_DOWN'],
    ['write', 'ENOSPC', 'NO_SPACE'],
    ['sync', 'EIO', 'SHARD_DOWN'],
    ['create', 'EROFS', 'READ_ONLY'],
    ['syncFolder', 'EIO', 'SHARD_DOWN'],
    ['makeFolder', 'ENOSPC', 'NO_SPACE'],
  ] as const)(
    'at %s with %s is %s, and the next put starts a new segment',
    (operation, code, expected) => {
      const world = new BlobWorld()
      world.disk.inject({ at: 1, operation, fault: { kind: 'error', code } })
      expect(codeThrown(() => world.put(payload(1)))).toBe(expected)
      const [ref] = world.put(payload(2))
      expect(world.whole(ref as never)).toEqual(payload(2))
      const [after] = world.put(payload(3))
      expect(after?.segment).toBe(ref?.segment)
    },
  )

  test('leaves earlier blobs unchanged, and nothing is appended to its bytes', {
    tags: ['R5'],
  }, () => {
    const world = new BlobWorld()
    const [before] = world.put(payload(1))
    world.disk.inject({ at: 1, operation: 'sync', fault: { kind: 'error' } })
    expect(codeThrown(() => world.put(payload(2)))).toBe('SHARD_DOWN')
    const [after] = world.put(payload(3))
    expect(after?.segment).toBe(1)
    world.crash()
    expect(world.whole(before as never)).toEqual(payload(1))
    expect(world.whole(after as never)).toEqual(payload(3))
  })

  test('by a short write is a full disk', () => {
    const world = new BlobWorld()
    world.disk.inject({ at: 1, operation: 'write', fault: { kind: 'short', bytes: 100 } })
    expect(codeThrown(() => world.put(payload(1)))).toBe('NO_SPACE')
  })

  test('never appends to a file of unexpected size', () => {
    const world = new BlobWorld()
    const [ref] = world.put(payload(1))
    const file = world.disk.open(world.file(ref as never), 'write')
    file.truncate(100)
    expect(world.put(payload(2))[0]?.segment).toBe(1)
  })
})

describe('a blob that comes in pieces', () => {
  test('has a segment of its own, with the content of its pieces', () => {
    const world = new BlobWorld()
    world.put(payload(1))
    const ref = world.stream(payload(2, 100_000), payload(3, 1), payload(4, 65_536))
    const all = Buffer.concat([payload(2, 100_000), payload(3, 1), payload(4, 65_536)])
    expect(ref).toMatchObject({ segment: 1, offset: 48, size: all.length })
    expect(Buffer.compare(world.whole(ref), all)).toBe(0)
    expect(world.put(payload(5))[0]?.segment).toBe(0)
  })

  test('may be empty, and reads back', () => {
    const world = new BlobWorld()
    const ref = world.stream()
    world.crash()
    expect(world.whole(ref)).toHaveLength(0)
  })

  test('is durable once it is answered', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const world = new BlobWorld({ seed })
      const ref = world.stream(payload(seed, 70_000), payload(seed + 1, 9000))
      world.crash()
      const all = Buffer.concat([payload(seed, 70_000), payload(seed + 1, 9000)])
      expect(Buffer.compare(world.whole(ref), all), `seed ${seed}`).toBe(0)
    }
  })

  test('gives the memory of each piece back', () => {
    const world = new BlobWorld()
    const { stream } = world.blobs.handle('streamOpen', null)
    const piece = payload(1, 9000)
    const { length, bytes } = world.blobs.handle('streamWrite', { stream, bytes: piece })
    expect([length, bytes.buffer]).toEqual([9000, piece.buffer])
    expect(bytes).toBe(piece)
  })

  test('that is aborted leaves no file', () => {
    const world = new BlobWorld()
    const { stream } = world.blobs.handle('streamOpen', null)
    world.blobs.handle('streamWrite', { stream, bytes: payload(1) })
    world.blobs.handle('streamAbort', { stream })
    expect(world.disk.list(dir)).toEqual([])
    expect(codeThrown(() => world.blobs.handle('streamFinish', { stream }))).toBe('EXITED')
  })

  test('that the disk refuses is aborted', () => {
    const world = new BlobWorld()
    const { stream } = world.blobs.handle('streamOpen', null)
    world.disk.inject({ at: 1, operation: 'write', fault: { kind: 'error', code: 'ENOSPC' } })
    const write = () => world.blobs.handle('streamWrite', { stream, bytes: payload(1) })
    expect(codeThrown(write)).toBe('NO_SPACE')
    expect(codeThrown(write)).toBe('EXITED')
    expect(world.disk.list(dir)).toEqual([])
  })

  test('has an id that no later life uses', () => {
    const world = new BlobWorld()
    const { stream } = world.blobs.handle('streamOpen', null)
    world.open()
    expect(world.blobs.handle('streamOpen', null).stream).not.toBe(stream)
    const write = () => world.blobs.handle('streamWrite', { stream, bytes: payload(1) })
    expect(codeThrown(write)).toBe('EXITED')
  })

  test('is synced at intervals, so that its end has little to do', () => {
    const world = new BlobWorld()
    const { stream } = world.blobs.handle('streamOpen', null)
    const { syncs } = world.disk
    for (let piece = 0; piece < 70; piece++)
      world.blobs.handle('streamWrite', { stream, bytes: payload(piece, 1024 * 1024) })
    expect(world.disk.syncs - syncs).toBe(2)
    world.blobs.handle('streamAbort', { stream })
  })
})

describe('names and numbers', () => {
  test('only 20 digits name a segment: other names are left alone', { tags: ['R4'] }, () => {
    const disk = simulatedDisk()
    disk.makeFolder(dir)
    disk.open(`${dir}/5.bloblog`, 'create').close()
    disk.open(`${dir}/0000000000000000000x.bloblog`, 'create').close()
    const world = new BlobWorld({ disk })
    const [ref] = world.put(payload(1))
    expect(ref?.segment).toBe(0)
    expect(world.survey().segments.map(({ segment }) => segment)).toEqual([0])
    expect(
      world.blobs.handle('open', { dir, segmentBytes: 1 << 20, opening: 9 }).strange,
    ).toHaveLength(2)
  })

  test('a number is never used twice, also after the last segment is removed', () => {
    const world = new BlobWorld()
    world.put(payload(1))
    world.clearAllBut([])
    expect(world.survey().segments).toEqual([])
    world.crash()
    expect(world.put(payload(2))[0]?.segment).toBe(1)
  })

  test('a damaged next number makes numbers jump, and writing goes on', () => {
    const world = new BlobWorld()
    world.put(payload(1))
    world.clearAllBut([])
    world.disk.flipBit(`${dir}/next_segment_id`, 3)
    world.crash()
    expect(world.put(payload(2))[0]?.segment).toBeGreaterThan(2 ** 39)
  })
})
