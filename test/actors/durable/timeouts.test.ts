/**
 * The `timeoutMs` of a durable actor: `timeout` comes after so long without a message to its
 * server, whatever the actor asks itself meanwhile.
 */
import { afterEach, describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  type EntityOptions,
  entity,
  type From,
  noReply,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    wait: (ms: number) => void
    hold: (ms: number) => string
    look: () => number
    ring: (inMs: number) => void
  }
  casts: { wait: (ms: number) => void; write: () => void }
  alarms: { ring: () => void }
}

const key = '{thing/1}:locked'
let held: From<string> | undefined
/** When `timeout` came, by the monotonic clock. */
let timeouts: number[] = []
/** What `timeout` does besides. */
let writes: readonly string[] = []

afterEach(() => {
  held = undefined
  timeouts = []
  writes = []
})

const { timeout, ...withoutTimeout } = {
  init: () => 0,
  calls: {
    wait: (state, timeoutMs) => reply(undefined, state + 1, { timeoutMs }),
    hold: (state, timeoutMs, { from }) => {
      held = from
      return noReply(state, { timeoutMs })
    },
    look: (state) => reply(state, state),
    ring: (state, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, state, { timeoutMs: 2 * inMs })
    },
  },
  casts: {
    wait: (state, timeoutMs) => noReply(state + 1, { timeoutMs }),
    write: (state, _, context) => {
      context.writes.put(key, 1)
      return noReply(state + 1)
    },
  },
  alarms: { ring: (state) => noReply(state + 1) },
  timeout: (state, context) => {
    timeouts.push(context.system.clock.monotonic())
    held?.reply('too late')
    for (const each of writes) context.writes.put(each, 1)
    return noReply(state + 1)
  },
} satisfies DurableServer<Messages, number>

const world = async (options: EntityOptions = {}, isHeard = true) => {
  const server: DurableServer<Messages, number> = isHeard
    ? { ...withoutTimeout, timeout }
    : withoutTimeout
  const kind = entity('thing', server, options)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  await s.during(call(handle.ref('1'), 'look'))
  return { s, handle, ref: handle.ref('1') }
}

describe('a timeout comes in its time', () => {
  test('though the actor looks meanwhile whether it may rest', async () => {
    const { s, ref } = await world()
    await s.advance(50_000)
    await s.during(call(ref, 'wait', 15_000))
    const since = s.clock.monotonic()
    await s.advance(30_000)
    expect(timeouts.map((at) => Math.round((at - since) / 100))).toEqual([150])
    expect(await s.during(call(ref, 'look'))).toBe(2)
  })

  test('though it does so often, because it owes an answer', async () => {
    const { s, ref } = await world({ idleMs: 1_000 })
    const since = s.clock.monotonic()
    expect(await s.during(call(ref, 'hold', 4_500))).toBe('too late')
    expect(Math.round((s.clock.monotonic() - since) / 100)).toBe(45)
  })

  test.each([
    ['may have an alarm that is due', '$due', undefined],
    ['is migrated', '$migrate', undefined],
    ['is unblocked', '$unblock', undefined],
    ['is asked for a step', '$byHand', { act: 'retryStep', name: 'none' }],
  ])('though it %s', async (_, request, asked) => {
    const { s, ref } = await world()
    await s.during(call(ref, 'wait', 5_000))
    const since = s.clock.monotonic()
    await s.advance(2_000)
    await s.during(call(ref as never, request as never, asked as never))
    await s.advance(10_000)
    expect(timeouts.map((at) => Math.round((at - since) / 100))).toEqual([50])
  })

  test('also if the turn that asked for it was handled again', async () => {
    const { s, ref } = await world()
    await s.during(s.app.store.lock([key], { owner: 'other', leaseMs: 60_000 }))
    cast(ref, 'write')
    cast(ref, 'wait', 1_000)
    await s.advance(5_000)
    expect(timeouts).toHaveLength(1)
  })
})

test.each<[string, (ask: (name: 'look' | 'ring', payload?: unknown) => unknown) => unknown]>([
  ['a message', (ask) => ask('look')],
  ['an alarm', (ask) => ask('ring', 1_000)],
])('%s that the server handles ends a timeout', async (_, asks) => {
  const { s, ref } = await world()
  await s.during(call(ref, 'wait', 5_000))
  await asks((name, payload) => s.during(call(ref, name, payload as never) as Promise<unknown>))
  await s.advance(200_000)
  expect(timeouts).toEqual([])
})

test('a timeout whose turn is refused does not come again', async () => {
  writes = [key]
  const { s, ref } = await world({ idleMs: 1_000 })
  await s.during(s.app.store.lock([key], { owner: 'other', leaseMs: 60_000 }))
  await s.during(call(ref, 'wait', 100))
  await s.advance(10_000)
  expect([timeouts.length, await s.during(call(ref, 'look'))]).toEqual([1, 1])
})

test('a timeout without a handler is told of once', async () => {
  const { s, ref } = await world({ idleMs: 1_000 }, false)
  void call(ref, 'hold', 100, { timeoutMs: Number.POSITIVE_INFINITY }).catch(() => undefined)
  await s.advance(10_000)
  const told = s.log.lines.filter(({ message }) => message.includes('unexpected timeout'))
  expect(told).toHaveLength(1)
})
