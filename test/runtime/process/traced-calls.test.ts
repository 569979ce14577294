/** The calls in a trace: each handled in its scope, and ended once. A call without a trace costs nothing. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type GenServer,
  noReply,
  reply,
  traceWith,
} from '../../../src/runtime/index.ts'
import type { ProcessSystem } from '../../../src/runtime/server/system.ts'
import type { Tracer } from '../../../src/runtime/words/tracer.ts'
import { outcome, silentLogger, testSystem } from '../../../src/testing/index.ts'

type Messages = {
  calls: { get: () => number; refuse: () => void; plain: () => number }
  casts: { note: () => void }
}

const stage = async () => {
  const { system, clock } = testSystem({ logger: silentLogger })
  const seen: unknown[] = []
  const server: GenServer<Messages, null> = {
    init: () => null,
    calls: {
      get: (state) => {
        seen.push('handled')
        return reply(1, state)
      },
      refuse: (state, _, { from }) => {
        from.fail('refused')
        return noReply(state)
      },
      plain: (state) => reply(2, state),
    },
    casts: { note: (state) => noReply(state) },
  }
  const ref = await system.start(server, undefined, { mailboxMax: 2 })
  const tracer: Tracer = {
    caused: () => undefined,
    traceId: () => undefined,
    turn: () => expect.unreachable(),
    work: () => expect.unreachable(),
    send: () => expect.unreachable(),
    place: () => undefined,
    scope: () => expect.unreachable(),
    call: (process, message) => {
      if (message === 'plain') return undefined
      seen.push(`${process.kind} ${message}`)
      return {
        run: (work) => {
          seen.push('in')
          const result = work()
          seen.push('out')
          return result
        },
        place: undefined,
        retries: () => expect.unreachable(),
        end: (failure) => void seen.push(failure ?? 'ok'),
      }
    },
  }
  /** How often `work` reads the clock. */
  const looksOf = async (work: () => Promise<unknown>): Promise<number> => {
    let looks = 0
    const { monotonic } = clock
    clock.monotonic = () => {
      looks++
      return monotonic.call(clock)
    }
    await work()
    clock.monotonic = monotonic
    return looks
  }
  return { system, clock, ref, seen, looksOf, tracer }
}

describe('a call in a trace', () => {
  test('is handled in its scope, and its trace ends with its answer', async () => {
    const { system, ref, seen, tracer } = await stage()
    traceWith(system, tracer)
    await call(ref, 'get')
    expect(seen).toEqual(['server get', 'in', 'handled', 'ok', 'out'])
  })

  test('that fails or is refused ends its trace with the error', async () => {
    const { system, ref, seen, tracer } = await stage()
    traceWith(system, tracer)
    await outcome(call(ref, 'refuse'))
    expect(seen).toEqual(['server refuse', 'in', { error: 'refused' }, 'out'])

    seen.length = 0
    for (const _ of [1, 2]) cast(ref, 'note')
    await outcome(call(ref, 'get'))
    expect(seen).toEqual([
      'server get',
      { error: expect.objectContaining({ code: 'MAILBOX_FULL' }) },
    ])
  })
})

describe('a call that the tracer leaves out', () => {
  test('reads no clock, as one without a tracer', async () => {
    const { system, ref, looksOf, tracer } = await stage()
    const plain = () => call(ref, 'plain')
    await plain()
    const silent = await looksOf(plain)
    traceWith(system, tracer)
    expect(await looksOf(plain)).toBe(silent)
    expect(await looksOf(() => call(ref, 'get'))).toBeGreaterThan(silent)
  })

  test('is heard by the listeners and the samplers of call.done all the same', async () => {
    const { system, ref, tracer } = await stage()
    traceWith(system, tracer)
    const heard: unknown[] = []
    const stop = (system as ProcessSystem).heard['call.done'].sample(({ message }, weight) =>
      heard.push([message, weight]),
    )
    await call(ref, 'plain')
    stop()
    system.events.on('call.done', ({ message, result }) => heard.push([message, result]))
    await call(ref, 'plain')
    expect(heard).toEqual([
      ['plain', 1],
      ['plain', 'ok'],
    ])
  })
})
