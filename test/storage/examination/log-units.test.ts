/** Unreadable units: verification names them, salvage drops them and keeps every other frame. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { mainRowOf } from '../../../src/storage/values/entity-row.ts'
import { salvaging } from '../../../src/tools/restore/shard-salvage.ts'
import { verifyLog } from '../../support/verify-log.ts'
import {
  commit,
  dir,
  openedLog,
  openSalvaged,
  readAll,
  runToEnd,
} from '../../support/worlds/logs.ts'

const put = encodeFrame({
  kind: 'put',
  key: 'k',
  value: { tag: 2, bytes: new Uint8Array(900) },
  expiry: { kind: 'none' },
})

/** A put with a command code that no version has. */
const bad = put.slice()
bad[8 + 2 + 4 + 1] = 99

/** A log with these frames, closed or crashed. */
const logOf = (frames: readonly Uint8Array[], isClosed: boolean) => {
  const { world, log } = openedLog()
  const lsns = frames.flatMap((frame) => commit(log, [frame]).lsns)
  if (isClosed) log.handle('close', { projectedLsn: 0 })
  else log.abandon()
  return { world, lsns }
}

const store = { heldFrom: 1, holdsUnits: true }

const places = [
  ['alone', [0], 1],
  ['first', [0], 9],
  ['in the middle', [4], 9],
  ['at the end of a segment', [1, 3, 5], 12],
  ['last', [8], 9],
  ['all', [0, 1, 2, 3], 4],
] as const

describe.each([true, false])('a log with units that cannot be read (closed: %s)', (isClosed) => {
  test.each(places)('is damaged there: %s', (_, at, count) => {
    const frames = Array.from({ length: count }, (_none, index) =>
      (at as readonly number[]).includes(index) ? bad : put,
    )
    const { world, lsns } = logOf(frames, isClosed)
    const wrong = at.map((index) => lsns[index] as number)
    const whole = lsns.filter((lsn) => !wrong.includes(lsn))

    const found = verifyLog(world.disk, dir, store)
    expect(found.verdict).toBe('corrupt')
    expect(found.damage.map(({ lsn }) => lsn)).toEqual(wrong)
    for (const { evidence } of found.damage) expect(evidence).toContain('command 99')
    const lost = found.lost.flatMap(({ from, to }) =>
      Array.from({ length: to - from + 1 }, (_none, index) => from + index),
    )
    expect(lost).toEqual(wrong)
    expect(verifyLog(world.disk, dir).damage).toEqual([])

    const to = '/data/salvaged'
    world.disk.makeFolder(to)
    const made = runToEnd(
      salvaging({ disk: world.disk, clock: virtualClock(3), from: dir, found, to }),
    )
    expect(made.lost).toEqual(found.lost)
    expect(verifyLog(world.disk, to, store).verdict).toBe('clean')
    expect(readAll(openSalvaged(world.disk, to).log).map(({ lsn }) => lsn)).toEqual(whole)
  })
})

test('a log of turns is clean, and salvage keeps each of them beside damaged frames', () => {
  const turn = encodeFrame({
    kind: 'turn',
    entity: 'order/42',
    follows: undefined,
    row: mainRowOf({ incarnation: '0123456789abcdef', seq: 1 }, new Uint8Array(900)),
    rows: [],
    writes: [{ kind: 'delete', key: 'k' }],
  })
  expect(verifyLog(logOf([turn, put, turn], true).world.disk, dir, store).verdict).toBe('clean')

  // It says that it has an entry of the journal, and has none.
  const parted = turn.slice()
  parted[parted.length - 4] = 1
  const { world, lsns } = logOf([turn, parted, turn], true)
  const found = verifyLog(world.disk, dir, store)
  expect(found.damage.map(({ lsn, evidence }) => [lsn, evidence])).toEqual([
    [lsns[1], expect.stringContaining('it ends too early')],
  ])
  const to = '/data/salvaged'
  world.disk.makeFolder(to)
  runToEnd(salvaging({ disk: world.disk, clock: virtualClock(3), from: dir, found, to }))
  const kept = readAll(openSalvaged(world.disk, to).log)
  expect(kept.map(({ lsn }) => lsn)).toEqual([lsns[0], lsns[2]])
})
