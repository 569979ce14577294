/**
 * A server with checks refuses unknown messages and lives on; one without keeps OTP's semantics.
 */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  call,
  cast,
  type GenServer,
  getState,
  name,
  noReply,
  ok,
  type Ref,
  reply,
  send,
} from '../../../src/runtime/index.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

type Messages = {
  calls: { add: (by: number) => number }
  casts: { set: (to: number) => void }
  infos: { tick: (by: number) => void }
}

const isNumber = (payload: unknown): boolean => typeof payload === 'number'
const isEven = (payload: unknown): boolean => {
  if (isNumber(payload) && Number(payload) % 2 === 0) return true
  throw new KeelsonError('TOO_LARGE', 'it is odd')
}

const counter = (checked: boolean): GenServer<Messages, number> => ({
  init: () => 0,
  ...(checked
    ? { accepts: { calls: { add: isEven }, casts: { set: isNumber }, infos: { tick: isNumber } } }
    : {}),
  calls: { add: (count, by) => reply(count + by, count + by) },
  casts: { set: (_, to) => noReply(to) },
  infos: { tick: (count, by) => noReply(count + by) },
})

/** Anything at all may be sent by a caller that no compiler checks. */
type Anything = {
  calls: { [name: string]: (payload?: unknown) => unknown }
  casts: { [name: string]: (payload?: unknown) => void }
  infos: { [name: string]: (payload?: unknown) => void }
}

const started = async (checked: boolean) => {
  const world = testSystem()
  const ref = await world.system.start(counter(checked), undefined, { name: name('counter') })
  return { ...world, ref: ref as Ref<unknown> as Ref<Anything> }
}

describe('a server with accepts', () => {
  test('answers a call that it does not know, and one with a wrong payload, with INVALID_ARGUMENT', async () => {
    const { ref } = await started(true)
    for (const unknown of ['nope', 'toString', 'constructor', '__proto__', 'set'])
      await expect(call(ref, unknown, 2)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        details: { message: unknown },
      })
    await expect(call(ref, 'add', 1)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(await call(ref, 'add', 2)).toBe(2)
  })

  test('logs casts and infos that it refuses, and lives on', async () => {
    const { ref, log, clock } = await started(true)
    cast(ref, 'nope', 1)
    cast(ref, 'set', 'text')
    send(ref, 'nope', 1)
    send(ref, 'tick', 'text')
    cast(ref, 'set', 4)
    send(ref, 'tick', 2)
    await clock.settle()
    expect(await call(ref, 'add', 2)).toBe(8)
    expect(log.lines.map(({ message }) => message)).toEqual([
      expect.stringContaining('refused cast nope'),
      expect.stringContaining('refused cast set'),
      expect.stringContaining('refused info nope'),
      expect.stringContaining('refused info tick'),
    ])
  })

  test('refuses a payload that throws when it is read', async () => {
    const { ref } = await started(true)
    const thrower = new Proxy(
      {},
      {
        get: () => {
          throw new Error('a trap')
        },
      },
    )
    const refused = await outcome(call(ref, 'add', { valueOf: thrower }))
    expect(refused).toMatchObject({ ok: false })
    expect(await call(ref, 'add', 2)).toBe(2)
  })
})

describe('the timeout of a server', () => {
  const timed = async () => {
    const world = testSystem()
    const server: GenServer<Messages, number> = {
      ...counter(true),
      init: () => ok(0, { timeoutMs: 100 }),
      timeout: (count) => noReply(count + 1_000),
    }
    const ref = await world.system.start(server)
    await world.clock.advance(60)
    return { ...world, ref: ref as Ref<unknown> as Ref<Anything> }
  }

  test.each<[string, (ref: Ref<Anything>) => unknown]>([
    ['an unknown cast', (ref) => cast(ref, 'nope')],
    ['a wrong payload', (ref) => send(ref, 'tick', 'text')],
    ['a call with an id', (ref) => call(ref, 'add', 2, { id: 'one' }).catch(() => undefined)],
  ])('is neither prolonged nor called off by %s, which is refused', async (_, act) => {
    const { ref, clock } = await timed()
    act(ref)
    await clock.advance(40)
    expect(await getState(ref)).toBe(1_000)
  })

  test('is called off by a message that is taken', async () => {
    const { ref, clock } = await timed()
    cast(ref, 'set', 4)
    await clock.advance(1_000)
    expect(await getState(ref)).toBe(4)
  })
})

describe('a server without accepts', () => {
  test('ends by a call that it does not know, as in OTP', async () => {
    const { ref } = await started(false)
    await expect(call(ref, 'nope')).rejects.toMatchObject({ code: 'EXITED' })
    await expect(call(ref, 'add', 2)).rejects.toMatchObject({ code: 'NO_PROCESS' })
  })
})
