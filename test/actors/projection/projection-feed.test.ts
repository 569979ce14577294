import { describe, expect, test } from 'vitest'
import { calm, ProjectionFeed } from '../../../src/actors/projection/projection-feed.ts'
import { countsByNamespace } from '../../../src/index.ts'
import {
  encodeFrame,
  encodeValue,
  markOf,
  noExpiry,
  type Projecting,
  type Unit,
} from '../../../src/storage/index.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { appliedFrames } from '../../support/worlds/pending-frames.ts'

const limits = {
  intervalMs: 50,
  quietMs: 20,
  maxLagMs: 250,
  maxOps: 10,
  trickleMs: 0,
  ringSlots: 4,
  ringBytes: 1_000_000,
  chunkRows: 10_000,
  chunkBytes: 4_194_304,
}

const unitsOf = (lsn: number): readonly Unit[] => [
  { kind: 'put', key: `k${lsn}`, value: encodeValue('v'), expiry: noExpiry },
]

const applied = (...lsns: number[]) => appliedFrames(lsns, unitsOf)

/** The answer of the log for these LSNs; `next` is where to continue. */
const readOf = (lsns: readonly number[], next: number) => {
  const frames = lsns.map((lsn) => encodeFrame(unitsOf(lsn)))
  const bytes = Buffer.concat(frames)
  let offset = 0
  return {
    frames: lsns.map((lsn, at) => {
      const length = frames[at]?.length ?? 0
      offset += length
      return { lsn, type: 1, time: 1, startsGroup: true, offset: offset - length, length }
    }),
    bytes,
    next,
    durableLsn: next - 1,
  }
}

const nothing = new MapRows()

const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1)

/** Takes batches until there is none; returns the keys in the order of their commits. */
const drain = (feed: ProjectionFeed, now = 1_000) => {
  const keys: string[] = []
  for (
    let step = feed.next(now, true, nothing);
    step.kind === 'commit';
    step = feed.next(now, true, nothing)
  ) {
    keys.push(...step.batch.changes.keys())
    feed.committed(step.batch)
  }
  return keys
}

