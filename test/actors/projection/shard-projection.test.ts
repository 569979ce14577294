/** The facts about a projection: how far it is behind, why it is in trouble, and until when. */
import { describe, expect, test } from 'vitest'
import { ShardProjection } from '../../../src/actors/projection/shard-projection.ts'
import { type VirtualClock, virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'

const begun = () => {
  const clock: VirtualClock = virtualClock()
  const projection = new ShardProjection(3, clock)
  return { clock, projection }
}

describe('a projection', () => {
  test('that has all is behind by nothing', async () => {
    const { clock, projection } = begun()
    expect(projection.health).toEqual({
      ...{
        mode: 'starting',
        since: clock.now(),
        reason: undefined,
        failures: 0,
        flushedAt: undefined,
      },
      ...{ behindMs: 0, requestedLsn: 0 },
    })
    projection.reached(7, 7)
    await clock.advance(50)
    projection.reached(8, 9)
    expect(projection.behindMs).toBe(0)
  })

  test('is behind since its oldest frame came, until that is there', async () => {
    const { clock, projection } = begun()
    projection.reached(5, 4)
    await clock.advance(100)
    expect(projection.health.behindMs).toBe(100)
    // A later frame is younger.
    projection.reached(6, 4)
    await clock.advance(10)
    expect(projection.behindMs).toBe(110)
    // It has the frames of the first look; what came since is counted from there.
    projection.reached(7, 5)
    expect(projection.behindMs).toBe(110)
    await clock.advance(5)
    projection.reached(8, 6)
    expect(projection.behindMs).toBe(115)
    projection.reached(9, 7)
    expect(projection.behindMs).toBe(5)
    projection.reached(9, 9)
    expect(projection.behindMs).toBe(0)
  })

  test('knows the highest LSN that a caller waited for, and its last commit', async () => {
    const { clock, projection } = begun()
    for (const lsn of [3, 9, 5]) projection.requested(lsn)
    await clock.advance(70)
    expect(projection.flushed()).toBe(false)
    expect(projection.health).toMatchObject({ requestedLsn: 9, flushedAt: clock.now() })
  })
})

describe('a failed commit', () => {
  test('is DEGRADED for callers, and counts until one succeeds', () => {
    const { projection } = begun()
    projection.report('caughtUp')
    const cause = new KeelsonError('NO_SPACE', 'no room')
    const failures = [projection.recordFlushFailure(cause), projection.recordFlushFailure(cause)]
    expect(failures.map(({ code, details, cause: of }) => [code, details.failures, of])).toEqual([
      ['DEGRADED', 1, cause],
      ['DEGRADED', 2, cause],
    ])
    expect(failures[1]?.details).toMatchObject({ shard: 3, reason: 'NO_SPACE: no room' })
    expect(projection.refusal).toBeUndefined()
    projection.report('failed')
    expect([projection.refusal, projection.takes]).toEqual([failures[1], true])
    expect(projection.health).toMatchObject({ reason: 'NO_SPACE: no room', failures: 2 })

    expect([projection.flushed(), projection.flushed()]).toEqual([true, false])
    expect([projection.failuresInRow, projection.trouble]).toEqual([0, undefined])
    expect(projection.health).toMatchObject({ failures: 2, reason: undefined })
  })

  test('is tried again after 50 ms, doubling up to 5 s, of which up to half is jitter', () => {
    const { projection } = begun()
    const delays: number[][] = []
    for (let failures = 0; failures < 9; failures++) {
      projection.recordFlushFailure('no')
      delays.push([0, 1].map((random) => projection.retryInMs(() => random)))
    }
    expect(delays.map(([, most]) => most)).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
    expect(delays.map(([least]) => least)).toEqual([25, 50, 100, 200, 400, 800, 1600, 2500, 2500])
    expect(projection.retryInMs(() => 0.00001)).toBe(2_501)
  })

  test('is forgotten by a writer that begins: it tries at once', () => {
    const { projection } = begun()
    projection.recordFlushFailure('no')
    expect(projection.report('suspended')).toBeUndefined()
    expect(projection.trouble).toBeDefined()
    projection.report('restarted')
    expect(projection.trouble).toBeUndefined()
  })
})

describe('a mark', () => {
  test('stays over commits, until a reconcile that began behind it has ended', () => {
    const { projection } = begun()
    expect([projection.isMarked, projection.isDirty, projection.epoch]).toEqual([false, false, 0])
    const first = projection.markMirrorDegraded('odd')
    const second = projection.markMirrorDegraded('odder')
    projection.flushed()
    expect([first, second, projection.epoch]).toEqual([1, 2, 2])
    expect(projection.trouble).toMatchObject({ code: 'DEGRADED', details: { reason: 'odder' } })

    projection.reconciled(first)
    expect([projection.isMarked, projection.isDirty]).toEqual([true, true])
    projection.reconciled(second)
    expect([projection.isMarked, projection.isDirty, projection.trouble]).toEqual([
      ...[false, false, undefined],
    ])
  })

  test('is not made by a wish for a reconcile, and a failure comes before it', () => {
    const { projection } = begun()
    projection.markProjectionDirty()
    expect([projection.isMarked, projection.isDirty, projection.trouble]).toEqual([
      ...[false, true, undefined],
    ])
    projection.markMirrorDegraded('odd')
    projection.recordFlushFailure('full')
    expect(projection.trouble?.details.reason).toBe('full')
    expect(projection.health.reason).toBe('full')
  })
})

test('a projection without a writer says what brings one back, and refuses callers', () => {
  const { projection } = begun()
  expect(projection.giveUp('they crashed')).toEqual({ from: 'starting', to: 'halted' })
  expect(projection.giveUp('they crashed')).toBeUndefined()
  expect(projection.refusal).toMatchObject({
    code: 'DEGRADED',
    message: expect.stringContaining("control.reopen(3, 'followers')"),
  })
  expect(projection.takes).toBe(false)
  expect(projection.report('restarted')).toEqual({ from: 'halted', to: 'starting' })
  expect([projection.mode, projection.refusal]).toEqual(['starting', undefined])
})
