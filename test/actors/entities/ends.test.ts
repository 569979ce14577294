/** The end of an entity: kept for a while, then removed with everything that is its own. */

import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { newestRows } from '../../../src/actors/core/read-view.ts'
import {
  call,
  cast,
  type DurableServer,
  type EndOptions,
  entity,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { entityOf } from '../../../src/storage/index.ts'
import { rowClassOf } from '../../../src/storage/values/row-key.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly count: number; readonly ran: readonly string[] }
type Messages = {
  calls: {
    add: (by: number) => number
    look: () => number
    write: (keys: readonly string[]) => void
    keep: (key: string) => void
    record: (inMs: number) => void
    end: (options: EndOptions | undefined) => number
    endWith: (what: 'step' | 'alarm') => void
    endTwice: () => void
  }
  casts: { add: (by: number) => void }
  continues: { work: () => void }
  alarms: { ring: () => void }
}

const server: DurableServer<Messages, State, { count: number }> = {
  init: () => ok({ count: 0, ran: [] }),
  calls: {
    add: (state, by) => reply(state.count + by, { ...state, count: state.count + by }),
    look: (state) => reply(state.count, state),
    write: (state, keys, context) => {
      for (const key of keys) context.writes.put(key, 'x')
      return reply(undefined, state)
    },
    keep: (state, key, context) => {
      context.rows.put(key, 'x')
      return reply(undefined, state)
    },
    record: (state, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, state, { continue: ['work'] })
    },
    end: (state, options, context) => {
      context.end(options)
      return reply(state.count, { ...state, count: state.count + 1 })
    },
    endWith: (state, what, context) => {
      context.end({ keepMs: 1_000 })
      if (what === 'alarm') context.setAlarm('ring', { inMs: 1 })
      else context.addContinue('work')
      return reply(undefined, state)
    },
    endTwice: (state, _, context) => {
      context.end({ keepMs: 1 })
      context.end({ keepMs: 5_000 })
      return reply(undefined, state)
    },
  },
  casts: { add: (state, by) => noReply({ ...state, count: state.count + by }) },
  continues: {
    work: (state) => {
      if (state.count < 100) throw new Error('not yet')
      return noReply({ ...state, ran: [...state.ran, 'work'] })
    },
  },
  alarms: { ring: (state) => noReply({ ...state, ran: [...state.ran, 'ring'] }) },
  index: ({ count }) => ({ count }),
}

const kind = entity('thing', server, { idleMs: 1_000 })
const noting = entity('noting', server, { keys: true })
const keeping = entity('keeping', server, { keepMs: 60_000 })
const final = { isFinal: ({ count }: State) => count > 0 }
const closing = entity('closing', { ...server, ...final }, { keys: true, keepMs: 0 })
const tree = supervisor('app', {}, [
  kind,
  noting,
  closing,
  keeping,
  worker('lone', server, { durable: true }),
])

const started = async (of: typeof kind = kind) => {
  const s = await simulated({ app: tree })
  const things = () => s.app.entity(of)
  const ask = <N extends keyof Messages['calls']>(
    name: N,
    payload: Parameters<Messages['calls'][N]>[0],
    id = '1',
  ) => s.during(call(things().ref(id), name, payload as never) as Promise<unknown>)
  return { s, things, ask }
}

/** Rows that an entity keeps itself are removed later, in pieces. */
const isRowOf = (key: string): boolean =>
  entityOf(key) !== undefined && !['own', 'removal'].includes(rowClassOf(key) ?? '')

/** The rows of entities, whatever their class. */
const rowsOf = (s: Simulation): readonly string[] =>
  s.app.shards.flatMap((shard) => {
    const { layers } = shard.view()
    return [...newestRows(layers.overlay, layers.projection, { gt: '\0', lt: '\x01' })].flatMap(
      ([key, row]) => (row && isRowOf(key) ? [key] : []),
    )
  })