describe('the feed of a projection', () => {
  test('takes enqueued frames in order, when they are due', { tags: ['M43'] }, () => {
    const feed = new ProjectionFeed(limits, 7, 7)
    feed.durable(9)
    feed.enqueue(applied(8, 9), 100)

    expect(feed.next(100, false, nothing)).toEqual({ kind: 'due', inMs: 50 })
    expect(drain(feed)).toEqual(['k8', 'k9'])
    expect(feed.next(2_000, false, nothing)).toEqual({ kind: 'nothing' })
    expect(feed.projectedLsn).toBe(9)
  })

  test('reads the log first if it begins behind, and never beyond the last applied frame', () => {
    const feed = new ProjectionFeed(limits, 2, 5)
    expect(feed.next(0, false, nothing)).toEqual({ kind: 'sync' })
    feed.durable(5)
    expect(feed.next(0, false, nothing)).toEqual({ kind: 'read', from: 3 })

    // The log already holds 6 and 7; they have not been applied yet.
    feed.tailed(readOf([3, 4, 5, 6, 7], 8))
    expect(drain(feed)).toEqual(['k3', 'k4', 'k5'])

    feed.durable(7)
    feed.enqueue(applied(6, 7), 100)
    expect(drain(feed)).toEqual(['k6', 'k7'])
  })

  test('continues where a read ended, and counts frames without data as taken', () => {
    const feed = new ProjectionFeed(limits, 0, 6)
    feed.durable(6)
    feed.tailed(readOf([1, 2], 4))
    expect(drain(feed)).toEqual(['k1', 'k2'])
    expect(feed.next(0, true, nothing)).toEqual({ kind: 'read', from: 4 })

    feed.tailed(readOf([], 7))

    expect(feed.projectedLsn).toBe(6)
    expect(feed.load.tailing).toBe(false)
  })

  test('requests a sync before it takes frames that are not durable', {
    tags: ['L40', 'M24'],
  }, () => {
    const feed = new ProjectionFeed(limits, 0, 0)
    feed.enqueue(applied(1, 2), 0)
    expect(feed.next(0, true, nothing)).toEqual({ kind: 'sync' })

    feed.durable(1)
    expect(drain(feed)).toEqual(['k1'])
    expect(feed.next(0, true, nothing)).toEqual({ kind: 'sync' })
  })

  test('takes frames at once that were durable when they were applied', () => {
    const feed = new ProjectionFeed(limits, 0, 0)
    feed.enqueue(appliedFrames([1, 2], unitsOf, 1, 2), 0)
    feed.enqueue(appliedFrames([3], unitsOf, 1, 2), 0)
    expect(drain(feed)).toEqual(['k1', 'k2'])
    expect(feed.next(0, true, nothing)).toEqual({ kind: 'sync' })
  })

  test('that has every frame goes on with the outbox after a discard', () => {
    const feed = new ProjectionFeed(limits, 7, 7)
    expect(feed.discard()).toBe(0)
    expect(feed.load.tailing).toBe(false)
  })

  test('waits longer with fewer than 256 KiB, and not with as many', () => {
    const dueIn = (bytes: number) => {
      const feed = new ProjectionFeed({ ...limits, trickleMs: 5_000 }, 7, 7)
      const frames = appliedFrames([8], unitsOf)
      feed.enqueue({ ...frames, changes: { ...frames.changes, bytes: [bytes] } }, 100)
      return feed.next(100, false, nothing)
    }
    expect(dueIn(256 * 1024 - 1)).toEqual({ kind: 'due', inMs: 5_050 })
    expect(dueIn(256 * 1024)).toEqual({ kind: 'due', inMs: 50 })
  })

  test('reads the log after an overflow of the outbox, and loses and repeats no frame', () => {
    const feed = new ProjectionFeed(limits, 0, 0)
    feed.durable(100)
    feed.enqueue(applied(1, 2, 3, 4, 5, 6), 0)
    expect(feed.load).toMatchObject({ references: 0, tailing: true })
    expect(feed.next(0, false, nothing)).toEqual({ kind: 'read', from: 1 })

    feed.tailed(readOf([1, 2, 3], 4))
    expect(drain(feed)).toEqual(['k1', 'k2', 'k3'])
    feed.enqueue(applied(7), 10)
    feed.tailed(readOf([4, 5, 6, 7], 8))
    expect(drain(feed)).toEqual(['k4', 'k5', 'k6', 'k7'])

    feed.enqueue(applied(8), 20)
    expect(feed.load.tailing).toBe(false)
    expect(drain(feed)).toEqual(['k8'])
  })

  test('gives the last frame of a batch the same mark from the outbox and from the log', () => {
    const marks = [applied(1, 2), readOf([1, 2], 3)].map((source) => {
      const feed = new ProjectionFeed(limits, 0, 'lsns' in source ? 0 : 2)
      feed.durable(2)
      if ('lsns' in source) feed.enqueue(source, 0)
      else feed.tailed(source)
      const step = feed.next(0, true, nothing)
      return step.kind === 'commit' ? step.batch.frame : undefined
    })

    expect(marks[0]).toEqual(markOf(1, encodeFrame(unitsOf(2))))
    expect(marks[1]).toEqual(marks[0])
  })

  test('reads discarded frames from the log', () => {
    const feed = new ProjectionFeed(limits, 0, 0)
    feed.durable(2)
    feed.enqueue(applied(1, 2), 0)

    expect(feed.discard()).toBe(2)
    expect(feed.next(0, false, nothing)).toEqual({ kind: 'read', from: 1 })
  })

  test('waits for quiet, but no longer than the lag allows, and not at all with enough operations', {
    tags: ['M5', 'M14', 'M15', 'M17'],
  }, () => {
    const feed = new ProjectionFeed(limits, 0, 0)
    feed.durable(100)
    feed.enqueue(applied(1), 0)
    feed.enqueue(applied(2), 49)
    expect(feed.next(50, false, nothing)).toEqual({ kind: 'due', inMs: 19 })

    feed.enqueue(applied(3), 245)
    expect(feed.next(246, false, nothing)).toEqual({ kind: 'due', inMs: 4 })

    // Commands are counted, not frames.
    const many = { kind: 'deleteMany', keys: [...'abcdefg'] } as const
    feed.enqueue(
      appliedFrames([4], () => many),
      246,
    )
    expect(feed.next(246, false, nothing).kind).toBe('commit')
  })

  test('lets frames that arrive during a commit wait as long as earlier ones', () => {
    const feed = new ProjectionFeed(limits, 0, 0)
    feed.durable(100)
    feed.enqueue(applied(1), 0)
    const step = feed.next(50, false, nothing)
    if (step.kind !== 'commit') throw new Error(step.kind)
    feed.enqueue(applied(2), 60)
    feed.enqueue(applied(3), 70)
    feed.committed(step.batch)

    // A flush that continues until nothing is left would never end under load, and would make a
    // transaction for every few rows.
    expect(feed.next(71, false, nothing)).toEqual({ kind: 'due', inMs: 39 })
    feed.enqueue(applied(4), 300)
    expect(feed.next(301, false, nothing)).toEqual({ kind: 'due', inMs: 9 })
    expect(feed.next(310, false, nothing).kind).toBe('commit')
  })

  test('that overflows or is discarded during a commit reads the log from after that batch', () => {
    for (const disturb of [
      (feed: ProjectionFeed) => feed.enqueue(applied(3, 4, 5, 6, 7), 100),
      (feed: ProjectionFeed) => feed.discard(),
    ]) {
      const feed = new ProjectionFeed(limits, 0, 0)
      feed.durable(9)
      feed.enqueue(applied(1, 2), 100)
      const step = feed.next(100, true, nothing)
      if (step.kind !== 'commit') throw new Error(step.kind)
      disturb(feed)
      feed.enqueue(applied(8), 100)
      feed.committed(step.batch)
      expect(feed.projectedLsn).toBe(2)
      expect(feed.next(100, true, nothing)).toEqual({ kind: 'read', from: 3 })
    }
  })

  test('gathers a large batch over several turns without a pause, and takes frames that arrive meanwhile', () => {
    const feed = new ProjectionFeed({ ...limits, ringSlots: 10_000 }, 0, 0)
    feed.durable(9_999)
    feed.enqueue(applied(...upTo(150)), 100)
    expect(feed.next(200, false, nothing)).toEqual({ kind: 'gather' })
    feed.enqueue(applied(151), 200)

    const step = feed.next(200, false, nothing)
    if (step.kind !== 'commit') throw new Error(step.kind)
    expect({ lsn: step.batch.lsn, frame: step.batch.frame }).toEqual({
      lsn: 151,
      frame: markOf(1, encodeFrame(unitsOf(151))),
    })
    feed.committed(step.batch)
    expect(feed.next(200, false, nothing)).toEqual({ kind: 'nothing' })
  })

  test('drops the gathered frames when it overflows or is discarded, and reads them from the log', () => {
    for (const disturb of [
      (feed: ProjectionFeed) => feed.enqueue(applied(151, 152, 153), 100),
      (feed: ProjectionFeed) => feed.discard(),
    ]) {
      const feed = new ProjectionFeed({ ...limits, ringSlots: 152 }, 0, 0)
      feed.durable(9_999)
      feed.enqueue(applied(...upTo(150)), 100)
      expect(feed.next(100, true, nothing)).toEqual({ kind: 'gather' })
      disturb(feed)

      expect(feed.next(100, true, nothing)).toEqual({ kind: 'read', from: 1 })
      feed.tailed(readOf([1, 2], 3))
      const step = feed.next(100, true, nothing)
      expect(step.kind === 'commit' && [...step.batch.changes.keys()]).toEqual(['k1', 'k2'])
    }
  })
})

