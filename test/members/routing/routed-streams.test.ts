/** Streams of values at other members, as they ask for them. */
import { expect, test } from 'vitest'
import type { ShardClient } from '../../../src/actors/core/shard-client.ts'
import type { WritingShard } from '../../../src/actors/writing/writing-shard.ts'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { streamFrom } from '../../../src/members/routing/routed-streams.ts'
import { createSystem } from '../../../src/runtime/index.ts'

test('one whose beginning was answered too late is ended where it may have begun, not at the next owner alone', async () => {
  const ended: string[] = []
  let owner = 'b'
  const way: Partial<ShardClient> = {
    member: 'a',
    others: ['b', 'c', 'd'],
    isLinked: (member) => member !== 'd',
    ask: async (_, question) => {
      if (question === 'stream.end') ended.push(owner)
      owner = 'c'
      throw new KeelsonError('TIMEOUT', 'late')
    },
    askMember: async (member, question) => {
      if (question === 'stream.end') ended.push(member)
    },
  }
  const shard = { index: 0, parts: { settings: { deadlineMs: 1_000 } } }
  const read = streamFrom(
    createSystem({ clock: virtualClock() }),
    way as ShardClient,
    shard as unknown as WritingShard,
    'k',
    0,
    10,
  )

  await expect(read).rejects.toMatchObject({ code: 'TIMEOUT' })
  // The end of a link ends its streams.
  expect(ended).toEqual(['a', 'b', 'c'])
})
