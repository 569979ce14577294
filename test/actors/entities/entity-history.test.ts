/** The past of a durable actor, as `history` and `diff` of its kind show it. */
import { describe, expect, test } from 'vitest'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  name,
  noReply,
  type PastOptions,
  type PastTurn,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly status: string; readonly total: number; readonly cardNumber?: string }
type Messages = {
  calls: {
    add: (amount: number) => void
    pay: (card: string) => void
    remind: (inMs: number) => void
  }
  continues: { charge: () => void }
  alarms: { remind: () => void }
}

/** How often the bank refuses. */
const order = (refusals: number): DurableServer<Messages, State> => {
  let tries = 0
  return {
    retry: { baseMs: 100, jitter: 0 },
    init: () => ({ status: 'new', total: 0 }),
    calls: {
      add: (state, amount) => reply(undefined, { ...state, total: state.total + amount }),
      pay: (state, card) =>
        reply(
          undefined,
          { ...state, status: 'paying', cardNumber: card },
          { continue: ['charge'] },
        ),
      remind: (state, inMs, context) => {
        context.setAlarm('remind', { inMs })
        return reply(undefined, { ...state })
      },
    },
    continues: {
      charge: (state) => {
        if (tries++ < refusals) throw new Error('the bank is closed')
        return noReply({ ...state, status: 'paid' })
      },
    },
    alarms: { remind: (state) => noReply({ ...state, status: 'reminded' }) },
  }
}

const world = async (refusals = 0, options: SimulatedOptions = {}) => {
  const s = await simulated({
    app: supervisor('app', {}, [entity('order', order(refusals))]),
    ...options,
  })
  const kind = s.app.entity<Messages, State>('order')
  return {
    s,
    kind,
    add: (amount: number, id = '17') => s.during(call(kind.ref(id), 'add', amount)),
    pay: (card: string) => s.during(call(kind.ref('17'), 'pay', card)),
    past: (of?: PastOptions) => s.during(kind.history('17', of)),
  }
}

const totals = (turns: readonly PastTurn<State>[]): readonly unknown[] =>
  turns.map(({ state }) => state?.total)

describe('the cause of a turn', () => {
  test('has the process that called, and the id of the call', async () => {
    const { s, kind, past } = await world()
    const caller: GenServer<{ calls: { ask: (id: string) => void } }, undefined> = {
      init: () => undefined,
      calls: {
        ask: async (state, id, context) => {
          await call(context.to(kind.ref('17')), 'add', 1, { id })
          return reply(undefined, state)
        },
      },
    }
    const clerk = await s.during(s.app.system.start(caller, undefined, { name: name('clerk') }))
    await s.during(call(clerk, 'ask', 'request-7'))

    const [turn] = (await past()).turns

    expect(turn?.cause).toEqual({
      kind: 'call',
      name: 'request-7',
      message: 'call add',
      by: 'clerk',
    })
  })
})