describe('a trickle of changes', () => {
  const trickling = { ...limits, trickleMs: 5_000 }

  /** A feed with one small frame, applied at 0. */
  const fed = (more: Partial<typeof trickling> = {}, projecting?: Projecting) => {
    const feed = new ProjectionFeed({ ...trickling, ...more }, 0, 0, projecting)
    feed.durable(100)
    feed.enqueue(applied(1), 0)
    return feed
  }

  test('gathers longer than the rules say, and a pause of writes does not end that', () => {
    const feed = fed()
    feed.enqueue(applied(2), 1_000)
    expect(feed.next(3_000, false, nothing)).toEqual({ kind: 'due', inMs: 2_050 })

    feed.enqueue(applied(3), 5_040)
    expect(feed.next(5_050, false, nothing)).toEqual({ kind: 'due', inMs: 10 })
    expect(feed.next(5_060, false, nothing).kind).toBe('commit')
  })

  test('asks for no step while it lasts, but at its first frame, its end and an overflow', () => {
    const feed = new ProjectionFeed({ ...trickling, maxOps: 3 }, 0, 0)
    const isNews = [[1], [2], [3], [4], [5]].map((lsns) => feed.enqueue(applied(...lsns), 0))
    expect(isNews).toEqual([true, false, true, true, true])
    expect(feed.load.tailing).toBe(true)

    expect(fed().enqueue(applied(2, 3, 4, 5), 0)).toBe(true)
  })

  test('is flushed at once for a caller who waits', () => {
    expect(fed().next(1, true, nothing).kind).toBe('commit')
  })

  test('is none from 256 KiB on: the rules count from its first frame', () => {
    const feed = fed()
    const large = { ...unitsOf(2)[0], value: encodeValue('x'.repeat(256 * 1024)) } as Unit
    feed.enqueue(
      appliedFrames([2], () => [large]),
      100,
    )
    expect(feed.next(100, false, nothing)).toEqual({ kind: 'due', inMs: 20 })
  })

  test('does not wait for readers of the projection itself', () => {
    const projecting: Projecting = {
      projections: [countsByNamespace()],
      givenUp: new Set(),
      now: () => 0,
    }
    expect(fed({}, projecting).next(0, false, nothing)).toEqual({ kind: 'due', inMs: 50 })

    const around = { ...calm, hasProducers: true }
    expect(fed().next(0, false, nothing, around)).toEqual({ kind: 'due', inMs: 50 })
  })
})

