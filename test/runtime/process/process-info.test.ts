/** What may be seen of a process: its ties and its waiting messages, of which it may have very many. */
import { describe, expect, test } from 'vitest'
import {
  bytesHeld,
  type GenServer,
  machineOf,
  messageNames,
  name,
  noReply,
  reply,
  replyShownBy,
  send,
  summaryOf,
  suspend,
  tiesOf,
  waitingMessages,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

describe('the ties of a process', () => {
  test('are counted in all, and listed up to a limit', async () => {
    const { system } = testSystem()
    const [one, other] = [
      await system.start(Runner.server, true),
      await system.start(Runner.server, true),
    ]
    const linked = await Runner.run(one, (context) =>
      Array.from({ length: 3 }, () => context.spawnLink((own) => own.receive()).pid),
    )
    await Runner.run(one, (context) => context.monitor(other))
    await Runner.run(other, (context) => {
      context.monitor(one)
      context.monitor(one)
    })

    expect(tiesOf(one, 5)).toEqual({
      links: { count: 3, pids: linked },
      monitors: { count: 1, pids: [other.pid] },
      monitoredBy: { count: 2, pids: [other.pid, other.pid] },
    })
    system.monitor(one, () => {})
    expect(tiesOf(one, 5).monitoredBy).toEqual({ count: 2, pids: [other.pid, other.pid] })
    expect(tiesOf(one, 3).links).toEqual({ count: 3, pids: linked })
    expect(tiesOf(one, 2).links).toEqual({ count: 3, pids: linked.slice(0, 2) })
    system.kill(one)
    const none = { count: 0, pids: [] }
    expect(tiesOf(one, 2)).toEqual({ links: none, monitors: none, monitoredBy: none })
  })
})

describe('the messages that wait for a process', () => {
  test('are those that a suspended server has set aside, and then its mailbox, in order', async () => {
    const { system, settle } = testSystem()
    const runner = await system.start(Runner.server, false)
    await suspend(runner)
    send(runner, 'tick', 'a')
    send(runner, 'tick', 'b')
    await settle()
    send(runner, 'tick', 'c')
    send(runner, 'tick', 'd')

    const payloads = (limit: number) => waitingMessages(runner, limit).map(({ payload }) => payload)
    expect(payloads(10)).toEqual(['a', 'b', 'c', 'd'])
    expect([payloads(3), payloads(1), payloads(0)]).toEqual([['a', 'b', 'c'], ['a'], []])
    expect(waitingMessages(runner, 1)).toEqual([{ what: 'info tick', payload: 'a' }])
  })

  test('and its state count as its bytes; one that has ended has none', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const empty = bytesHeld(runner)
    await suspend(runner)
    for (let count = 0; count < 20; count++) send(runner, 'tick', 'x'.repeat(1_000))
    expect(bytesHeld(runner) - empty).toBeGreaterThanOrEqual(20_000)
    expect(bytesHeld(runner) - empty).toBeLessThan(100_000)
    system.kill(runner)
    expect([bytesHeld(runner), waitingMessages(runner, 5)]).toEqual([0, []])
  })
  test('count by their number and the size of the first ten', async () => {
    const { system } = testSystem()
    const held = async (sizes: readonly number[]) => {
      const runner = await system.start(Runner.server, false)
      const empty = bytesHeld(runner)
      await suspend(runner)
      for (const size of sizes) send(runner, 'tick', 'x'.repeat(size))
      return bytesHeld(runner) - empty
    }
    const [long, short] = [Array(10).fill(1_000), Array(10).fill(0)]
    const one = (await held([1_000])) - (await held([0]))
    expect((await held([...long, ...short])) - (await held([...short, ...short]))).toBe(20 * one)
    expect(await held([...short, ...long])).toBe(await held([...short, ...short]))
    expect((await held(long)) - (await held(short))).toBe(10 * one)
  })
})

describe('what a process understands, and how it lets answers be shown', () => {
  const hiding: GenServer<{ calls: { get: () => object }; casts: { note: () => void } }, null> = {
    init: () => null,
    calls: { get: (state) => reply({}, state) },
    casts: { note: (state) => noReply(state) },
    formatStatus: ({ lastMessage, ...status }) => ({
      ...status,
      lastMessage: lastMessage && { ...lastMessage, payload: `its ${lastMessage.what}` },
    }),
  }

  test('is its own to say; a bare process understands nothing', async () => {
    const { system } = testSystem()
    const ref = await system.start(hiding)
    const bare = system.spawn((context) => context.receive())

    expect(messageNames(ref)).toMatchObject({ calls: ['get'], casts: ['note'] })
    expect(replyShownBy(ref)({ password: 'x' })).toBe('its reply')
    expect([messageNames(bare), machineOf(bare), machineOf(ref)]).toEqual(Array(3).fill(undefined))
    expect(replyShownBy(bare)({ password: 'x' })).toEqual({ password: '[hidden string of 1]' })
    expect(summaryOf(ref)).toMatchObject({ pid: ref.pid, status: 'waiting', trapExit: false })
  })

  test('is the same after its end, for an answer that ends it; nothing is left to sum up', async () => {
    const { system } = testSystem()
    const ref = await system.start(hiding)
    const shown = replyShownBy(ref)
    system.kill(ref)
    expect([shown(1), summaryOf(ref)]).toEqual(['its reply', undefined])
  })

  test('is nothing for a name that no process has; secrets are hidden all the same', () => {
    const nobody = testSystem().system.to(name('nobody'))
    expect([messageNames(nobody), machineOf(nobody), summaryOf(nobody)]).toEqual(
      Array(3).fill(undefined),
    )
    expect(replyShownBy(nobody)({ password: 'x' })).toEqual({ password: '[hidden string of 1]' })
  })
})
