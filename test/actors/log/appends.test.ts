/** Groups of appends from their beginning to the answers: each ends once, whoever dies between. */
import { describe, expect, test } from 'vitest'
import {
  type Append,
  type AppendGroup,
  Appends,
  beforeTheLog,
  type GroupTurn,
} from '../../../src/actors/log/appends.ts'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { TestWrite } from '../../support/worlds/test-write.ts'

class TestAppend extends TestWrite implements Append {
  readonly units = []
  readonly namespace = 'n'
  applied(): void {}
}

const full = new KeelsonError('NO_SPACE', 'full')
const died = new Error('died')

/** Appends, and the groups that have ended, with their failures. */
const appendsOf = () => {
  const clock = virtualClock()
  const appends = new Appends({ bytesMax: 100, weightMax: 1_000 }, clock)
  const ended: unknown[] = []
  const begin = (name: string, ...lengths: readonly number[]): AppendGroup => {
    const group = appends.begin()
    for (const length of lengths) group.add(new TestAppend(1, { length }))
    void appends.endOf(group).then((failure) => ended.push([name, failure]))
    return group
  }
  /** Hands the next group to the log. */
  const next = (): GroupTurn => {
    const turn = appends.queue.next()
    if (turn?.kind !== 'group') throw new Error('no group is due')
    turn.group.take()
    return turn
  }
  const written = (...lsns: readonly number[]) => ({ lsns, time: 7, durableLsn: 3 })
  return { clock, appends, ended, begin, next, written }
}

describe('a group', () => {
  test('in the log waits for the applier, and ends when its callers were answered', async () => {
    const { clock, appends, ended, begin, next, written } = appendsOf()
    const group = begin('a', 10, 10)
    const turn = next()
    expect(turn).toMatchObject({ units: [], asked: undefined })
    appends.committed(turn, written(5, 6))
    await clock.settle()
    expect(ended).toEqual([])
    expect(appends.unheard).toEqual({ group, units: turn.units, time: 7, durableLsn: 3 })
    expect([appends.writtenLsn, appends.heardLsn]).toEqual([6, 4])
    expect(appends.queue.inFlight).toEqual([])

    appends.heard()
    await clock.settle()
    expect(ended).toEqual([['a', undefined]])
    expect([appends.unheard, appends.heardLsn]).toEqual([undefined, 6])
    appends.heard()
  })

  test('that the log refused ends at once, whole or without a frame', async () => {
    const { clock, appends, ended, begin, next, written } = appendsOf()
    begin('a', 10)
    appends.refused(next(), full)
    const group = begin('b', 10)
    appends.committed(next(), { ...written(), refused: full })
    await clock.settle()
    expect(ended).toEqual([
      ['a', full],
      ['b', full],
    ])
    expect([appends.unheard, appends.writtenLsn, appends.queue.inFlight]).toEqual([
      undefined,
      0,
      [],
    ])
    expect(await appends.endOf(group)).toBeUndefined()
  })

  test('is full behind another one, for an append that does not fit', () => {
    const { appends, begin } = appendsOf()
    const [small, large] = [10, 95].map((length) => new TestAppend(1, { length }))
    const isFull = () => [small, large].map((append) => appends.isFullFor(append as Append))
    expect(isFull()).toEqual([false, false])
    begin('a', 10)
    expect(isFull()).toEqual([false, false])
    const last = begin('b', 10)
    expect(appends.last).toBe(last)
    expect([isFull(), appends.groupFor(small as Append)]).toEqual([[false, true], last])
    last.close()
    expect([isFull(), appends.groupFor(small as Append)]).toEqual([[false, false], undefined])
  })

  test('tells the listener of its departure, while there is one', () => {
    const { appends, begin } = appendsOf()
    const told: unknown[] = []
    const append = new TestAppend(1)
    const group = begin('a')
    appends.departs(group, append)
    expect(appends.keepsDepartures).toBe(false)
    appends.listen((...departure) => told.push(departure))
    expect(appends.keepsDepartures).toBe(true)
    appends.departs(group, append)
    appends.listen(undefined)
    appends.departs(group, append)
    expect([told, appends.keepsDepartures]).toEqual([[[group, append]], false])
  })

  test('that was withdrawn whole ends when it is dropped', async () => {
    const { clock, appends, ended, begin } = appendsOf()
    const group = begin('a', 10)
    group.giveUp(group.writes[0] as Append, died)
    expect(appends.queue.next()).toBeUndefined()
    await clock.settle()
    expect(ended).toEqual([['a', undefined]])
  })
})

describe('a shard', () => {
  test('that is down refuses groups that wait, and leaves those with the log to the next one', async () => {
    const { clock, appends, ended, begin, next, written } = appendsOf()
    const group = begin('with the log', 10)
    const turn = next()
    begin('waits', 10)
    appends.queue.push({ kind: 'step', settled: undefined, asked: undefined })
    let allEnded = false
    void appends.ended().then(() => {
      allEnded = true
    })
    appends.refuse(full)
    await clock.settle()
    expect([ended, allEnded]).toEqual([[['waits', full]], false])
    appends.committed(turn, written(1))
    appends.heard()
    await clock.settle()
    expect([ended.length, allEnded, group.lsns]).toEqual([2, true, [1]])
  })

  test('that is lost ends every group without an answer, and forgets what its log had', async () => {
    const { clock, appends, ended, begin, next, written } = appendsOf()
    const lost = [begin('unheard', 10), begin('in flight', 10), begin('waits', 10)]
    const failures = () => lost.map(({ writes }) => writes.filter(Boolean).length)
    appends.committed(next(), written(9))
    next()
    expect(failures()).toEqual([1, 1, 1])
    const error = new KeelsonError('CLOSED', 'closed')
    appends.lose(error)
    await clock.settle()
    expect(ended).toEqual(['unheard', 'in flight', 'waits'].map((name) => [name, error]))
    expect(failures()).toEqual([0, 0, 0])
    expect([appends.unheard, appends.writtenLsn, appends.heardLsn]).toEqual([undefined, 0, 0])
    expect([appends.queue.inFlight, appends.queue.length]).toEqual([[], 0])
  })

  test('whose log is opened goes on from its end, and never goes back', () => {
    const { appends } = appendsOf()
    for (const lsn of [4, 2]) appends.opened(lsn)
    expect([appends.writtenLsn, appends.heardLsn]).toEqual([4, 4])
  })
})

test('a failure before the log keeps its code, unless it is one of the call', () => {
  expect(beforeTheLog(full)).toBe(full)
  for (const code of ['TIMEOUT', 'EXITED', 'NO_PROCESS', 'MAILBOX_FULL'] as const)
    expect(beforeTheLog(new KeelsonError(code, 'no')).code).toBe('NOT_SUBMITTED')
  expect(beforeTheLog(died)).toMatchObject({ code: 'NOT_SUBMITTED', cause: died })
})