test('a flush begins while no group is written, but waits no longer than the lag allows', () => {
  const feed = new ProjectionFeed(limits, 0, 0)
  feed.durable(100)
  feed.enqueue(applied(1), 0)
  const around = { ...calm, isWriting: true }

  expect(feed.next(50, false, nothing, around)).toEqual({ kind: 'due', inMs: 20 })
  expect(feed.next(240, false, nothing, around)).toEqual({ kind: 'due', inMs: 10 })
  expect(feed.next(250, false, nothing, around).kind).toBe('commit')
})

test('after a transaction that had no room the next ones are half as large, until all is projected', () => {
  const feed = new ProjectionFeed({ ...limits, ringSlots: 4_000, chunkRows: 800 }, 0, 0)
  feed.durable(4_000)
  feed.enqueue(applied(...upTo(1_500)), 0)
  const rows = (): number => {
    for (;;) {
      const step = feed.next(1_000, true, nothing)
      if (step.kind === 'gather') continue
      if (step.kind !== 'commit') return 0
      feed.committed(step.batch)
      return step.batch.changes.size
    }
  }
  feed.hadNoRoom(800)
  expect([rows(), rows()]).toEqual([400, 400])
  feed.hadNoRoom(240)
  expect(rows()).toBe(120)
  feed.hadNoRoom(120)
  feed.hadNoRoom(3)
  expect([rows(), rows()]).toEqual([100, 100])

  while (rows() > 0);
  feed.enqueue(applied(...upTo(1_000).map((lsn) => 1_500 + lsn)), 2_000)
  expect([rows(), rows()]).toEqual([800, 200])
})
