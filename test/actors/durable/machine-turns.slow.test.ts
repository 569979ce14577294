/** State machines as durable actors, on the simulated machine. */

import { afterEach, describe, expect, test } from 'vitest'
import { assign, fromCallback, fromPromise, fromTransition, sendTo, setup } from 'xstate'
import { surveyEntity } from '../../../src/actors/index.ts'
import { entity, name, supervisor, worker } from '../../../src/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Event =
  | { readonly type: 'place'; readonly cents: number }
  | { readonly type: 'pay' }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'status' }

/** What the world has seen: a step and what was done for it. */
let seen: [step: string, what: string][] = []
let isBankOpen = true
let charging: (() => void) | undefined
let duringPlaced: (() => void) | undefined

const machine = setup({
  types: {} as {
    context: { cents: number; notes: readonly string[] }
    events: Event
    output: number
  },
  actors: {
    bank: fromPromise<string, number>(async ({ input, self }) => {
      seen.push([StateMachine.stepOf(self), `charge ${input}`])
      await new Promise<void>((resolve) => {
        charging = resolve
      })
      return 'charged'
    }),
  },
  actions: {
    told: ({ context, self }, what: string) => {
      if (!isBankOpen && what === 'placed') throw new Error('the printer is off')
      seen.push([StateMachine.stepOf(self), `${what} ${context.cents}`])
      if (what === 'placed') duringPlaced?.()
    },
  },
}).createMachine({
  id: 'order',
  context: { cents: 0, notes: [] },
  output: ({ context }) => context.cents,
  initial: 'new',
  states: {
    new: {
      entry: { type: 'told', params: 'begun' },
      on: {
        place: {
          target: 'placed',
          actions: [
            assign({ cents: ({ event }) => event.cents }),
            { type: 'told', params: 'placed' },
          ],
        },
      },
      after: { 5000: 'stale' },
    },
    stale: { on: { place: 'placed' } },
    placed: {
      on: {
        pay: 'paying',
        note: {
          actions: assign({ notes: ({ context, event }) => [...context.notes, event.text] }),
        },
      },
      after: { 60000: { target: 'cancelled', actions: { type: 'told', params: 'cancelled' } } },
    },
    paying: {
      invoke: {
        src: 'bank',
        input: ({ context }) => context.cents,
        onDone: { target: 'paid', actions: { type: 'told', params: 'paid' } },
      },
    },
    paid: { type: 'final' },
    cancelled: {},
  },
})

const server = StateMachine.durable(machine, {
  answers: { place: ({ value }) => value, status: ({ value }) => String(value) },
  postpone: { new: ['note'] },
  index: ({ value }) => ({ state: String(value) }),
})
const orders = entity('order', server, { idleMs: 1_000 })

afterEach(() => {
  seen = []
  isBankOpen = true
  duringPlaced = undefined
})

const started = async (part: Parameters<typeof supervisor>[2][number] = orders) => {
  const s = await simulated({ app: supervisor('app', {}, [part]) })
  const ref = () => s.app.entity(orders).ref('42')
  const status = () => s.during(StateMachine.call(ref(), { type: 'status' }))
  const place = (cents: number) => s.during(StateMachine.call(ref(), { type: 'place', cents }))
  const state = () => s.app.entity(orders).state('42')
  const crash = async () => {
    await s.powerCut()
    await s.start()
  }
  const told = () => seen.map(([, what]) => what)
  return { s, ref, status, place, state, crash, told }
}

