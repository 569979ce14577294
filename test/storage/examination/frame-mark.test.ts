/**
 * Which projections an inspection trusts: the frame that the projection shows must be the frame of
 * the log.
 */
import { describe, expect, test } from 'vitest'
import type { ProjectedPosition } from '../../../src/storage/ports/projection-store.ts'
import { markOf } from '../../../src/storage/segments/frame-mark.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  crashedLogOf,
  dir,
  type LogWorld,
  openedLog,
  payload,
  segmentsOn,
  small,
} from '../../support/worlds/logs.ts'

const inspect = (world: LogWorld, shown: ProjectedPosition) =>
  world.log().handle('inspect', {
    dir,
    options: small,
    evidence: [],
    needs: { heldFrom: 1, readFrom: 1, shown },
  })

/**
 * A log of eight frames that crashed, and the position of a projection that shows the frame at
 * `lsn`.
 */
const crashed = (lsn: number) => {
  const world = crashedLogOf(4)
  const { walId = '', epoch } = world.inspect()
  const frame = markOf(0, payload(lsn, 400))
  return { world, position: { walId, epoch, lsn, frame } }
}

describe('a projection that shows a frame', () => {
  test.each([1, 5, 7, 8])('of this log, number %i, is trusted and proves the frame', (lsn) => {
    const { world, position } = crashed(lsn)

    const found = inspect(world, position)

    expect(found.showsOther).toBeUndefined()
    expect(found.provenLsn).toBeGreaterThanOrEqual(lsn)
    expect(found.remarks).toEqual([])
  })

  test.each([
    ['of another time', { time: 1 }],
    ['of other content', { crc: 1 }],
  ])('%s than the one in the log is not believed, and proves nothing', (_, change) => {
    const { world, position } = crashed(8)
    const without = world.inspect()

    const found = inspect(world, { ...position, frame: { ...position.frame, ...change } })

    expect(found).toMatchObject({ showsOther: true, provenLsn: without.provenLsn })
    expect(without.provenLsn).toBeLessThan(8)
  })

  test('is not trusted where the log has a control frame, such as a marker', () => {
    const { world, log } = openedLog()
    commit(log, [payload(1)])
    log.handle('mark', null)
    log.abandon()
    const { walId = '', epoch } = world.inspect()

    const found = inspect(world, { walId, epoch, lsn: 2, frame: markOf(0, payload(2)) })

    expect(found.showsOther).toBe(true)
  })

  test('beyond the end of the log proves that frames are missing, whatever its mark', () => {
    const { world, position } = crashed(8)

    expect(() => inspect(world, { ...position, lsn: 9 })).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
  })

  test('of a diverged copy is reported by verify too, and proves nothing there', () => {
    const { world, position } = crashed(8)
    const other = { ...position, frame: { ...position.frame, crc: 1 } }

    expect(verifyLog(world.disk, dir, { shown: position })).toMatchObject({
      provenLsn: 8,
      provenBy: 'the projection',
      remarks: [],
    })
    expect(verifyLog(world.disk, dir, { shown: other })).toMatchObject({
      provenLsn: world.inspect().provenLsn,
      remarks: [expect.stringContaining('diverged copy')],
    })
  })

  test('that recovery copied to another segment is still trusted', () => {
    const { world, position } = crashed(8)
    const opened = world.open()
    expect(opened.report.copiedFrames).toBeGreaterThan(0)
    opened.log.abandon()

    expect(inspect(world, position).showsOther).toBeUndefined()
  })

  test('of another log is not trusted', () => {
    const { world, position } = crashed(8)

    const found = inspect(world, { ...position, walId: 'f'.repeat(32), lsn: 1_000 })

    expect(found.showsOther).toBe(true)
    expect(found.remarks).toEqual([expect.stringContaining('another log')])
  })

  test('of another log makes the inspection read the whole log', () => {
    const { world, log } = openedLog()
    let lsn = 0
    // Rolls write checkpoints of the projected LSN.
    for (let number = 1; number <= 30; number++)
      lsn = commit(log, [payload(number, 400)], { projectedLsn: lsn }).lsns[0] ?? 0
    log.abandon()
    const { walId = '', epoch } = world.inspect()
    const position = { walId, epoch, lsn, frame: markOf(0, payload(30, 400)) }
    const [first = '', ...others] = segmentsOn(world.disk)
    expect(others).not.toEqual([])
    world.disk.poke(first, 4096 + 100, Uint8Array.of(1, 2, 3))
    expect(inspect(world, position).showsOther).toBeUndefined()

    const other = { ...position, frame: { ...position.frame, crc: 1 } }
    expect(() => inspect(world, other)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})
