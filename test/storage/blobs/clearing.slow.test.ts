import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { BlobExtents, gapsBetween } from '../../../src/storage/values/blob-extents.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { countOf } from '../../support/tier.ts'
import { BlobWorld, codeThrown, dir, payload } from '../../support/worlds/blob-folder.ts'

/** More with `KEELSON_SEEDS=10000 npx vitest run test/storage/blobs`. */
const seeds = countOf('KEELSON_SEEDS', 20, 500)

describe('extents', () => {
  test('merge where they touch, and leave the gaps between them', () => {
    const extents = new BlobExtents()
    for (const [from, to] of [
      [8, 12],
      [0, 4],
      [4, 8],
      [20, 30],
      [25, 28],
      [40, 40],
    ] as const)
      extents.add(1, { from, to })
    expect(extents.of(1)).toEqual([
      { from: 0, to: 12 },
      { from: 20, to: 30 },
    ])
    expect(gapsBetween(extents.of(1), 50)).toEqual([
      { from: 12, to: 20 },
      { from: 30, to: 50 },
    ])
    expect(gapsBetween(extents.of(1), 25)).toEqual([{ from: 12, to: 20 }])
    expect(gapsBetween([], 5)).toEqual([{ from: 0, to: 5 }])
    expect(extents.of(2)).toEqual([])
  })
})

describe('clearing', () => {
  test('removes a segment without a live byte and returns its size', () => {
    const world = new BlobWorld()
    world.put(payload(1), payload(2, 9000))
    expect(world.clearAllBut([])).toBe(4096 + 12_288)
    expect(world.disk.list(dir)).toEqual(['next_segment_id'])
  })

  test('turns dead bytes between live records into holes, and leaves the records in place', () => {
    const world = new BlobWorld()
    const [first, dead, last] = world.put(
      payload(1),
      payload(2, 9000),
      payload(3),
    ) as BlobRef[] as [BlobRef, BlobRef, BlobRef]
    expect(world.clearAllBut([first, last])).toBe(12_288)
    expect(world.whole(first)).toEqual(payload(1))
    expect(world.whole(last)).toEqual(payload(3))
    expect(
      world.disk
        .contents(world.file(dead))
        .subarray(4096, 16_384)
        .every((byte) => byte === 0),
    ).toBe(true)
    expect(codeThrown(() => world.range(dead, 0, 1))).toBe('CORRUPT')
    world.crash()
    expect(world.whole(last)).toEqual(payload(3))
  })

  test('cuts off dead bytes after the last live record', () => {
    const world = new BlobWorld()
    const [first] = world.put(payload(1), payload(2, 9000))
    world.clearAllBut([first as BlobRef])
    expect(world.survey().segments).toEqual([{ segment: 0, size: 4096 }])
  })

  test('writes nothing if the dead bytes were cleared before', () => {
    const world = new BlobWorld()
    const [first, , last] = world.put(payload(1), payload(2, 9000), payload(3)) as BlobRef[]
    const live = [first, last] as BlobRef[]
    world.clearAllBut(live)
    const { writes } = world.disk
    expect(world.clearAllBut(live)).toBe(0)
    expect(world.disk.writes).toBe(writes)
  })

  test('keeps live bytes as they are, also damaged ones', () => {
    const world = new BlobWorld()
    const [harmed] = world.put(payload(1, 5000), payload(2)) as [BlobRef]
    world.harm(harmed, 17)
    const before = world.disk.contents(world.file(harmed)).slice(0, 8192)
    world.clearAllBut([harmed])
    expect(world.disk.contents(world.file(harmed))).toEqual(before)
  })

  test('of a segment being written is refused', () => {
    const world = new BlobWorld()
    world.put(payload(1))
    const { stream } = world.blobs.handle('streamOpen', null)
    expect(world.survey()).toEqual({ segments: [{ segment: 0, size: 4096 }], active: 0 })
    for (const segment of [0, 1])
      expect(codeThrown(() => world.blobs.handle('clear', { segment, live: [] }))).toBe(
        'INVALID_ARGUMENT',
      )
    world.blobs.handle('streamAbort', { stream })
  })

  test('leaves the segment unchanged if it fails', () => {
    for (const operation of ['create', 'write', 'sync', 'rename', 'read'] as const) {
      const world = new BlobWorld()
      const [first, , last] = world.put(payload(1), payload(2), payload(3)) as BlobRef[]
      world.disk.inject({
        at: 1,
        operation,
        path: '.bloblog',
        fault: { kind: 'error', code: 'ENOSPC' },
      })
      expect(
        codeThrown(() => world.clearAllBut([first, last] as BlobRef[])),
        operation,
      ).toBe('NO_SPACE')
      expect(world.whole(first as BlobRef)).toEqual(payload(1))
      expect(world.whole(last as BlobRef)).toEqual(payload(3))
      expect(world.disk.list(dir), operation).toEqual(['00000000000000000000.bloblog'])
    }
  })

  test('starts over if other records are live', () => {
    const world = new BlobWorld({ segmentBytes: 1 << 24 })
    const [first, second] = world.put(payload(1, 3_000_000), payload(2)) as [BlobRef, BlobRef]
    world.blobs.handle('seal', null)
    const live = [{ from: 0, to: second.offset - 48 }]
    for (let step = 0; step < 3; step++) world.blobs.handle('clear', { segment: 0, live })
    world.clearAllBut([first, second])
    expect(world.whole(second)).toEqual(payload(2))
    expect(world.whole(first)).toHaveLength(3_000_000)
  })

  test('lets puts happen between its steps', () => {
    const world = new BlobWorld({ segmentBytes: 1 << 24 })
    const [first, , last] = world.put(payload(1, 3_000_000), payload(2), payload(3)) as BlobRef[]
    world.blobs.handle('seal', null)
    const live = [first, last].map((ref) => ({
      from: (ref as BlobRef).offset - 48,
      to: (ref as BlobRef).offset + (ref as BlobRef).size + 1000,
    }))
    const refs: BlobRef[] = []
    for (let done = false, number = 10; !done; number++) {
      done = world.blobs.handle('clear', { segment: 0, live }).done
      refs.push(...world.put(payload(number)))
    }
    expect(refs.length).toBeGreaterThan(3)
    refs.forEach((ref, at) => {
      expect(world.whole(ref)).toEqual(payload(10 + at))
    })
  })

  test('of a crashed process leaves a copy that the next opening removes', () => {
    const world = new BlobWorld({ segmentBytes: 1 << 24 })
    const [first] = world.put(payload(1, 3_000_000), payload(2)) as [BlobRef]
    world.blobs.handle('seal', null)
    const live = [{ from: 0, to: first.offset + first.size + 1000 }]
    for (let step = 0; step < 3; step++) world.blobs.handle('clear', { segment: 0, live })
    expect(world.disk.list(dir).some((name) => name.endsWith('.tmp'))).toBe(true)
    world.disk.killProcess()
    world.open()
    expect(world.disk.list(dir)).not.toContain('00000000000000000000.bloblog.tmp')
    expect(world.whole(first)).toHaveLength(3_000_000)
  })
})

