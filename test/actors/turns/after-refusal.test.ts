/** What comes after a turn that did not happen: of each kind, one thing. */
import { expect, test } from 'vitest'
import {
  afterRefusal,
  afterThrow,
  type TurnKind,
  takesNothing,
} from '../../../src/actors/turns/after-refusal.ts'
import { KeelsonError } from '../../../src/errors.ts'

const [full, readOnly, other] = (['NO_SPACE', 'READ_ONLY', 'TOO_LARGE'] as const).map(
  (code) => new KeelsonError(code, 'no'),
)

test.each<[TurnKind, string, string, string]>([
  ['call', 'answer', 'answer', 'end'],
  ['apply', 'answer', 'answer', 'answer'],
  ['message', 'wait', 'drop', 'end'],
  ['result', 'wait', 'onError', 'end'],
  ['failure', 'wait', 'block', 'block'],
  ['step', 'wait', 'retry', 'retry'],
  ['alarm', 'wait', 'retry', 'retry'],
  ['record', 'wait', 'block', 'end'],
  ['birth', 'wait', 'end', 'end'],
])('%s: on a full disk %s, after another refusal %s, after a throw %s', (kind, ...after) => {
  const refusal = (error: unknown, isOvertaken = false) =>
    afterRefusal(kind, { error, isOvertaken })
  expect([refusal(full), refusal(other), afterThrow(kind, false)]).toEqual(after)
  expect([refusal(readOnly), refusal(full, true), refusal(other, true)]).toEqual([
    refusal(full),
    'end',
    'end',
  ])
})

test('a row that cannot be read blocks its actor where another throw ends the process', () => {
  const kinds = [
    'call',
    'message',
    'result',
    'apply',
    'failure',
    'step',
    'alarm',
    'onFailed',
  ] as const
  expect(kinds.map((kind) => afterThrow(kind, true))).toEqual([
    ...['block', 'block', 'block', 'answer', 'block', 'retry', 'retry', 'park'],
  ])
})

test('a disk takes nothing when it is full or takes no writes', () => {
  expect([full, readOnly, other, new Error('no')].map(takesNothing)).toEqual([
    ...[true, true, false, false],
  ])
})
