import { describe, expect, test } from 'vitest'
import { ProjectionBatch, sliceRowsMax } from '../../../src/actors/projection/projection-batch.ts'
import { countsByNamespace } from '../../../src/index.ts'
import { encodeFrame, encodeValue, noExpiry, type Unit } from '../../../src/storage/index.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { pendingFrames } from '../../support/worlds/pending-frames.ts'

const limits = { chunkRows: 10_000, chunkBytes: 4 * 1024 * 1024 }

const put = (key: string, value: unknown): Unit => ({
  kind: 'put',
  key,
  value: encodeValue(value),
  expiry: noExpiry,
})

const putMany = (count: number): Unit => ({
  kind: 'putMany',
  entries: Array.from({ length: count }, (_, at) => ({
    key: `many:${at}`,
    value: encodeValue(at),
    expiry: noExpiry,
  })),
})

/** Frames of one unit each, with LSNs from 1 on. */
const framesOf = (units: readonly Unit[]) =>
  pendingFrames(
    units.map((unit, at) => ({ lsn: at + 1, time: 100 + at, frame: encodeFrame([unit]) })),
  )

const puts = (count: number, value: unknown = 1) =>
  framesOf(Array.from({ length: count }, (_, at) => put(`k${at}`, value)))

/** Takes all frames; returns the number of rows after each slice. */
const slices = (batch: ProjectionBatch, lsnMax = Number.POSITIVE_INFINITY): number[] => {
  const rows: number[] = []
  for (let hasMore = true; hasMore; rows.push(batch.changes.size)) hasMore = batch.take(lsnMax)
  return rows
}

describe('a batch of the projection', () => {
  test('takes a frame whatever its bounds are, also with rows of projections by users', () => {
    const projecting = {
      ...{ projections: [countsByNamespace()], givenUp: new Set<string>() },
      ...{ lsn: 0, now: () => 0 },
    }
    const least = { chunkRows: 1, chunkBytes: 1 }
    const batch = new ProjectionBatch(puts(3), new MapRows(), least, projecting)
    slices(batch)
    expect(batch.frames).toBe(1)
  })

  test('is taken in slices, and names its last frame when it is complete', {
    tags: ['M50'],
  }, () => {
    const frames = puts(2.5 * sliceRowsMax)
    const batch = new ProjectionBatch(frames, new MapRows(), limits)

    expect(batch.take(9_999)).toBe(true)
    expect({ rows: batch.changes.size, frame: batch.frame }).toEqual({
      rows: sliceRowsMax,
      frame: undefined,
    })
    expect(slices(batch)).toEqual([2 * sliceRowsMax, 2.5 * sliceRowsMax])
    expect({ lsn: batch.lsn, frames: batch.frames, frame: batch.frame }).toEqual({
      lsn: 2.5 * sliceRowsMax,
      frames: 2.5 * sliceRowsMax,
      frame: frames.mark(2.5 * sliceRowsMax - 1),
    })
  })

  test('has a bounded number of rows', () => {
    const batch = new ProjectionBatch(puts(limits.chunkRows + 500), new MapRows(), limits)

    expect(slices(batch).at(-1)).toBe(limits.chunkRows)
    expect(batch.lsn).toBe(limits.chunkRows)
  })

  test('has a bounded number of bytes, exceeded by at most one frame', () => {
    const bytes = 100_000
    const batch = new ProjectionBatch(puts(100, 'x'.repeat(bytes)), new MapRows(), limits)

    slices(batch)
    expect(batch.frames).toBe(Math.ceil(limits.chunkBytes / bytes))
  })

  test('counts the bytes of every change of a row, because each one is work', () => {
    const frames = framesOf(Array.from({ length: 100 }, () => put('k', 'x'.repeat(100_000))))
    const batch = new ProjectionBatch(frames, new MapRows(), limits)

    slices(batch)
    expect(batch.frames).toBe(Math.ceil(limits.chunkBytes / 100_000))
  })

  test('never cuts a frame, however large it is', { tags: ['L29', 'M23'] }, () => {
    const batch = new ProjectionBatch(
      framesOf([putMany(4_000), put('k', 1)]),
      new MapRows(),
      limits,
    )

    expect(slices(batch)).toEqual([4_000, 4_001])
  })

  test('takes no frame after the given LSN', () => {
    const batch = new ProjectionBatch(puts(10), new MapRows(), limits)

    expect(slices(batch, 4)).toEqual([4])
    expect(batch.lsn).toBe(4)
  })

  test('without frames has no LSN and no mark', () => {
    const batch = new ProjectionBatch(puts(0), new MapRows(), limits)

    expect(slices(batch)).toEqual([0])
    expect({ lsn: batch.lsn, frame: batch.frame }).toEqual({ lsn: 0, frame: undefined })
  })
})