test(`a folder of blobs keeps each blob with a reference, and frees the others, through any crashes (${seeds} seeds)`, () => {
  let crashes = 0
  let failures = 0
  let freed = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const random = seededRandom(seed)
    const pick = (max: number): number => Math.floor(random() * max)
    const world = new BlobWorld({ seed, segmentBytes: 4096 * (1 + pick(12)) })
    const live = new Map<number, { ref: BlobRef; size: number }>()
    let number = 0
    const check = (): void => {
      for (const [at, { ref, size }] of live)
        expect(
          Buffer.compare(world.whole(ref), payload(at, size)),
          `seed ${seed}, blob ${at}`,
        ).toBe(0)
    }
    const attempt = (action: () => void): void => {
      try {
        action()
      } catch (error) {
        failures++
        if (
          !['NO_SPACE', 'SHARD_DOWN', 'HALTED', 'INVALID_ARGUMENT'].includes(
            (error as { code: string }).code,
          )
        )
          throw error
      }
    }
    for (let step = 0; step < 25; step++) {
      const dice = pick(12)
      if (pick(4) === 0)
        world.disk.inject({
          at: 1 + pick(4),
          operation: (['write', 'sync', 'create', 'rename', 'syncFolder', 'remove'] as const)[
            pick(6)
          ] as 'write',
          fault:
            pick(3) === 0 ? { kind: 'halt' } : { kind: 'error', code: pick(2) ? 'EIO' : 'ENOSPC' },
        })
      if (dice < 5)
        attempt(() => {
          const sizes = Array.from({ length: 1 + pick(3) }, () => pick(9000))
          const first = number
          number += sizes.length
          const refs = world.put(...sizes.map((size, at) => payload(first + at, size)))
          refs.forEach((ref, at) => {
            live.set(first + at, { ref, size: sizes[at] ?? 0 })
          })
        })
      else if (dice < 6)
        attempt(() => {
          const at = number++
          const size = pick(100_000)
          const cut = pick(size)
          const whole = payload(at, size)
          live.set(at, { ref: world.stream(whole.slice(0, cut), whole.slice(cut)), size })
        })
      else if (dice < 8) for (const at of [...live.keys()]) pick(3) === 0 && live.delete(at)
      else if (dice < 10)
        attempt(() => {
          freed += world.clearAllBut([...live.values()].map(({ ref }) => ref))
        })
      else {
        world.disk.clearFaults()
        crashes++
        if (pick(2)) world.crash()
        else {
          world.disk.killProcess()
          world.open()
        }
        check()
      }
    }
    world.disk.clearFaults()
    world.crash()
    check()
    world.clearAllBut([...live.values()].map(({ ref }) => ref))
    check()
    const kept = new Set([...live.values()].map(({ ref }) => ref.segment))
    expect(
      world.survey().segments.every(({ segment }) => kept.has(segment)),
      `seed ${seed}`,
    ).toBe(true)
  }
  // A property over lives in which nothing happens would hold for any folder.
  expect(crashes).toBeGreaterThan(seeds)
  expect(failures).toBeGreaterThan(seeds / 2)
  expect(freed).toBeGreaterThan(seeds * 4096)
})
