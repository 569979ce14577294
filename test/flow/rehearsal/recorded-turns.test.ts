/** Recorded turns, run again by another build, and compared with what the log has of them. */
import { describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import {
  type AppTree,
  call,
  cast,
  type DurableServer,
  type EntityOptions,
  entity,
  noReply,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Order = { readonly items: readonly string[]; readonly total: number; readonly paidAt?: number }
type OrderMessages = {
  calls: {
    add: (item: { readonly name: string; readonly price: number }) => number
    pay: () => number
    note: (text: string) => void
  }
  casts: { clear: () => void }
  continues: { mail: (to: string) => void }
  alarms: { unpaid: () => void }
}
type OrderServer = DurableServer<OrderMessages, Order, { paid: boolean }>
type Calls = OrderServer['calls']

/** What steps have done. */
const effects: string[] = []

const orderServer = (changes: Partial<Calls> = {}, more: Partial<OrderServer> = {}): OrderServer =>
  ({
    init: () => ({ items: [], total: 0 }),
    index: ({ paidAt }) => ({ paid: paidAt !== undefined }),
    calls: {
      add: (state, { name, price }, context) => {
        if (state.total === 0) context.setAlarm('unpaid', { inMs: 3_600_000 })
        context.writes.put(`{order/${context.id}}last`, name)
        const total = state.total + price
        return reply(total, { ...state, items: [...state.items, name], total })
      },
      pay: (state, _, context) => {
        context.cancelAlarm('unpaid')
        context.addContinue('mail', 'anna')
        const to = context.app.entity<LedgerMessages>('ledger').ref('1')
        context.cast(to, 'book', state.total)
        return reply(state.total, { ...state, paidAt: context.now() })
      },
      note: (state, text, context) => {
        const notes = (context.rows.get<number>('notes') ?? 0) + 1
        context.rows.put('notes', notes)
        context.rows.put(`note-${notes}`, text)
        context.journal({
          id: `${context.id}-${notes}`,
          type: 'noted',
          command: { text },
          response: null,
        } as never)
        return reply(undefined, state)
      },
      ...changes,
    },
    casts: { clear: (state) => noReply({ ...state, items: [], total: 0 }) },
    continues: {
      mail: (state, to) => {
        effects.push(to)
        return noReply(state)
      },
    },
    alarms: { unpaid: (state) => noReply(state) },
    ...more,
  }) as OrderServer

type LedgerMessages = { casts: { book: (total: number) => void } }
const ledger: DurableServer<LedgerMessages, number> = {
  init: () => 0,
  casts: { book: (sum, total) => noReply(sum + total) },
}

const light = (may: () => boolean) => {
  const machine = setup({
    types: {} as { events: { type: 'go' }; context: { times: number } },
    guards: { may },
  }).createMachine({
    id: 'light',
    context: { times: 0 },
    initial: 'off',
    states: {
      off: {
        on: {
          go: {
            target: 'red',
            guard: 'may',
            actions: assign({ times: ({ context }) => context.times + 1 }),
          },
        },
      },
      red: {},
    },
  })
  return StateMachine.durable(
    machine as never,
    { version: 1, answers: { go: ({ value }: { value: unknown }) => value } } as never,
  ) as never
}

const record: EntityOptions['record'] = { inputs: true }

const program = (
  order = orderServer(),
  options: EntityOptions = { record },
  may = (): boolean => true,
): AppTree =>
  supervisor('app', {}, [
    entity('order', order, options),
    entity('ledger', ledger),
    entity('light', light(may), { record }),
  ])

/** An instance with turns of each sort. */
const written = async (app = program()) => {
  const s = await simulated({ app })
  const order = s.app.entity<OrderMessages>('order').ref('17')
  await s.during(call(order, 'add', { name: 'book', price: 12 }))
  await s.advance(1_500)
  await s.during(call(order, 'add', { name: 'pen', price: 2 }))
  await s.during(call(order, 'note', 'a gift'))
  await s.during(call(order, 'note', 'in blue'))
  await s.during(call(order, 'pay'))
  cast(order, 'clear')
  await s.during(
    StateMachine.call(s.app.entity('light').ref('1') as never, { type: 'go' } as never),
  )
  await s.advance(1_000)
  effects.length = 0
  return s
}

const found = async (s: Awaited<ReturnType<typeof written>>, app: AppTree) => {
  const report = await s.during(rehearse({ from: s.app, app }))
  expect(effects).toEqual([])
  return report
}

test('the same build handles each recorded turn as the log says', { tags: ['RE3'] }, async () => {
  const s = await written()
  const { findings, counts } = await found(s, program())

  expect(findings).toEqual([])
  expect(counts.turns).toBe(7)
})

const changes: Readonly<Record<string, readonly [app: AppTree, reason: RegExp]>> = {
  "a guard's code": [
    program(orderServer(), { record }, () => false),
    /^call event \{"type":"go"\} of lsn \d+: its state at value, its answer$/,
  ],
  'a state': [
    program(
      orderServer({
        pay: (state, _, context) => reply(state.total, { ...state, paidAt: 7 * context.now() }),
      }),
    ),
    /^call pay of lsn \d+: its state at paidAt, its steps, its alarms, its messages$/,
  ],
  'an answer': [
    program(orderServer({ note: (state) => reply('noted' as never, state) })),
    /^call note "a gift" of lsn \d+: its entries, its rows, its answer$/,
  ],
  'a write and the time of an alarm': [
    program(
      orderServer({
        add: (state, { name, price }, context) => {
          if (state.total === 0) context.setAlarm('unpaid', { inMs: 7_200_000 })
          const total = state.total + price
          return reply(total, { ...state, items: [...state.items, name], total })
        },
      }),
    ),
    /^call add \{"name":"book","price":12\} of lsn \d+: its alarms, its writes$/,
  ],
  'a throw': [
    program(
      orderServer({
        add: () => {
          throw new Error('no more')
        },
      }),
    ),
    /it throws Error: no more$/,
  ],
}

describe.each(Object.entries(changes))('%s that changes', (_, [app, reason]) => {
  test('is found by the turns that were recorded', { tags: ['RE4'] }, async () => {
    const { findings } = await found(await written(), app)

    const [first, ...others] = findings.filter(({ level }) => level === 'acts')
    expect(first).toMatchObject({ what: 'a recorded turn differs' })
    expect(first?.examples[0]?.reason).toMatch(reason)
    expect(others).toEqual([])
  })
})

test('a difference makes no others: later turns begin on the state that the log has', async () => {
  const s = await written()
  const dearer = orderServer({
    add: (state, { name, price }, context) => {
      if (state.total === 0) context.setAlarm('unpaid', { inMs: 3_600_000 })
      context.writes.put(`{order/${context.id}}last`, name)
      const total = state.total + (price > 10 ? price + 1 : price)
      return reply(total, { ...state, items: [...state.items, name], total })
    },
  })
  const { findings } = await found(s, program(dearer))

  expect(findings).toMatchObject([{ what: 'a recorded turn differs', count: 1 }])
})

test('a state of another version: the migrated state is compared with the turn on the migrated one', async () => {
  const s = await written()
  const cents = (calls: Partial<Calls>) =>
    program(
      orderServer(calls, {
        version: 2,
        migrate: (state) => {
          const { total, ...others } = state as Order
          return { ...others, total: 100 * total }
        },
      }),
    )
  const add =
    (factor: number): Calls['add'] =>
    (state, { name, price }, context) => {
      if (state.total === 0) context.setAlarm('unpaid', { inMs: 3_600_000 })
      context.writes.put(`{order/${context.id}}last`, name)
      const total = state.total + factor * price
      return reply(total / 100, { ...state, items: [...state.items, name], total })
    }
  const pay: Calls['pay'] = (state, _, context) => {
    context.cancelAlarm('unpaid')
    context.addContinue('mail', 'anna')
    const to = context.app.entity<LedgerMessages>('ledger').ref('1')
    context.cast(to, 'book', state.total / 100)
    return reply(state.total / 100, { ...state, paidAt: context.now() })
  }

  expect((await found(s, cents({ add: add(100), pay }))).findings).toEqual([])
  const { findings } = await found(s, cents({ add: add(10), pay }))
  expect(findings).toMatchObject([{ count: 2, what: 'a recorded turn differs' }])
  expect(findings[0]?.examples[0]?.reason).toMatch(/its state at total, its answer$/)
})

test('a handler that draws, or reads the clock of the machine, is named with its place', async () => {
  const s = await written()
  const draws = orderServer({
    note: (state) => {
      const { items } = state
      return reply(undefined, { ...state, items: [...items, `${Math.random()}`] })
    },
    pay: (state) => reply(state.total, { ...state, paidAt: Date.now() }),
  })
  const { findings } = await found(s, program(draws))

  expect(findings).toMatchObject([{ level: 'notes', what: 'a turn is not repeatable', count: 3 }])
  expect(findings[0]?.examples.map(({ reason }) => reason)).toEqual([
    expect.stringMatching(/^call note: Math.random\(\) at .*recorded-turns.test.ts:\d+:\d+$/),
    expect.stringMatching(/^call pay: Date.now\(\) at .*recorded-turns.test.ts:\d+:\d+$/),
  ])
  expect(new Date(0) instanceof Date).toBe(true)
})

test('a handler that awaits, or looks outside of its turn, is not run again, and is counted', {
  tags: ['RE8'],
}, async () => {
  const s = await written()
  const outside = orderServer({
    note: async (state) => reply(undefined, { ...state, total: 1 }),
    pay: (state, _, context) => {
      context.app.store.get('rate')
      return reply(state.total, state)
    },
  })
  const { findings } = await found(s, program(outside))

  expect(findings).toMatchObject([
    { level: 'notes', what: 'a recorded turn was not run again', count: 3 },
  ])
  expect(findings[0]?.examples.map(({ reason }) => reason)).toEqual([
    'call note: its handler returns a promise',
    'call pay: it uses context.app.store',
  ])
  const awaits = await written(program(outside))
  const again = await found(awaits, program())
  expect(again.findings[0]?.examples.map(({ reason }) => reason)).toContain(
    'call note: its handler has returned a promise',
  )
})

test('a kind without `record` records nothing, and its turns are not run', async () => {
  const s = await written(program(orderServer(), {}))
  const { findings, counts } = await found(
    s,
    program(orderServer({ pay: (state) => reply(1, state) })),
  )

  expect([findings, counts.turns]).toEqual([[], 1])
})

test('a longer record has hashes: a long payload is not run, a long answer is compared', async () => {
  const repeats = (times: number) =>
    orderServer({
      note: (state, text, context) => {
        context.rows.put('a', 1)
        return reply(text.repeat(times) as never, state)
      },
    })
  const kept: EntityOptions = { record: { inputs: true, bytesMax: 300 } }
  const s = await written(program(repeats(100), kept))

  expect((await found(s, program(repeats(100), kept))).findings).toEqual([])
  const { findings } = await found(s, program(repeats(99), kept))
  expect(findings[0]?.examples[0]?.reason).toMatch(/its answer$/)
  const order = s.app.entity<OrderMessages>('order').ref('17')
  await s.during(call(order, 'add', { name: 'x'.repeat(400), price: 1 }))
  const later = await found(s, program(repeats(100), kept))
  expect(later.findings).toMatchObject([{ what: 'a recorded turn was not run again', count: 1 }])
  expect(later.findings[0]?.examples[0]?.reason).toBe(
    'call add: its payload is longer than `bytesMax`',
  )
})

test('an example shows a payload as the prompt does, or as `redact` says', async () => {
  const s = await written()
  const add: Calls['add'] = (state) => reply(0, state)
  const redact = (payload: unknown, name: string) =>
    name === 'add' ? { name: (payload as { readonly name: string }).name.length } : 'a text'
  const shown = async (options: EntityOptions) => {
    const { findings } = await found(s, program(orderServer({ add }), options))
    return findings[0]?.examples[0]?.reason.split(' of lsn')[0]
  }

  expect(await shown({ record })).toBe('call add {"name":"book","price":12}')
  expect(await shown({ record: { inputs: true, redact } })).toBe('call add {"name":4}')
})

test('recorded turns are there after a power cut and a restart, and the same build finds nothing', {
  tags: ['RE3'],
}, async () => {
  const s = await written()
  await s.powerCut()
  await s.start({ app: program() })
  const order = s.app.entity<OrderMessages>('order').ref('17')
  await s.during(call(order, 'note', 'after the cut'))
  await s.kill()
  await s.start({ app: program() })
  const { findings, counts } = await found(s, program())

  expect(findings).toEqual([])
  expect(counts.turns).toBe(8)
  const { findings: later } = await found(
    s,
    program(orderServer({ note: (state) => reply(undefined, state) })),
  )
  expect(later).toMatchObject([{ what: 'a recorded turn differs', count: 3 }])
})

test('a turn that was refused stays in the log: the next one runs on the state before it', async () => {
  const app = program(
    orderServer({
      note: (state, text, context) => {
        const entry = { id: 'one', type: 'noted', command: { text }, response: null }
        context.journal(entry as never)
        return reply(undefined, { ...state, items: [...state.items, text] })
      },
    }),
  )
  const s = await simulated({ app })
  const order = s.app.entity<OrderMessages>('order').ref('17')
  await s.during(call(order, 'note', 'a gift'))
  const refused = s.during(call(order, 'note', 'in blue'))
  await expect(refused).rejects.toMatchObject({ code: 'CONFLICT' })
  await s.during(call(order, 'add', { name: 'pen', price: 2 }))

  expect(s.app.entity('order').state('17')).toMatchObject({ items: ['a gift', 'pen'] })
  const { findings, counts } = await found(s, app)
  expect([findings, counts.turns]).toEqual([[], 3])
})
