/** Calls that answer their position: that of the turn, or the one that an answer without a change stands on. */

import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import {
  call,
  type DurableServer,
  entity,
  type GenServer,
  name,
  type Ref,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Clerk = { calls: { take: () => number } }
type Messages = {
  calls: { add: (by: number) => number; look: () => number }
}

const clerk: GenServer<Clerk, null> = {
  init: () => null,
  calls: { take: () => reply(7, null) },
}

const counter: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    add: (count, by, context) => {
      context.journal({ id: context.step, type: 'added', command: by })
      return reply(count + by, count + by)
    },
    look: (count) => reply(count, count),
  },
}
const counters = entity('counter', counter)

const lamp = setup({
  types: { events: {} as { type: 'toggle' } | { type: 'look' } },
}).createMachine({
  id: 'lamp',
  initial: 'off',
  states: { off: { on: { toggle: 'on' } }, on: { on: { toggle: 'off' } } },
})
const lamps = entity(
  'lamp',
  StateMachine.durable(lamp, {
    answers: { toggle: ({ value }) => value, look: ({ value }) => value },
  }),
)

const world = async (options: object = {}) => {
  const tree = supervisor('app', {}, [
    counters,
    lamps as never,
    worker('single', counter as never, { durable: true }),
    worker('clerk', clerk as never),
  ])
  const s = await simulated({ app: tree, ...options })
  const ref = (id = 'a') => s.app.entity(counters).ref(id)
  const add = (by = 1, id = 'a') => s.during(call(ref(id), 'add', by, { position: true }))
  const look = (id = 'a') => s.during(call(ref(id), 'look', undefined, { position: true }))
  return { s, ref, add, look }
}

describe('a call with `position`', () => {
  test('answers the frame of its turn, in which its journal entry is', async () => {
    const { s, add } = await world({ shards: 3 })
    const answers = [await add(1, 'a'), await add(2, 'b'), await add(3, 'a')]
    expect(answers.map(({ value }) => value)).toEqual([1, 2, 4])
    for (const { position } of answers) {
      const found = await s.during(
        (async () => {
          const all = []
          for await (const each of s.app.journal.on(position.shard).entries()) all.push(each)
          return all
        })(),
      )
      expect(found.map(({ lsn }) => lsn)).toContain(position.lsn)
    }
    expect(
      s.app.store.range({ freshness: { atLeast: answers.map((each) => each.position) } }),
    ).toBeDefined()
  })

  test('gives each of many turns under way a frame of its own, in their order', async () => {
    const { s, ref } = await world({ syncMs: 20 })
    const calls = Array.from({ length: 10 }, () => call(ref(), 'add', 1, { position: true }))
    const found = await s.during(Promise.all(calls))
    const lsns = found.map(({ position }) => position.lsn)
    expect(lsns).toEqual([...lsns].sort((one, other) => one - other))
    expect(s.app.shards[0]?.appliedLsn).toBeGreaterThanOrEqual(lsns.at(-1) as number)
    expect(found.map(({ value }) => value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('that changes nothing answers the position that it stands on', async () => {
    const { s, ref, add, look } = await world()
    const { position } = await add()
    await s.during(s.app.store.put('other', 1))
    expect(await look()).toEqual({ value: 1, position })
    const [added, looked] = await s.during(
      Promise.all([
        call(ref(), 'add', 1, { position: true }),
        call(ref(), 'look', undefined, { position: true }),
      ]),
    )
    expect(looked).toEqual({ value: 2, position: added.position })
  })

  test('after a wake answers a position that has its state', async () => {
    const { s, add, look } = await world()
    const { position } = await add()
    await s.during(s.app.entity(counters).stop('a'))
    const found = await look()
    expect(found.value).toBe(1)
    expect(found.position.lsn).toBeGreaterThanOrEqual(position.lsn)
    expect(found.position.lsn).toBeLessThanOrEqual(s.app.shards[0]?.appliedLsn ?? 0)
  })

  test('is not answered before everything up to the position is durable', async () => {
    const { s, ref } = await world({ syncMs: 50 })
    const answer = call(ref(), 'add', 1, { position: true, timeoutMs: 5_000 })
    const { position } = await s.during(answer)
    await s.powerCut()
    await s.start()
    expect(s.app.shards[0]?.appliedLsn).toBeGreaterThanOrEqual(position.lsn)
    expect(s.app.entity(counters).state('a')).toBe(1)
  })

  test('with an id is repeated with a position that has the first turn', async () => {
    const { s, ref } = await world()
    const options = { id: 'once', position: true } as const
    const first = await s.during(call(ref(), 'add', 1, options))
    await s.during(call(ref(), 'add', 1))
    const again = await s.during(call(ref(), 'add', 1, options))
    expect(again.value).toBe(1)
    expect(again.position.lsn).toBeGreaterThan(first.position.lsn)
  })

  test('is taken by a durable worker, and by a machine', async () => {
    const { s } = await world()
    const single = s.app.system.to(name<Messages>('single'))
    const added = await s.during(call(single, 'add', 5, { position: true }))
    expect(added).toMatchObject({ value: 5, position: { shard: 0 } })
    const machine = s.app.entity(lamps).ref('a')
    const event = { type: 'toggle' } as const
    const toggled = await s.during(StateMachine.call(machine, event, { position: true }))
    expect(toggled).toMatchObject({ value: 'on' })
    expect(toggled.position.lsn).toBeGreaterThan(added.position.lsn)
  })

  test('is refused by a process that is not durable, and with a wrong option', async () => {
    const { s, ref } = await world()
    const plain = s.app.system.to(name<Clerk>('clerk')) as Ref<Clerk>
    await expect(
      s.during(call(plain, 'take', undefined, { position: true })),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    const wrong = call(ref(), 'look', undefined, { position: 1 as never })
    await expect(s.during(wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
