/** What a failed call to the owner of a shard means for its write or read. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { linkFull } from '../../../src/members/links/link-refusals.ts'
import {
  hasNoPlace,
  isUnowned,
  mayWriteAgain,
  writeFailure,
} from '../../../src/members/routing/routed-outcome.ts'

const error = (code: 'ELSEWHERE' | 'NOT_SUBMITTED' | 'SHARD_DOWN', details: object = {}) =>
  new KeelsonError(code, 'x', { details: { ...details } })

const position = { shard: 1, lsn: 7 }

test('a write that was refused undone is repeated at the next owner', () => {
  const mayAgain = mayWriteAgain('wait')
  expect(mayAgain(error('ELSEWHERE'))).toBe(true)
  expect(mayAgain(error('NOT_SUBMITTED'))).toBe(true)
  expect(mayAgain(error('SHARD_DOWN', { state: 'elsewhere' }))).toBe(true)
  expect(mayAgain(error('SHARD_DOWN', { state: 'down' }))).toBe(false)
  expect(isUnowned(error('SHARD_DOWN', { state: 'down' }))).toBe(false)
})

test('a write that is done is not repeated when the shard has left before its answer was read', () => {
  for (const code of ['ELSEWHERE', 'SHARD_DOWN'] as const) {
    const left = error(code, { position, state: 'elsewhere' })
    expect(mayWriteAgain('wait')(left)).toBe(false)
    expect(writeFailure(left, 1)).toBe(left)
  }
})

test('a write that was refused before it had a place says nothing about earlier ones', () => {
  expect(hasNoPlace(error('NOT_SUBMITTED'))).toBe(true)
  expect(hasNoPlace(error('SHARD_DOWN', { state: 'down' }))).toBe(true)
  expect(hasNoPlace(error('SHARD_DOWN', { position }))).toBe(false)
  expect(hasNoPlace(new KeelsonError('UNKNOWN_OUTCOME', 'x'))).toBe(false)
  expect(hasNoPlace(new KeelsonError('WRONG_TYPE', 'x'))).toBe(false)
})

test('a link without room is no answer of an owner, as a BUSY of its own is', () => {
  const full = linkFull('no room', {})
  expect(isUnowned(full)).toBe(true)
  expect(isUnowned(new KeelsonError('BUSY', 'x'))).toBe(false)
})
