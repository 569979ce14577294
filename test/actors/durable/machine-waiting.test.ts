/** Events that wait for the beginning of a durable machine, or for a step of it, and then fail. */
import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, assign, createActor, fromPromise, setup } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Seen = { readonly seen: readonly string[] }
const notes = assign<Seen, { type: string }, undefined, { type: string }, never>({
  seen: ({ context, event }) => [...context.seen, event.type],
})
const fails = assign<Seen, { type: string }, undefined, { type: string }, never>({
  seen: () => {
    throw new Error('a malformed event')
  },
})
const writes = StateMachine.inTurn((_, turn) => {
  turn.writes.put(`{m/${turn.id}}:wrote`, true)
  throw new Error('refused in the turn')
})

/** An entity that does some work from its beginning on, and how often that has begun. */
const world = async (options: Parameters<typeof StateMachine.durable>[1] = {}) => {
  let starts = 0
  const bank = { isAway: false }
  const greet = (): void => {
    if (bank.isAway) throw new Error('not yet')
  }
  const work = fromPromise(() => {
    starts++
    return new Promise<void>(() => undefined)
  })
  const machine = setup({
    actors: { work },
    actions: { greet, notes, fails, writes } as never,
  }).createMachine({
    ...{ id: 'm', context: { seen: [] }, entry: 'greet', invoke: { src: 'work' } },
    on: {
      good: { actions: 'notes' },
      bad: { actions: ['notes', 'fails'] },
      writes: { actions: ['notes', 'writes'] },
    },
  } as never) as unknown as AnyStateMachine
  const kind = entity('m', StateMachine.durable(machine, options) as never)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const refOf = () => s.app.entity('m').ref('1') as never
  const send = (...types: string[]): void => {
    for (const type of types) StateMachine.send(refOf(), { type } as never)
  }
  const look = async () => {
    const { context, actions } = (await s.during(StateMachine.snapshot(refOf()))) as unknown as {
      readonly context: Seen
      readonly actions: readonly unknown[]
    }
    const { failing } = s.app.health().actors
    const isWritten = s.app.store.get('{m/1}:wrote') !== undefined
    return { seen: context.seen, left: actions.length, failing: failing.count, isWritten }
  }
  return { s, bank, send, look, starts: () => starts }
}

const good = { seen: ['good'], left: 0, failing: 0, isWritten: false }

describe('an event that waits for the beginning', () => {
  test.each(['bad', 'writes', 'unknown'])(
    'and throws is dropped with its process, as at any other time (%s)',
    async (type) => {
      const { s, send, look, starts } = await world({ unknownEvents: 'exit' })
      send(type)
      await s.advance(20)
      send('good')
      await s.advance(120_000)
      expect([await look(), starts()]).toEqual([good, 2])
    },
  )

  test.each([false, true])(
    'and throws takes no other one with it (crash: %s)',
    { tags: ['slow'] },
    async (isCut) => {
      const { s, bank, send, look } = await world()
      bank.isAway = true
      send('good', 'bad', 'good', 'writes', 'good')
      await s.advance(500)
      if (isCut) {
        await s.powerCut()
        await s.start()
      }
      bank.isAway = false
      await s.advance(120_000)
      expect(await look()).toEqual({ ...good, seen: ['good', 'good', 'good'] })
    },
  )
})

test('the first event of an entity is two turns of the log, also of one that starts work', async () => {
  const work = fromPromise(() => new Promise<void>(() => undefined))
  const machine = setup({ actors: { work } }).createMachine({
    ...{ id: 'm', invoke: { src: 'work' }, on: { good: {} } },
  })
  const s = await simulated({
    app: supervisor('app', {}, [entity('m', StateMachine.durable(machine))]),
  })
  const lsn = () => s.app.health().shards[0]?.appliedLsn ?? Number.NaN
  const before = lsn()
  StateMachine.send(s.app.entity('m').ref('1') as never, { type: 'good' } as never)
  await s.advance(500)
  expect(lsn() - before).toBe(2)
})

describe('the action of one actor inside throws', () => {
  const machineOf = (log: (what: string) => void, onError: 'none' | 'throws'): AnyStateMachine => {
    const logs = (what: string) => () => log(what)
    const breaks = (what: string) => () => {
      log(what)
      throw new Error(what)
    }
    const acts = (id: string, act: () => void) =>
      setup({ actions: { act } }).createMachine({
        id,
        entry: 'act',
        initial: 'a',
        states: { a: {} },
      })
    const failed = { onError: { actions: assign(breaks('onError') as never) } }
    const one = { src: 'one', id: 'one', ...(onError === 'throws' && failed) }
    return setup({
      actors: { one: acts('one', breaks('one')), two: acts('two', logs('two')) },
    }).createMachine({
      ...{ id: 'm', initial: 'idle' },
      states: {
        idle: { on: { go: 'works' } },
        works: { invoke: [one, { src: 'two', id: 'two' }] as never, on: { go: {} } },
      },
    }) as unknown as AnyStateMachine
  }

  test.each(['none', 'throws'] as const)(
    'and nobody handles it: those of the others are done all the same (onError: %s)',
    async (onError) => {
      const plain: string[] = []
      const actor = createActor(machineOf((what) => plain.push(what), onError))
      actor.subscribe({ error: () => undefined })
      actor.start().send({ type: 'go' })
      const seen: string[] = []
      const kind = entity('m', StateMachine.durable(machineOf((what) => seen.push(what), onError)))
      const s = await simulated({ app: supervisor('app', {}, [kind]) })
      const ref = () => s.app.entity('m').ref('1') as never
      StateMachine.send(ref(), { type: 'go' } as never)
      await s.advance(120_000)
      StateMachine.send(ref(), { type: 'go' } as never)
      await s.advance(120_000)
      const { actions } = (await s.during(StateMachine.snapshot(ref()))) as unknown as {
        readonly actions: readonly unknown[]
      }
      expect([seen.toSorted(), actions]).toEqual([plain.toSorted(), []])
    },
  )
})