describe('history', () => {
  test('has the turns of one entity, the newest first, with state, changed paths and cause', {
    tags: ['O11'],
  }, async () => {
    const { add, past } = await world()
    await add(1)
    await add(9, '18')
    await add(2)

    const { turns, isCut, cursor } = await past()

    expect(totals(turns)).toEqual([3, 1])
    expect(turns.map(({ changed }) => changed)).toEqual([['total'], ['']])
    expect(turns.map(({ cause }) => cause)).toEqual([
      { kind: 'call', message: 'call add' },
      { kind: 'birth', message: 'call add' },
    ])
    expect(turns.map(({ seq }) => seq)).toEqual([2, 1])
    expect({ isCut, cursor }).toEqual({ isCut: false, cursor: undefined })
  })

  test('shows the tries of a step with their error, and the step as the cause', async () => {
    const { s, pay, past } = await world(1)
    await pay('4242 4242')
    await s.advance(500)

    const { turns } = await past()

    expect(turns.map(({ cause }) => cause)).toEqual([
      { kind: 'step', name: 'charge', message: 'continue charge' },
      {
        kind: 'step',
        name: 'charge',
        error: {
          ...{ name: 'Error', message: 'the bank is closed' },
          stack: expect.stringContaining('entity-history.test.ts'),
        },
        message: 'continue charge',
      },
      { kind: 'birth', message: 'call pay' },
    ])
    expect(turns.map(({ steps }) => steps.map(({ name, tries }) => [name, tries]))).toEqual([
      [],
      [['charge', 1]],
      [['charge', 0]],
    ])
    expect(turns[1]?.steps[0]?.error?.message).toBe('the bank is closed')
    expect(turns[0]?.changed).toEqual(['status'])
  })

  test('shows alarms that are set and that fire', async () => {
    const { s, kind, past } = await world()
    await s.during(call(kind.ref('17'), 'remind', 50))
    await s.advance(500)

    const { turns } = await past()

    expect(turns.map(({ cause }) => cause)).toEqual([
      { kind: 'alarm', name: 'remind', message: 'alarm remind' },
      { kind: 'birth', message: 'call remind' },
    ])
    expect(turns[0]?.alarms).toEqual([{ name: 'remind' }])
    expect(turns[1]?.alarms).toMatchObject([{ name: 'remind', tries: 0 }])
  })

  test('goes on before an end, and shows the past of an entity that is gone', async () => {
    const { s, kind, add, past } = await world()
    await add(1)
    await s.during(kind.delete('17'))
    expect(totals((await past()).turns)).toEqual([undefined, 1])
    await add(2)

    const { turns } = await past()

    expect(totals(turns)).toEqual([2, undefined, 1])
    expect(turns.map(({ cause }) => cause)).toEqual([
      { kind: 'birth', message: 'call add' },
      { kind: 'end', message: 'delete' },
      { kind: 'birth', message: 'call add' },
    ])
  })

  test('is the same in pages of any size, over ends and births, and no page comes after the oldest turn', async () => {
    const { s, kind, add, past } = await world()
    for (let life = 0; life < 2; life++) {
      await add(1)
      await add(2)
      await s.during(kind.delete('17'))
    }
    const whole = await past()
    expect(totals(whole.turns)).toEqual([undefined, 3, 1, undefined, 3, 1])

    for (const limit of [1, 4, 6]) {
      const pages: (readonly PastTurn<State>[])[] = []
      let before: string | undefined
      do {
        const page = await past({ limit, ...(before && { before }) })
        pages.push(page.turns)
        before = page.cursor
      } while (before)
      expect(pages.flat()).toEqual(whole.turns)
      expect(pages).toHaveLength(Math.ceil(6 / limit))
    }
  })

  test('comes in pages, and as of an LSN', async () => {
    const { add, past } = await world()
    for (let count = 0; count < 5; count++) await add(1)
    const { turns } = await past()

    const pages: unknown[] = []
    let before: string | undefined
    do {
      const page = await past({ limit: 2, ...(before && { before }) })
      pages.push(totals(page.turns))
      before = page.cursor
    } while (before)
    expect(pages).toEqual([[5, 4], [3, 2], [1]])
    const atLsn = turns[3]?.lsn as number
    expect(totals((await past({ atLsn })).turns)).toEqual([2, 1])
    await expect(past({ before: 'x' })).rejects.toMatchObject({ code: 'BAD_CURSOR' })
    await expect(past({ limit: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(past({ atLsn: -1 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('hides what may not be shown, unless it is to reveal it', async () => {
    const { pay, past } = await world()
    await pay('4242 4242')

    expect(JSON.stringify(await past())).not.toContain('4242')
    expect((await past({ reveal: true })).turns.at(-1)?.state?.cardNumber).toBe('4242 4242')
  })

  test('says where the log begins, when a snapshot has given back what was before', async () => {
    const { s, add, past } = await world()
    await add(1)
    await released(s)
    await add(2)
    await s.during(s.app.control.flushAll())

    const { turns, isCut, firstLsn } = await past()

    expect(firstLsn).toBeGreaterThan(1)
    expect({ isCut, totals: totals(turns) }).toEqual({ isCut: true, totals: [3] })
    expect(turns[0]?.changed).toBeUndefined()
  })

  test('has no turn for what was given back, and says so: as of an LSN, by a cursor and in a difference', async () => {
    const { s, kind, add, past } = await world()
    for (let count = 0; count < 4; count++) await add(1)
    const page = await past({ limit: 2 })
    const given = page.turns[1]?.lsn as number
    await released(s)
    await add(1)

    const none = { turns: [], isCut: true, firstLsn: expect.any(Number) }
    expect(await past({ atLsn: given })).toEqual(none)
    expect(await past({ before: page.cursor as string })).toEqual(none)
    const { firstLsn } = await past()
    await expect(s.during(kind.diff('17', given, 1_000_000))).rejects.toMatchObject({
      code: 'BAD_CURSOR',
      details: { lsn: given, firstLsn },
    })
    // Its turn is older: which state it had when the log begins is not known.
    expect(await past({ atLsn: firstLsn })).toEqual(none)
    expect((await past({ atLsn: 1_000_000 })).turns.map(({ state }) => state?.total)).toEqual([5])
  })
})

/** Writes until a snapshot gives the log back up to here. */
const released = async (s: Awaited<ReturnType<typeof simulated>>): Promise<void> => {
  const filler = 'x'.repeat(60_000)
  for (let count = 0; count < 12; count++) await s.during(s.app.store.put(`${count}`, filler))
  await s.during(s.app.control.flushAll())
  await s.during(s.app.control.snapshotAll())
}

describe('diff', () => {
  test('has the members that differ between two LSNs, with both values', async () => {
    const { s, kind, add, pay, past } = await world()
    await add(1)
    await pay('4242 4242')
    await s.advance(100)
    const { turns } = await past()
    const lsns = turns.map(({ lsn }) => lsn)

    const changes = await s.during(kind.diff('17', lsns.at(-1) as number, lsns[0] as number))

    expect(changes).toEqual([
      { path: 'status', before: 'new', after: 'paid' },
      { path: 'cardNumber', after: '[hidden string of 9]' },
    ])
  })

  test('needs two LSNs', async () => {
    const { kind, add } = await world()
    await add(1)

    for (const bad of [undefined, 0, -1, 1.5, Number.NaN, '5'])
      for (const lsns of [
        [bad, 1],
        [1, bad],
      ] as [number, number][])
        await expect(kind.diff('17', ...lsns)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