describe('a machine as an entity', () => {
  test('begins with its first event, and a look leaves no row', async () => {
    const { s, ref, place, state, told } = await started()
    expect((await s.during(StateMachine.snapshot(ref()))).value).toBe('new')
    expect(state()).toBeUndefined()
    expect(told()).toEqual([])
    expect(await place(5)).toBe('placed')
    expect(state()).toMatchObject({ value: 'placed', context: { cents: 5 } })
    await s.advance(10)
    expect(told()).toEqual(['begun 0', 'placed 5'])
    expect(state()?.actions).toEqual([])
  })

  test('keeps its delayed transition over a crash and at rest, and is woken for it', async () => {
    const { s, place, state, crash, told } = await started()
    await place(5)
    await s.advance(20_000)
    await crash()
    await s.advance(39_900)
    expect(state()?.value).toBe('placed')
    await s.advance(200)
    expect(state()?.value).toBe('cancelled')
    expect(told()).toEqual(['begun 0', 'placed 5', 'cancelled 5'])
    expect(state()?.timers).toEqual([])
  })

  test('handles a postponed event in the turn that lets it return, also after a crash', async () => {
    const { s, ref, place, state, crash } = await started()
    StateMachine.send(ref(), { type: 'note', text: 'a gift' })
    await s.advance(10)
    expect(state()?.postponed).toHaveLength(1)
    await crash()
    await place(5)
    expect(state()).toMatchObject({
      value: 'placed',
      context: { notes: ['a gift'] },
      postponed: [],
    })
  })

  test('an action that throws is tried again, under its name, and the entity answers', async () => {
    const { s, place, status, told, crash, state } = await started()
    isBankOpen = false
    expect(await place(5)).toBe('placed')
    await s.advance(10)
    expect(told()).toEqual(['begun 0'])
    expect(state()?.actions).toMatchObject([{ name: 'told', params: 'placed' }])
    expect(await status()).toBe('placed')
    const step = state()?.actions[0]?.step
    await crash()
    expect(await status()).toBe('placed')
    expect(told()).toEqual(['begun 0'])
    isBankOpen = true
    await s.advance(5_000)
    expect(told()).toEqual(['begun 0', 'placed 5'])
    expect(seen[1]?.[0]).toBe(step)
  })

  test('actions that a crash overtook run again, under their names', async () => {
    const { s, ref, told } = await started()
    const cut = new Promise<void>((resolve) => {
      duringPlaced = () => resolve(s.powerCut())
    })
    StateMachine.send(ref(), { type: 'place', cents: 5 })
    await s.during(cut)
    duringPlaced = undefined
    await s.start()
    await s.advance(5_000)
    expect(told()).toEqual(['begun 0', 'placed 5', 'begun 0', 'placed 5'])
    expect(seen.slice(2)).toEqual(seen.slice(0, 2))
    expect(new Set(seen.map(([step]) => step)).size).toBe(2)
  })

  test('a machine of another shape, and the same version, is blocked and not touched', async () => {
    const { s, place, state } = await started()
    await place(5)
    await s.advance(10)
    const row = state()
    await s.close()
    const other = setup({}).createMachine({
      id: 'order',
      initial: 'placed',
      states: { placed: {} },
    })
    const changed = entity('order', StateMachine.durable(other))
    await s.start({ app: supervisor('app', {}, [changed]) })
    const look = StateMachine.snapshot(s.app.entity(changed).ref('42'))
    await expect(s.during(look)).rejects.toMatchObject({ code: 'BLOCKED' })
    expect(surveyEntity(s.app.entities, 'order/42')?.state).toEqual(row)
  })

  test('a turn that the state refuses is handled again on a restored machine', async () => {
    const { s, ref, state } = await started()
    const calls = [1, 2, 3].map((cents) => StateMachine.call(ref(), { type: 'place', cents }))
    StateMachine.send(ref(), { type: 'note', text: 'x'.repeat(2 * 1024 * 1024) })
    const last = StateMachine.call(ref(), { type: 'status' })
    expect(await s.during(Promise.all(calls))).toEqual(['placed', 'placed', 'placed'])
    expect(await s.during(last)).toBe('placed')
    StateMachine.send(ref(), { type: 'note', text: 'short' })
    await s.advance(10)
    expect(state()?.context).toEqual({ cents: 1, notes: ['short'] })
  })

  test('100 of them keep every event under kills of the writer of the log', async () => {
    const { s } = await started()
    const ids = Array.from({ length: 100 }, (_, index) => String(index))
    const refs = ids.map((id) => s.app.entity(orders).ref(id))
    let rounds = 0
    for (let round = 0; round < 10; round++) {
      const cents = round + 1
      const placed = refs.map((ref) => StateMachine.call(ref, { type: 'place', cents }))
      for (const ref of refs) StateMachine.send(ref, { type: 'note', text: String(round) })
      s.system.kill(name('wal_writer(0)'))
      rounds += (await s.during(Promise.all(placed), { withinMs: 60_000 })).length
      await s.advance(4_000)
    }
    expect(rounds).toBe(1_000)
    const notes = Array.from({ length: 10 }, (_, round) => String(round))
    for (const id of ids) {
      const state = s.app.entity(orders).state(id)
      expect(state).toMatchObject({ context: { cents: 1, notes }, actions: [] })
    }
    expect(new Set(seen.map(([step]) => step)).size).toBe(200)
  })

  test('an actor inside starts again after a crash, unasked, and its entity does not rest', async () => {
    const { s, ref, place, state, crash, told } = await started()
    await place(5)
    StateMachine.send(ref(), { type: 'pay' })
    await s.advance(10)
    expect(told().at(-1)).toBe('charge 5')
    await s.advance(10_000)
    expect(told().filter((what) => what === 'charge 5')).toHaveLength(1)
    await crash()
    await s.advance(61_000)
    expect(told().filter((what) => what === 'charge 5')).toHaveLength(2)
    expect(seen.at(-1)).toEqual(seen.at(-2))
    charging?.()
    await s.advance(10)
    expect(state()).toMatchObject({ value: 'paid', status: 'done', output: 5, children: {} })
    expect(told().at(-1)).toBe('paid 5')
  })

  test('an actor inside that failed stays so after a crash, though nothing else changed', async () => {
    const ran: string[] = []
    const broken = fromCallback(() => {
      ran.push('broken')
      throw new Error('no bank')
    })
    const count = fromTransition((poked: number) => {
      ran.push('poked')
      if (poked > 0) throw new Error('too much')
      return poked + 1
    }, 0)
    const fragile = setup({ actors: { broken, count } }).createMachine({
      id: 'fragile',
      invoke: [
        { id: 'broken', src: 'broken', onError: {} },
        { id: 'count', src: 'count', onError: {} },
      ],
      on: { poke: { actions: sendTo('count', { type: 'poke' }) } },
    })
    const kind = entity('fragile', StateMachine.durable(fragile))
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    for (let pokes = 0; pokes < 2; pokes++) {
      StateMachine.send(s.app.entity(kind).ref('1'), { type: 'poke' })
      await s.advance(100)
    }
    await s.powerCut()
    await s.start()
    StateMachine.send(s.app.entity(kind).ref('1'), { type: 'poke' })
    await s.advance(61_000)
    expect(ran).toEqual(['broken', 'poked', 'poked'])
    expect(s.app.entity(kind).state('1')?.children).toMatchObject({
      broken: { snapshot: { status: 'error' } },
      count: { snapshot: { status: 'error' } },
    })
  })

  test('that is done stays, and answers with its output', async () => {
    const { s, ref, place } = await started()
    await place(5)
    StateMachine.send(ref(), { type: 'pay' })
    const output = StateMachine.output(ref())
    await s.advance(10)
    charging?.()
    expect(await s.during(output)).toBe(5)
    await s.advance(5_000)
    expect(await s.during(StateMachine.output(ref()))).toBe(5)
    expect(await place(7)).toBe('paid')
  })
})

