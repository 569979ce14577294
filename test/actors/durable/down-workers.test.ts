/** A durable worker that begins while its shard is down: it wakes when that is open, and waits for no message. */
import { expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  name,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { read: () => number }; continues: { poll: () => void } }

const world = async () => {
  const begun: string[] = []
  const server: DurableServer<Messages, number> = {
    init: () => {
      begun.push('init')
      return ok(0, { continue: ['poll'] })
    },
    wake: () => void begun.push('wake'),
    calls: { read: (count) => reply(count, count) },
    continues: {
      poll: (count) => {
        begun.push('poll')
        return noReply(count + 1)
      },
    },
  }
  const treeOf = (...ids: readonly string[]) =>
    supervisor(
      'app',
      {},
      ids.map((id) => worker(id, server, { durable: true })),
    )
  const s = await simulated({ app: treeOf('first') })
  await s.advance(100)
  begun.length = 0
  const read = (id: string) => s.during(codeOf(call(s.system.to(name<Messages>(id)), 'read')))
  return { s, begun, treeOf, read }
}

test('one that the tree starts begins with its first step when the shard is open', async () => {
  const { s, begun, treeOf, read } = await world()
  await s.kill()
  const fault = { kind: 'error', code: 'EIO' } as const
  s.disk.inject({ at: 1, operation: 'read', path: 'shard-0/wal', times: 100, fault })
  await s.start({ allowDown: true, app: treeOf('late') })
  expect(s.app.shards[0]?.phase.kind).toBe('down')
  expect(await read('late')).toBe('SHARD_DOWN')
  await s.advance(60_000)
  expect(begun).toEqual([])

  s.disk.clearFaults()
  await s.during(s.app.control.reopen(0))
  await s.advance(100)
  expect(begun).toEqual(['init', 'wake', 'poll'])
})

test('one that its supervisor restarts wakes once, each time that the shard is open again', async () => {
  const { s, begun, read } = await world()
  for (const _ of [1, 2]) {
    failNextSync(s.disk)
    expect(await s.during(codeOf(s.app.store.put('k', 1)))).toBe('UNKNOWN_OUTCOME')
    s.system.kill(name('first'))
    await s.advance(60_000)
    expect(await read('first')).toBe('SHARD_DOWN')
    expect(begun.splice(0)).toEqual([])

    await s.during(s.app.control.reopen(0))
    await s.advance(100)
    expect(begun.splice(0)).toEqual(['wake'])
  }
  expect(await read('first')).toBe('ok')
})
