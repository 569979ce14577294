/** Schemas of the messages of a server: a payload is parsed once, by the process that handles it. */
import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { z } from 'zod'
import {
  call,
  cast,
  type GenServer,
  getState,
  noReply,
  ok,
  type Parsed,
  type Ref,
  reply,
  resume,
  send,
  suspend,
} from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import type { StandardSchema } from '../../../src/schema.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { orders } from '../../support/library-schemas.mjs'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const parsed: unknown[] = []
/** The text of a number, which becomes one. It notes each text that it makes a number of. */
const number = z.string().transform((text) => {
  parsed.push(text)
  return Number(text)
})
const amount = z.object({ by: number, password: z.string().max(3).optional() })

type Messages = {
  calls: { add: Parsed<typeof amount, number>; get: () => number }
  casts: { set: Parsed<typeof number> }
  infos: { tick: Parsed<typeof number> }
}

const counter: GenServer<Messages, number> = {
  messages: { calls: { add: amount }, casts: { set: number }, infos: { tick: number } },
  init: () => 0,
  calls: {
    add: (count, { by }) => reply(count + by, count + by),
    get: (count) => reply(count, count),
  },
  casts: { set: (_, to) => noReply(to) },
  infos: { tick: (count, by) => noReply(count + by) },
}

const started = async (server = counter) => {
  parsed.length = 0
  const world = testSystem()
  return { ...world, ref: await world.system.start(server) }
}

describe('a server with schemas', () => {
  test('gets what they make of the payloads of calls, casts and infos, parsed once', async () => {
    const { ref, clock } = await started()
    cast(ref, 'set', '4')
    send(ref, 'tick', '5')
    expect(await call(ref, 'add', { by: '6' })).toBe(15)
    await clock.settle()
    expect([await call(ref, 'get'), parsed]).toEqual([15, ['4', '5', '6']])
  })

  test('parses what a timer brings, and what waited while it was suspended, once too', async () => {
    const ticking: GenServer<Messages, number> = {
      ...counter,
      init: (_, context) => {
        context.sendAfter(10, 'tick', '1')
        context.castAfter(5, 'set', '7')
        return 0
      },
    }
    const { ref, clock } = await started(ticking)
    await suspend(ref)
    const added = call(ref, 'add', { by: '2' })
    await clock.advance(20)
    expect(parsed).toEqual([])
    await resume(ref)
    await clock.settle()
    expect([await added, await getState(ref), parsed]).toEqual([2, 8, ['2', '7', '1']])
  })

  test('refuses a call with the issues and their paths, changes nothing, and lives on', async () => {
    const { ref, log } = await started()
    cast(ref, 'set', '4')
    await expect(call(ref, 'add', { by: 3 } as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^call add: by: /),
      details: { of: 'call add', issues: [{ path: 'by' }] },
    })
    expect([await call(ref, 'get'), log.lines]).toEqual([4, []])
  })

  test('logs a cast and an info that are refused, with the places of their issues', async () => {
    const { ref, clock, log } = await started()
    cast(ref, 'set', 4 as never)
    send(ref, 'tick', {} as never)
    await clock.settle()
    expect(log.lines).toMatchObject([
      {
        message: expect.stringMatching(/refused cast set$/),
        facts: { name: 'set', issues: [''] },
      },
      { message: expect.stringMatching(/refused info tick$/), facts: { issues: [''] } },
    ])
    expect(await call(ref, 'get')).toBe(0)
  })

  test('parses nothing that a check has refused, and checks what was given', async () => {
    const checked: GenServer<Messages, number> = {
      ...counter,
      accepts: {
        calls: { add: () => false, get: () => true },
        casts: { set: (payload) => payload === '4' },
        infos: { tick: () => true },
      },
    }
    const { ref } = await started(checked)
    cast(ref, 'set', '4')
    cast(ref, 'set', '5')
    expect(await codeOf(call(ref, 'add', { by: '1' }))).toBe('INVALID_ARGUMENT')
    expect([await call(ref, 'get'), parsed]).toEqual([4, ['4']])
  })

  test('ends by a message that it does not know, as in OTP', async () => {
    const { ref } = await started()
    expect(await codeOf(call(ref as never, 'toString' as never))).toBe('EXITED')
  })

  test('keeps its timeout over a message that is refused', async () => {
    const timed: GenServer<Messages, number> = {
      ...counter,
      init: () => ok(0, { timeoutMs: 100 }),
      timeout: (count) => noReply(count + 1_000),
    }
    const { ref, clock } = await started(timed)
    await clock.advance(60)
    cast(ref, 'set', 4 as never)
    await clock.advance(40)
    expect(await getState(ref)).toBe(1_000)
  })

  test('shows what the schema has made, not what was given, when a handler throws', async () => {
    const throwing: GenServer<Messages, number> = {
      ...counter,
      casts: {
        set: () => {
          throw new Error('odd')
        },
      },
    }
    const { ref, clock, log } = await started(throwing)
    cast(ref, 'set', '4')
    await clock.settle()
    const report = log.lines.find(({ level }) => level === 'error')
    expect(String(report?.facts?.report)).toContain('cast set 4')
  })

  test.each(Object.entries(orders))('takes those of %s', async (_, schema) => {
    const kept: unknown[] = []
    const server = {
      messages: { casts: { order: schema } },
      init: () => undefined,
      casts: {
        order: (state: unknown, order: unknown) => {
          kept.push(order)
          return noReply(state)
        },
      },
    } as never as GenServer<{ casts: { order: (payload: unknown) => void } }, undefined>
    const { system, clock, log } = testSystem()
    const ref = await system.start(server)
    cast(ref, 'order', { items: [{ cents: '5' }] })
    cast(ref, 'order', { items: [{ cents: '5' }, { cents: {} }] })
    await clock.settle()
    expect(kept).toEqual([{ items: [{ cents: 5 }], at: 3 }])
    expect(log.lines).toMatchObject([{ facts: { issues: ['items[1].cents'] } }])
  })
})

