/** Schemas of durable actors: a message is parsed once, by its owner, and what the schema makes is stored. */
import { describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { z } from 'zod'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  type Parsed,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

/** A schema of texts that are numbers of at most `max`, `times` as great. It notes each text that it parses. */
const numbers = (times = 1, max = 100) => {
  const parsed: string[] = []
  const text = z
    .string()
    .refine((given) => Number(given) <= max)
    .transform((given) => {
      parsed.push(given)
      return times * Number(given)
    })
  return { schema: z.object({ by: text }), parsed }
}
type By = ReturnType<typeof numbers>['schema']

type Messages = {
  calls: {
    add: Parsed<By, number>
    tell: (id: string) => void
    enter: (command: number) => void
  }
  casts: { note: Parsed<By> }
  continues: { later: (by: number) => void }
}
type State = { readonly sum: number; readonly notes: readonly unknown[] }

/** What `add` made, each time that it ran. */
const runs: number[] = []

const counter = (schema: By): DurableServer<Messages, State, { sum: number }> => ({
  messages: { calls: { add: schema }, casts: { note: schema } },
  init: () => ({ sum: 0, notes: [] }),
  index: ({ sum }) => ({ sum }),
  calls: {
    add: (state, { by }) => {
      runs.push(state.sum + by)
      return reply(state.sum + by, { ...state, sum: state.sum + by })
    },
    enter: (state, command, context) => {
      context.journal({ id: 'x', type: 'entered', command })
      return reply(undefined, { ...state, sum: state.sum + 1 })
    },
    tell: (state, id, context) => {
      const other = context.app.entity<Messages>('counter').ref(id)
      context.cast(other, 'note', { by: '7' })
      return reply(undefined, { ...state, sum: state.sum + 1 }, { continue: ['later', 5] })
    },
  },
  casts: {
    note: (state, noted) => noReply({ ...state, notes: [...state.notes, noted] }),
  },
  continues: { later: (state, by) => noReply({ ...state, sum: state.sum + by }) },
})

const program = (schema: By) =>
  supervisor('app', {}, [entity('counter', counter(schema), { record: { inputs: true } })])

/** An instance with counters by a schema. */
const started = async ({ schema, parsed }: ReturnType<typeof numbers> = numbers()) => {
  const s = await simulated({ app: program(schema) })
  const kind = () => s.app.entity<Messages, State, { sum: number }>('counter')
  return { s, parsed, kind, ref: (id: string) => kind().ref(id) }
}

const stateOf = ({ s, kind }: Awaited<ReturnType<typeof started>>, id: string) =>
  s.during(kind().load(id))

describe('the messages of an entity', () => {
  test('are stored as the schema makes them, and are not parsed again after a kill', async () => {
    const w = await started()
    expect(await w.s.during(call(w.ref('a'), 'add', { by: '5' }))).toBe(5)
    cast(w.ref('a'), 'note', { by: '6' })
    await w.s.advance(1_000)
    await w.s.kill()
    const other = numbers(1_000, 1)
    await w.s.start({ app: program(other.schema) })

    expect(await stateOf(w, 'a')).toEqual({ sum: 5, notes: [{ by: 6 }] })
    expect([w.parsed, other.parsed]).toEqual([['5', '6'], []])
    expect(await w.s.during(call(w.ref('a'), 'add', { by: '1' }))).toBe(1_005)
  })

  test('that are refused get the issues, and leave nothing', async () => {
    const w = await started()
    const wrong = call(w.ref('a'), 'add', { by: 5 } as never)
    await expect(w.s.during(wrong)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { of: 'call add', issues: [{ path: 'by' }] },
    })
    cast(w.ref('a'), 'note', { by: '101' })
    await w.s.advance(1_000)
    expect(await stateOf(w, 'a')).toBe(undefined)
    expect((await w.s.during(w.kind().page({ states: false }))).entries).toEqual([])
  })

  test('that an actor sends are parsed at their target, and its own steps are not', async () => {
    const w = await started()
    await w.s.during(call(w.ref('a'), 'tell', 'b'))
    await w.s.advance(1_000)
    expect(await stateOf(w, 'a')).toEqual({ sum: 6, notes: [] })
    expect(await stateOf(w, 'b')).toEqual({ sum: 0, notes: [{ by: 7 }] })
    expect(w.parsed).toEqual(['7'])
  })

  test('with an id are known by what was given: a repeat is answered, though the schema refuses it now', async () => {
    const w = await started()
    const add = (by: string, id: string) =>
      w.s.during(call(w.ref('a'), 'add', { by }, { id }).catch((error) => error.code))
    expect([await add('5', 'one'), await add('5', 'one'), await add('6', 'one')]).toEqual([
      5,
      5,
      'CONFLICT',
    ])
    expect(await add('101', 'two')).toBe('INVALID_ARGUMENT')
    expect(await add('7', 'two')).toBe(12)
    await w.s.kill()
    await w.s.start({ app: program(numbers(1_000, 1).schema) })

    expect([await add('5', 'one'), await add('5', 'three')]).toEqual([5, 'INVALID_ARGUMENT'])
    expect(w.parsed).toEqual(['5', '7'])
  })

  test('whose turn is handled again, after the refusal of one before it, are parsed once', async () => {
    const w = await started()
    await w.s.during(call(w.ref('a'), 'enter', 1))
    runs.length = 0
    const refused = codeOf(call(w.ref('a'), 'enter', 2))
    const added = call(w.ref('a'), 'add', { by: '3' })
    expect(await w.s.during(Promise.all([refused, added]))).toEqual(['CONFLICT', 4])
    expect([runs, w.parsed]).toEqual([[5, 4], ['3']])
  })

  test('are rehearsed as they were parsed', async () => {
    const w = await started()
    await w.s.during(call(w.ref('a'), 'add', { by: '5' }))
    cast(w.ref('a'), 'note', { by: '6' })
    await w.s.advance(1_000)
    const other = numbers(1_000, 1)
    const rehearsed = rehearse({ from: w.s.app, app: program(other.schema) })
    const { findings, counts } = await w.s.during(rehearsed)
    expect([findings, counts.turns, other.parsed]).toEqual([[], 2, []])
  })
})

