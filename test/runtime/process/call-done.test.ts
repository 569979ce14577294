/** The event `call.done`: each call once, with its result, and nothing while nobody listens. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type GenServer,
  getState,
  noReply,
  reply,
  type TelemetryEvents,
} from '../../../src/runtime/index.ts'
import type { ProcessSystem } from '../../../src/runtime/server/system.ts'
import { silentLogger, testSystem } from '../../../src/testing/index.ts'

type Messages = {
  calls: { add: (by: number) => number; crash: () => void; never: () => void; refuse: () => void }
  casts: { note: () => void }
}

const counter: GenServer<Messages, number> = {
  kind: 'counter',
  init: () => 0,
  calls: {
    add: (count, by) => reply(count + by, count + by),
    crash: () => {
      throw new Error('a bug')
    },
    never: (count) => noReply(count),
    refuse: (count, _, { from }) => {
      from.fail(new Error('no code'))
      return noReply(count)
    },
  },
  casts: { note: (count) => noReply(count) },
}

const stage = async () => {
  const { system, clock, settle } = testSystem({ logger: silentLogger })
  const ref = await system.start(counter, undefined, { mailboxMax: 2 })
  const done: Parameters<TelemetryEvents['call.done']>[0][] = []
  const listener = (event: (typeof done)[number]): void => void done.push(event)
  return { system, clock, settle, ref, done, listener }
}

describe('call.done', () => {
  test('has the server, the message, the result and the time of a call', async () => {
    const { system, clock, ref, done, listener } = await stage()
    system.events.on('call.done', listener)
    await call(ref, 'add', 1)
    const late = call(ref, 'never', undefined, { timeoutMs: 50 }).catch(() => undefined)
    await clock.advance(50)
    await late
    expect(done).toEqual([
      {
        ...{ at: expect.any(Number), instance: undefined, pid: expect.any(Number) },
        ...{ name: undefined, kind: 'counter', label: undefined },
        ...{ message: 'add', result: 'ok', tookMs: 0 },
      },
      expect.objectContaining({ message: 'never', result: 'TIMEOUT', tookMs: 50 }),
    ])
  })

  test('is emitted once for each call, however it ends', async () => {
    const { system, settle, ref, done, listener } = await stage()
    system.events.on('call.done', listener)
    const calls = [call(ref, 'refuse'), call(ref, 'crash'), call(ref, 'add', 1)]
    const aborted = call(ref, 'add', 1, { signal: AbortSignal.abort() })
    await Promise.allSettled([...calls, aborted])
    await settle()
    cast(ref, 'note')
    await call(ref, 'add', 1).catch(() => undefined)
    expect(done.map(({ message, result }) => `${message} ${result}`)).toEqual([
      'add MAILBOX_FULL',
      'add failed',
      'refuse failed',
      'crash EXITED',
    ])
  })

  test('is of calls only: a request of sys, answered or refused, is none', async () => {
    const { system, ref, done, listener } = await stage()
    system.events.on('call.done', listener)
    await getState(ref)
    const bare = system.spawn((context) => context.receive())
    await expect(getState(bare)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(done).toEqual([])
  })

  test('is not made, and the clock not read, before a listener comes and after it has gone', async () => {
    const { system, clock, ref, done, listener } = await stage()
    let looks = 0
    const monotonic = clock.monotonic.bind(clock)
    const looksOf = async () => {
      const before = looks
      await call(ref, 'add', 1)
      return looks - before
    }
    clock.monotonic = () => {
      looks++
      return monotonic()
    }
    await looksOf()
    const silent = await looksOf()
    system.events.on('call.done', listener)
    expect(await looksOf()).toBeGreaterThan(silent)
    system.events.off('call.done', listener)
    await looksOf()
    expect(await looksOf()).toBe(silent)
    system.events.once('call.done', listener)
    await looksOf()
    expect(done).toHaveLength(2)
  })
})

describe('the samples of calls', () => {
  test('have the server, the message, the result and the time', async () => {
    const { system, clock, ref } = await stage()
    const samples: unknown[] = []
    const { heard } = system as ProcessSystem
    heard['call.done'].sample((facts, weight) => samples.push([facts, weight]))
    await call(ref, 'add', 1)
    const late = call(ref, 'never', undefined, { timeoutMs: 50 }).catch(() => undefined)
    await clock.advance(50)
    await late
    const facts = { instance: undefined, kind: 'counter', label: undefined }
    expect(samples).toEqual([
      [{ ...facts, message: 'add', result: 'ok', tookMs: 0 }, 1],
      [{ ...facts, message: 'never', result: 'TIMEOUT', tookMs: 50 }, 1],
    ])
  })

  test('are fewer than very many calls, and count for all of them', async () => {
    const { system, ref } = await stage()
    const weights: number[] = []
    const hearing = (system as ProcessSystem).heard['call.done']
    hearing.sample((_, weight) => weights.push(weight))
    for (let at = 0; at < 1_000; at++) await call(ref, 'add', 1)
    hearing.restart()
    await call(ref, 'add', 1)
    expect(weights.length).toBeLessThan(800)
    expect(weights.reduce((all, weight) => all + weight)).toBe(1_001)
  })
})