describe('a schema is refused at the start', () => {
  const late: StandardSchema = {
    '~standard': { version: 1, vendor: 'test', validate: async (value) => ({ value }) },
  }
  test.each([
    ['that answers with a promise', { casts: { set: late } }, 'messages.casts.set'],
    ['that is none', { calls: { add: { parse: () => 1 } } }, 'messages.calls.add'],
    ['of a message without a handler', { casts: { sets: number } }, 'messages.casts'],
    ['of a section without schemas', { alarms: { set: number } }, 'messages'],
  ])('%s', async (_, messages, path) => {
    const { system } = testSystem()
    const refused = system.start({ ...counter, messages } as never)
    await expect(refused).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(refused).rejects.toThrow(path)
  })

  test('and one that is asynchronous for some values alone refuses those', async () => {
    const some: StandardSchema<never, never> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          value === undefined
            ? { issues: [{ message: 'no' }] }
            : Promise.resolve({ value: value as never }),
      },
    }
    const { ref } = await started({
      ...counter,
      messages: { ...counter.messages, calls: { add: some } },
    } as never)
    await expect(call(ref, 'add', { by: '1' })).rejects.toThrow(
      'call add: its schema answers with a promise',
    )
    expect(await call(ref, 'get')).toBe(0)
  })
})

describe('the schema of the events of a machine', () => {
  type Event = { type: 'pay'; cents: number } | { type: 'open' } | { type: 'look' }
  const till = setup({ types: {} as { context: { sum: number }; events: Event } }).createMachine({
    id: 'till',
    context: { sum: 0 },
    initial: 'shut',
    states: { shut: { on: { open: 'opened' } }, opened: { on: { pay: {} } } },
  })
  const events = z.discriminatedUnion('type', [
    z.object({ type: z.literal('pay'), cents: number }),
    z.object({ type: z.literal('open') }),
    z.object({ type: z.literal('look') }),
  ])
  const seen: unknown[] = []
  const server = StateMachine.server(till, {
    events,
    postpone: { shut: ['pay'] },
    answers: {
      pay: (_, event) => {
        seen.push(event)
        return event.cents
      },
      look: ({ value }) => value,
    },
  })

  test('parses an event once, also one that is postponed, and the answer is of what it makes', async () => {
    parsed.length = 0
    const { system, clock } = testSystem()
    const ref = await system.start(server)
    const paid = StateMachine.call(ref, { type: 'pay', cents: '5' })
    await clock.settle()
    StateMachine.send(ref, { type: 'open' })
    expect([await paid, parsed, seen]).toEqual([5, ['5'], [{ type: 'pay', cents: 5 }]])
  })

  test('refuses a call and logs a cast, and the machine lives on', async () => {
    const { system, clock, log } = testSystem()
    const ref = await system.start(server)
    await expect(StateMachine.call(ref, { type: 'pay', cents: 5 } as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { issues: [{ path: 'cents' }] },
    })
    StateMachine.send(ref as Ref<never>, { type: 'odd' } as never)
    await clock.settle()
    expect(log.lines).toMatchObject([{ message: expect.stringContaining('refused cast event') }])
    expect(await StateMachine.call(ref, { type: 'look' })).toBe('shut')
  })

  test('refuses what it makes no event of', async () => {
    const odd = z.object({ type: z.literal('look') }).transform(() => 5 as never as Event)
    const { system } = testSystem()
    const ref = await system.start(
      StateMachine.server(till, { events: odd, answers: { look: ({ value }) => value } }),
    )
    await expect(StateMachine.call(ref, { type: 'look' })).rejects.toThrow('makes no event')
  })

  test('is refused where the server is made if it answers with a promise', () => {
    expect(() =>
      StateMachine.server(till, { events: z.any().refine(async () => true) as never }),
    ).toThrow(/events: .*answers at once/)
  })
})
