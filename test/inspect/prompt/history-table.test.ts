/** The past of a durable actor as text: in the prompt, by the command, and on the page. */
import { describe, expect, test } from 'vitest'
import type { PastTurn, TurnCause } from '../../../src/actors/index.ts'
import { causeTitle } from '../../../src/inspect/answers/turn-titles.ts'
import { pastTable } from '../../../src/inspect/prompt/history-words.ts'

const turnOf = (cause: TurnCause, operations: readonly string[] = []): PastTurn => ({
  ...{ lsn: 7, time: 0, incarnation: '0123456789abcdef', seq: 1, state: { total: 1 } },
  ...{ cause, steps: [], alarms: [], writes: [], entries: [], rows: ['outcome'], operations },
})

describe('the title of a cause', () => {
  test.each<[string, TurnCause, string[]?]>([
    ['message', { kind: 'message' }],
    ['call request-7', { kind: 'call', name: 'request-7' }],
    ['step charge', { kind: 'step', name: 'charge', error: { name: 'Error', message: 'no' } }],
    ['end', { kind: 'end', message: 'end' }],
    ['step charge', { kind: 'step', name: 'charge', message: 'continue charge' }],
    [
      'onFailed of step charge',
      { kind: 'step', name: 'charge', message: 'onFailed of continue charge' },
    ],
    ['alarm remind', { kind: 'alarm', name: 'remind', message: 'alarm remind' }],
    ['birth, call place by clerk', { kind: 'birth', message: 'call place', by: 'clerk' }],
    [
      'call place request-7 by \\u{1b}[31m',
      { kind: 'call', name: 'request-7', message: 'call place', by: '\u001b[31m' },
    ],
    ['end, delete', { kind: 'end', message: 'delete' }],
    [
      'step charge failed',
      { kind: 'message', message: 'apply' },
      ['step charge failed', 'step mail'],
    ],
    ['call signal', { kind: 'call', message: 'call signal' }, ['step charge']],
  ])('is %s', (title, cause, operations) => {
    expect(causeTitle(turnOf(cause, operations))).toBe(title)
  })
})

test('an operation of a run is the cause of its turn, and is not shown twice', () => {
  const turn = turnOf({ kind: 'message', message: 'apply' }, ['step charge', 'step mail'])

  const [, row] = pastTable(
    '$flow-order/1',
    { turns: [turn], isCut: false } as never,
    String,
  ).split('\n')

  expect(row?.split(/ {2,}/).slice(3, 6)).toEqual(['1', 'step charge', 'step mail'])
})
