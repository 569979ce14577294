/** Answers of a projection's writer that does not answer: what its callers get. */
import { expect, test } from 'vitest'
import { answerOf } from '../../../src/actors/projection/lmdb-writer.ts'
import { ShardProjection } from '../../../src/actors/projection/shard-projection.ts'
import { virtualClock } from '../../../src/clock.ts'
import { type ErrorCode, KeelsonError } from '../../../src/errors.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** A shard whose followers have given up, or not. */
const shard = (hasGivenUp: boolean) => {
  const projection = new ShardProjection(0, virtualClock())
  if (hasGivenUp) projection.giveUp(new Error('too many restarts'))
  return { projection } as never
}

const ends = async (code: ErrorCode, hasGivenUp: boolean): Promise<unknown> =>
  codeOf(answerOf(shard(hasGivenUp), Promise.reject(new KeelsonError(code, 'no answer'))))

test('an answer that comes is the answer, whatever the mode', async () => {
  for (const hasGivenUp of [false, true])
    expect(await answerOf(shard(hasGivenUp), Promise.resolve(7))).toBe(7)
})

test.each<[ErrorCode, unknown, unknown]>([
  ['NO_PROCESS', 'NO_PROCESS', 'DEGRADED'],
  ['EXITED', 'EXITED', 'DEGRADED'],
  ['TIMEOUT', 'TIMEOUT', 'TIMEOUT'],
  ['BUSY', 'BUSY', 'BUSY'],
  ['CLOSED', 'CLOSED', 'CLOSED'],
])('%s is %s, and %s once its followers have given up', async (code, before, after) => {
  expect([await ends(code, false), await ends(code, true)]).toEqual([before, after])
})