describe('a call of a machine with an id', () => {
  const once = { id: 'one' }

  test('is answered with its first outcome, and its event is taken once, over a crash too', async () => {
    const { s, ref, state, crash, told } = await started()
    const place = (cents: number, options: object) =>
      s.during(StateMachine.call(ref(), { type: 'place', cents }, options))
    expect(await place(5, once)).toBe('placed')
    StateMachine.send(ref(), { type: 'pay' })
    await s.advance(10)
    expect(await place(5, once)).toBe('placed')
    await crash()
    expect(await place(5, once)).toBe('placed')
    expect(await place(5, { id: 'two' })).toBe('paying')
    expect(told().filter((what) => what === 'placed 5')).toHaveLength(1)
    expect(state()?.value).toBe('paying')
    await expect(place(6, once)).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('is answered by a machine that begins, before an event that waits for what it starts', async () => {
    const beginning = setup({ actors: { ticks: fromCallback(() => {}) } }).createMachine({
      initial: 'one',
      states: {
        one: {
          invoke: { src: 'ticks' },
          entry: sendTo(({ self }) => self, { type: 'go' }),
          on: { go: 'two' },
        },
        two: {},
      },
    })
    const answers = { status: ({ value }: { value: unknown }) => value } as never
    const kind = entity('order', StateMachine.durable(beginning, { answers }))
    const { s, state } = await started(kind)
    const ref = s.app.entity(kind).ref('42') as never
    const status = () => s.during(StateMachine.call(ref, { type: 'status' } as never, once))
    expect(await status()).toBe('one')
    await s.advance(10)
    expect(state()?.value).toBe('two')
    expect(await status()).toBe('one')
  })

  test('is refused if its event is postponed: the answer would come in a later turn', async () => {
    const kind = entity(
      'order',
      StateMachine.durable(machine, {
        answers: { note: () => 'noted' },
        postpone: { new: ['note'] },
      }),
    )
    const { s, state } = await started(kind)
    const ref = s.app.entity(kind).ref('42')
    const early = StateMachine.call(ref, { type: 'note', text: 'early' }, once)
    await expect(s.during(early)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(state()).toBeUndefined()
    StateMachine.send(ref, { type: 'place', cents: 1 })
    // Nothing was remembered: the id is free.
    const late = StateMachine.call(ref, { type: 'note', text: 'late' }, once)
    expect(await s.during(late)).toBe('noted')
    expect(state()?.context.notes).toEqual(['late'])
  })
})

describe('a machine as a durable worker', () => {
  test('begins when it starts, and goes on where it was', async () => {
    const { s, crash, told } = await started(worker('clerk', server, { durable: true }))
    await s.advance(10)
    await crash()
    const clerk = () => s.system.to(name<MessagesOf<typeof server>>('clerk'))
    expect(told()).toEqual(['begun 0'])
    expect(await s.during(StateMachine.call(clerk(), { type: 'place', cents: 3 }))).toBe('placed')
    await s.advance(10)
    await crash()
    expect(await s.during(StateMachine.call(clerk(), { type: 'status' }))).toBe('placed')
    expect(told()).toEqual(['begun 0', 'placed 3'])
  })
})
