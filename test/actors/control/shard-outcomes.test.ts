/** The outcome of a shard says what the shard is, whatever actor of it was asked. */
import { expect, test } from 'vitest'
import { eachShard, type Instance } from '../../../src/actors/control/shard-outcomes.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { testSystem } from '../../../src/testing/index.ts'

const outcomeOf = async (kind: string, code: 'NO_PROCESS' | 'DEGRADED') => {
  const { system } = testSystem()
  const unavailable = () => new KeelsonError('ELSEWHERE', 'shard 0 is at another member')
  const shard = { index: 0, phase: { kind }, unavailable, parts: { instance: 'default' } }
  const instance = { shards: [shard], system } as unknown as Instance
  const { outcomes } = await eachShard('snapshot', instance, [0], async () => {
    throw new KeelsonError(code, 'there is no process snapshotter(0)')
  })
  return outcomes[0]
}

test('a shard whose actor is not there is SHARD_DOWN, with its state', async () => {
  for (const state of ['open', 'recovering'])
    expect(await outcomeOf(state, 'NO_PROCESS')).toMatchObject({
      ...{ shard: 0, ok: false },
      error: { code: 'SHARD_DOWN', details: { shard: 0, state }, cause: { code: 'NO_PROCESS' } },
    })
})

test('a shard that has left during the request is ELSEWHERE', async () => {
  expect(await outcomeOf('elsewhere', 'NO_PROCESS')).toMatchObject({ error: { code: 'ELSEWHERE' } })
})

test('the answer of an actor is the outcome as it is', async () => {
  expect(await outcomeOf('open', 'DEGRADED')).toMatchObject({ error: { code: 'DEGRADED' } })
})