test('a schema that answers with a promise is refused with its tree', async () => {
  const server = {
    init: () => 0,
    casts: { note: noReply },
    messages: { casts: { note: z.any().refine(async () => true) } },
  } as never
  const refused = /messages\.casts\.note: expected a schema that answers at once/
  expect(() => entity('counter', server)).toThrow(refused)
  for (const options of [{ durable: true }, {}]) {
    const app = supervisor('app', {}, [worker('counter', server, options as never)])
    const started = simulated({ app })
    await expect(started).rejects.toMatchObject({ code: 'CONFIG' })
    await expect(started).rejects.toThrow(refused)
  }
})

test('a durable worker stores what the schema makes', async () => {
  const { schema, parsed } = numbers()
  const app = supervisor('app', {}, [
    worker('counter', counter(schema) as never, { durable: true, arg: 'a' } as never),
  ])
  const s = await simulated({ app })
  const ref = () => s.system.to<Messages>('counter' as never)
  expect(await s.during(call(ref(), 'add', { by: '5' }))).toBe(5)
  expect(await s.during(codeOf(call(ref(), 'add', { by: 5 } as never)))).toBe('INVALID_ARGUMENT')
  await s.kill()
  await s.start()
  expect(await s.during(call(ref(), 'add', { by: '1' }))).toBe(6)
  expect(parsed).toEqual(['5', '1'])
})

test('a durable machine stores the event that the schema makes, also one that waits, over a kill', async () => {
  type Event = { type: 'pay'; cents: number } | { type: 'open' }
  const till = setup({ types: {} as { context: { sum: number }; events: Event } }).createMachine({
    id: 'till',
    context: { sum: 0 },
    initial: 'shut',
    states: {
      shut: { on: { open: 'opened' } },
      opened: {
        on: {
          pay: { actions: assign({ sum: ({ context, event }) => context.sum + event.cents }) },
        },
      },
    },
  })
  const parsed: string[] = []
  const tree = (times: number) => {
    const cents = z.string().transform((given) => {
      parsed.push(given)
      return times * Number(given)
    })
    const events = z.discriminatedUnion('type', [
      z.object({ type: z.literal('pay'), cents }),
      z.object({ type: z.literal('open') }),
    ])
    const answers = { pay: ({ context }: { context: { sum: number } }) => context.sum }
    const server = StateMachine.durable(till, { events, postpone: { shut: ['pay'] }, answers })
    const kind = entity('till', server)
    return { kind, app: supervisor('app', {}, [kind]) }
  }
  const { kind, app } = tree(1)
  const s = await simulated({ app })
  const ref = () => s.app.entity(kind).ref('a')
  StateMachine.send(ref(), { type: 'pay', cents: '5' })
  await s.advance(1_000)
  const refused = codeOf(StateMachine.call(ref(), { type: 'pay', cents: 5 } as never))
  expect(await s.during(refused)).toBe('INVALID_ARGUMENT')
  await s.kill()
  await s.start({ app: tree(1_000).app })
  StateMachine.send(ref(), { type: 'open' })
  expect(await s.during(StateMachine.call(ref(), { type: 'pay', cents: '1' }))).toBe(1_005)
  expect(parsed).toEqual(['5', '1'])
})
