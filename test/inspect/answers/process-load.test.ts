/** The busiest processes since the last sample, their order, and their table. */
import { describe, expect, test } from 'vitest'
import { busiest, Look } from '../../../src/inspect/answers/process-load.ts'
import { loadQuery, loadTable } from '../../../src/inspect/views/load-view.ts'
import type { ProcessInfo } from '../../../src/runtime/index.ts'

const info = (pid: number, handled: number, mailbox = 0): ProcessInfo => ({
  pid,
  ref: { pid, name: undefined },
  name: `p${pid}`,
  kind: 'server',
  label: undefined,
  status: mailbox > 0 ? 'runnable' : 'waiting',
  mailbox,
  mailboxMax: 100_000,
  links: [],
  monitors: [],
  monitoredBy: [],
  parent: undefined,
  trapExit: false,
  restarts: 0,
  handled,
  handling: undefined,
})

const before = new Look(1_000).add([info(1, 100, 5), info(2, 50)]).add([info(3, 7), info(4, 9, 30)])
const now = [info(1, 110, 2), info(2, 1_050), info(3, 7), info(4, 9, 40), info(5, 10)]

describe('the busiest processes', () => {
  test('are those that handled most since the last look, or since their start when they are younger', () => {
    const loads = busiest(now, before, 'handled', 10)

    expect(loads.map(({ process, handled }) => [process.pid, handled])).toEqual([
      [2, 1_000],
      [1, 10],
      [5, 10],
      [4, 0],
    ])
  })

  test('are, by their queue, those with most to do, and by growth those that fall behind', () => {
    const pids = (order: 'queue' | 'grown') =>
      busiest(now, before, order, 2).map(({ process }) => process.pid)

    expect(pids('queue')).toEqual([4, 1])
    expect(pids('grown')).toEqual([4, 2])
  })

  test('are at the first look those that handled most since their start', () => {
    expect(busiest(now, undefined, 'handled', 1)).toMatchObject([{ handled: 1_050 }])
  })
})

describe('their table', () => {
  test('says since when, how often a second, and how the queue moved', () => {
    expect(loadTable(busiest(now, before, 'queue', 3), 2_500)).toBe(
      [
        'since the last look, 2.50 s ago',
        'pid  name  kind    status    handled  a second  queue  grown',
        '<4>  p4    server  runnable        0         0     40    +10',
        '<1>  p1    server  runnable       10         4      2     -3',
        '<2>  p2    server  waiting     1,000       400      0     +0',
      ].join('\n'),
    )
  })

  test('of a first look has no rate, and of two at one moment neither', () => {
    const loads = busiest(now, undefined, 'handled', 1)

    expect(loadTable(loads, undefined)).toMatch(/^since their start\n.*\n.* 1,050 {9}- /)
    expect(loadTable(loads, 0)).toMatch(/\n.* 1,050 {9}- /)
  })

  test('says so when nothing happened', () => {
    const idle = busiest([info(3, 7)], before, 'handled', 10)

    expect(loadTable(idle, 800)).toBe(
      'no process has handled a message since the last look, 800 ms ago, and none waits',
    )
  })
})

test.each([['reductions'], [5], ['queue', 0], ['queue', 2.5], ['queue', 501], ['queue', 'all']])(
  'top(%o, %o) is refused',
  (...words) => {
    expect(() => loadQuery(...words)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  },
)
