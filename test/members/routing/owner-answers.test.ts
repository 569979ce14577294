/** What the members of a folder answer each other. */
import { expect, test } from 'vitest'
import { innerParts } from '../../../src/supervisors/app/app-context.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

test('a backup, a watch and a stream that are begun after the link of their member has ended are kept by nobody', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [, b] = (await world.start()) as [App, App]
  const shard = b.shards.find(({ phase }) => phase.kind === 'open') as App['shards'][number]
  const key = ['k', 'l', 'm', 'n', 'o', 'p'].find((each) => b.store.shardOf(each) === shard.index)
  await world.during(b.store.put(key as string, new Uint8Array(10)))
  const questions = b[innerParts].way as unknown as {
    answererOf(question: string): (payload: unknown) => unknown
  }
  const { index } = shard
  const watch = {
    member: 'a',
    reader: 'r',
    answers: 0,
    what: 'store',
    terms: { prefix: '' },
    follows: true,
  }
  const asked = [
    ['backup', { id: 'one', step: 'begin', member: 'a', shards: [index] }],
    ['watch.next', [index, { ...watch, from: 1, pins: true }]],
    ['stream.read', [index, 'a', 'one', key, 0, 10]],
  ] as const
  world.links.part('a', 'b')
  await world.clock.advance(100)

  for (const [question, payload] of asked) {
    const answer = Promise.resolve().then(() => questions.answererOf(question)(payload))
    await expect(world.during(answer)).rejects.toMatchObject({ code: 'NO_PROCESS' })
  }
  expect(shard.isHeld).toBe(false)
  world.links.heal()
})