describe('an entity that has ended', () => {
  test('answers until its time is over, and is then removed with all its rows', async () => {
    const { s, things, ask } = await started()
    await ask('add', 5)
    await s.during(call(things().ref('1'), 'add', 1, { id: 'once' }))
    await ask('keep', 'row')
    const at = s.clock.now()
    expect(await ask('end', { keepMs: 60_000 })).toBe(6)
    const endsAt = things().endsAt('1') ?? 0
    expect(endsAt).toBeGreaterThanOrEqual(at + 60_000)
    expect(endsAt).toBeLessThan(at + 60_100)
    expect(things().list().entries).toEqual([{ id: '1', state: { count: 7, ran: [] }, endsAt }])
    expect(await s.during(things().alarms())).toEqual([])

    await s.advance(endsAt - s.clock.now() - 10)
    expect(await ask('look', undefined)).toBe(7)
    expect(await s.during(call(things().ref('1'), 'add', 1, { id: 'once' }))).toBe(6)
    expect(things().state('1')).toEqual({ count: 7, ran: [] })

    await s.advance(100)
    expect(things().state('1')).toBeUndefined()
    expect(things().endsAt('1')).toBeUndefined()
    expect(things().list().entries).toEqual([])
    expect(s.app.entities.kind('thing')?.live).toBe(0)
    await s.advance(10_000)
    expect(rowsOf(s)).toEqual([])
  })

  test('begins a new life under its id', async () => {
    const { s, things, ask } = await started()
    await ask('add', 5)
    await ask('end', { keepMs: 0 })
    await s.advance(100)
    expect(things().state('1')).toBeUndefined()
    expect(await ask('add', 1)).toBe(1)
    expect(things().endsAt('1')).toBeUndefined()
  })

  test('refuses every change with CONFLICT, and says when it ends', async () => {
    const { s, things, ask } = await started()
    await ask('add', 5)
    await ask('end', { keepMs: 60_000 })
    const endsAt = things().endsAt('1')
    const details = { entity: 'thing/1', reason: 'ended', endsAt }
    for (const [name, payload] of [
      ['add', 1],
      ['write', ['{thing/1}:a']],
      ['keep', 'row'],
      ['record', 1],
      ['end', { keepMs: 1 }],
    ] as const)
      await expect(ask(name, payload as never), name).rejects.toMatchObject({
        code: 'CONFLICT',
        details,
      })
    cast(things().ref('1'), 'add', 1)
    await s.settle()
    await s.advance(20)
    expect(s.log.lines.filter(({ message }) => message.includes('has ended'))).toHaveLength(1)
    expect(things().state('1')).toEqual({ count: 6, ran: [] })
    expect(s.app.store.get('{thing/1}:a')).toBeUndefined()
  })

  test('runs no step and no alarm that it had', async () => {
    const { s, things, ask } = await started()
    await ask('record', 2_000)
    await s.settle()
    await ask('end', { keepMs: 60_000 })
    await s.advance(30_000)
    expect(things().state('1')).toEqual({ count: 1, ran: [] })
    expect(s.app.health().actors.failing.count).toBe(0)
  })

  test('may not record what would run after its end', async () => {
    const { things, ask } = await started()
    for (const what of ['step', 'alarm'] as const)
      await expect(ask('endWith', what)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(things().state('1')).toBeUndefined()
  })

  test('is removed at the time that was said last, over rests, restarts and power cuts', async () => {
    const { s, things, ask } = await started()
    await ask('endTwice', undefined)
    await s.advance(2_000)
    expect(things().endsAt('1')).toBeDefined()
    await s.powerCut()
    await s.start()
    expect(things().endsAt('1')).toBeDefined()
    await s.close()
    await s.advance(60_000)
    await s.start()
    await s.advance(1_000)
    expect(things().state('1')).toBeUndefined()
    expect(rowsOf(s)).toEqual([])
  })

  test('is kept for as long as it says, and else for as long as its kind says', async () => {
    const { s, things, ask } = await started(keeping)
    const at = s.clock.now()
    const leftOf = (id: string) => Math.round(((things().endsAt(id) ?? 0) - at) / 1_000)
    await ask('end', undefined, 'by kind')
    await ask('end', { keepMs: 5_000 }, 'for 5 s')
    await ask('end', { keepMs: 0 }, 'at once')
    expect([leftOf('by kind'), leftOf('for 5 s')]).toEqual([60, 5])
    await s.advance(1_000)
    expect(things().state('at once')).toBeUndefined()
    await s.advance(10_000)
    expect(things().state('for 5 s')).toBeUndefined()
    expect(things().state('by kind')).toBeDefined()
  })

  test('can be deleted before', async () => {
    const { s, things, ask } = await started()
    await ask('end', { keepMs: 60_000 })
    expect(await s.during(things().delete('1'))).toBe(true)
    expect(rowsOf(s)).toEqual([])
    expect(await ask('add', 3)).toBe(3)
    await s.advance(120_000)
    expect(things().state('1')).toEqual({ count: 3, ran: [] })
  })

  test.each([
    [{ keepMs: -1 }],
    [{ keepMs: Number.NaN }],
    [{ keepMs: '1' }],
    [{ keys: 1 }],
    // Its kind notes no keys.
    [{ keys: true }],
    [{ nonsense: 1 }],
  ])('is not made by %j', async (options) => {
    const { things, ask } = await started()
    const reason = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
    await expect(ask('end', options as never)).rejects.toMatchObject({ details: { reason } })
    expect(things().state('1')).toBeUndefined()
  })

  test('is no durable worker', async () => {
    const { s } = await started()
    const lone = s.app.system.whereis('lone' as never)
    expect(await codeOf(s.during(call(lone as never, 'end' as never, {} as never)))).toBe('EXITED')
  })
})

describe('the keys of an entity that has ended', () => {
  const many = Array.from({ length: 1_200 }, (_, at) => `{noting/1}:${at}`)

  test('go with it if its end says so, whatever their number', async () => {
    const { s, things, ask } = await started(noting)
    await ask('write', many)
    await ask('write', ['other:{noting/1}', many[0] ?? ''])
    await s.during(s.app.store.put('{noting/1}:mine', 1))
    await ask('end', { keepMs: 1_000, keys: true })
    expect(s.app.store.get(many[7] ?? '')).toBe('x')
    await s.advance(2_000)
    expect(things().state('1')).toBeUndefined()
    expect(s.app.store.range({ prefix: '{noting/1}' }).entries.map(([key]) => key)).toEqual([
      '{noting/1}:mine',
    ])
    expect(s.app.store.get('other:{noting/1}')).toBeUndefined()
    expect(rowsOf(s)).toEqual([])
  })

  test.each([{ keepMs: 0 }, { keepMs: 0, keys: false }])('stay after %j', async (options) => {
    const { s, things, ask } = await started(noting)
    await ask('write', many.slice(0, 3))
    await ask('end', options)
    await s.advance(1_000)
    expect(things().state('1')).toBeUndefined()
    expect(s.app.store.get(many[2] ?? '')).toBe('x')
    expect(rowsOf(s)).toEqual([])
  })

  test('stay if it ends by itself in a final state', async () => {
    const { s, things, ask } = await started(closing)
    await ask('write', ['{closing/1}:receipt'])
    await ask('add', 1)
    await s.advance(1_000)
    expect(things().state('1')).toBeUndefined()
    expect(s.app.store.get('{closing/1}:receipt')).toBe('x')
    expect(rowsOf(s)).toEqual([])
  })

  test('hold its end up while another owner has locked one of them', async () => {
    const { s, things, ask } = await started(noting)
    await ask('write', many.slice(0, 3))
    const lock = s.app.store.lock([many[1] ?? ''], { owner: 'other', leaseMs: 30_000 })
    await s.during(lock)
    await ask('end', { keepMs: 0, keys: true })
    await s.advance(20_000)
    expect(things().state('1')).toEqual({ count: 1, ran: [] })
    expect(s.app.health().actors.overdue.first).toMatchObject([{ what: 'its end' }])
    await s.advance(15_000)
    expect(things().state('1')).toBeUndefined()
    expect(s.app.store.range({ prefix: '{noting/1}' }).entries).toEqual([])
  })

  test('are all that a delete removes whose entity is killed while it removes them', async () => {
    const { s, things, ask } = await started(noting)
    await ask('add', 1)
    await ask('write', many.slice(0, 3))
    s.syncMs = 50
    const deleted = codeOf(things().delete('1', { keys: true }))
    await s.advance(20)
    s.system.kill(s.app.entities.holder('noting/1')?.address as never)
    await s.advance(1_000)
    expect(await deleted).toBe('EXITED')
    expect(things().state('1')).toEqual({ count: 1, ran: [] })
    expect(s.app.store.has(many[0] ?? '')).toBe(false)
  })

  test('may stay in part, if the shard of their delete goes down: the delete is SHARD_DOWN', async () => {
    const { s, things, ask } = await started(noting)
    await ask('write', many.slice(0, 3))
    s.syncMs = 5
    failNextSync(s.disk)
    const timeoutMs = Number.POSITIVE_INFINITY
    const deleted = codeOf(things().delete('1', { keys: true, timeoutMs }))
    await s.advance(100)
    await s.during(s.app.control.reopen(0))
    // It says so when the turn that removes keys is decided, as each call of a turn does.
    expect(await s.during(deleted)).toBe('SHARD_DOWN')
    expect(await s.during(things().delete('1', { keys: true }))).toBe(true)
    expect([rowsOf(s), s.app.store.has(many[0] ?? '')]).toEqual([[], false])
  })

  test('stay with an entity that is blocked: a delete with keys is BLOCKED, one without is not', async () => {
    const { s, ask } = await started(noting)
    await ask('write', many.slice(0, 2))
    await s.close()
    const newer = entity('noting', { ...server, version: 2 }, { keys: true })
    await s.start({ app: supervisor('app', {}, [newer]) })
    const handle = s.app.entity(newer)

    expect(await s.during(codeOf(handle.delete('1', { keys: true })))).toBe('BLOCKED')
    expect(s.app.store.get(many[1] ?? '')).toBe('x')
    expect(await s.during(handle.delete('1'))).toBe(true)
    expect([rowsOf(s), s.app.store.get(many[1] ?? '')]).toEqual([[], 'x'])
  })

  test('are forgotten together with the rows by a delete that leaves them', async () => {
    const { s, things, ask } = await started(noting)
    await ask('write', many.slice(0, 3))
    s.syncMs = 50
    const deleted = codeOf(things().delete('1'))
    await s.advance(20)
    s.system.kill(s.app.entities.holder('noting/1')?.address as never)
    await s.advance(1_000)
    expect([await deleted, things().state('1')]).toEqual(['ok', undefined])
    expect(rowsOf(s)).toEqual([])
    expect(s.app.store.get(many[0] ?? '')).toBe('x')
  })

  test('go by delete with keys, too', async () => {
    const { s, things, ask } = await started(noting)
    await ask('write', many)
    expect(await s.during(things().delete('1', { keys: true }))).toBe(true)
    expect(s.app.store.range({ prefix: '{noting/1}' }).entries).toEqual([])
    expect(rowsOf(s)).toEqual([])
    await ask('write', many.slice(0, 2), '2')
    expect(await s.during(things().delete('2'))).toBe(true)
    expect(s.app.store.get(many[1] ?? '')).toBe('x')
    expect(rowsOf(s)).toEqual([])
  })
})

describe('a machine in its final state', () => {
  let mails: string[] = []
  let isAway = false
  const machine = setup({
    types: {} as { events: { type: 'pay' } },
    actions: {
      mail: () => {
        if (isAway) throw new Error('the mail is away')
        mails.push('mail')
      },
    },
  }).createMachine({
    id: 'order',
    initial: 'open',
    states: {
      open: { on: { pay: 'paid' }, after: { 60000: 'paid' } },
      paid: { type: 'final', entry: 'mail' },
    },
  })
  const orders = entity('order', StateMachine.durable(machine), { keepMs: 5_000 })
  const kept = entity('kept', StateMachine.durable(machine))

  test('ends its entity when its actions are done, if its kind says how long it is kept', async () => {
    mails = []
    isAway = true
    const s = await simulated({ app: supervisor('app', {}, [orders, kept]) })
    for (const of of [orders, kept])
      StateMachine.send(s.app.entity(of).ref('1') as never, { type: 'pay' } as never)
    await s.advance(500)
    // The mail is tried again.
    expect(s.app.entity(orders).endsAt('1')).toBeUndefined()
    isAway = false
    await s.advance(1_500)
    expect(mails).toEqual(['mail', 'mail'])
    expect(s.app.entity(orders).endsAt('1')).toBeDefined()
    expect(s.app.entity(orders).state('1')).toMatchObject({ value: 'paid' })
    await s.advance(120_000)
    expect(s.app.entity(orders).state('1')).toBeUndefined()
    expect(s.app.entity(kept).state('1')).toMatchObject({ value: 'paid' })
  })
})
