/** What callers are told of writes without an answer. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { isRefusal, outcomeOf } from '../../../src/storage/groups/outcome.ts'

const cause = new KeelsonError('SHARD_DOWN', 'poisoned', { details: { reason: 'poisoned' } })

test('a refusal stays what it is', () => {
  const refusal = new KeelsonError('NO_SPACE', 'full')
  expect(outcomeOf('refused', refusal)).toBe(refusal)
})

test('a write that never reached the disk is NOT_SUBMITTED, one that may have is UNKNOWN_OUTCOME, with the cause', () => {
  const details = { reason: 'poisoned', position: 3 }
  expect(outcomeOf('unsubmitted', cause, { position: 3 })).toMatchObject({
    code: 'NOT_SUBMITTED',
    details,
    cause,
  })
  expect(outcomeOf('unknown', cause, { position: 3 })).toMatchObject({
    code: 'UNKNOWN_OUTCOME',
    details,
    cause,
  })
})

test('an unknown outcome names what to await before reading', () => {
  expect(outcomeOf('unknown', undefined).message).toContain('settled()')
})

test('a log goes on after a refusal, and after nothing else', () => {
  expect(isRefusal(new KeelsonError('NO_SPACE', 'full'))).toBe(true)
  const finals = [cause, new KeelsonError('CLOSED', 'closed'), new Error('a defect')]
  expect(finals.map(isRefusal)).toEqual([false, false, false])
})
