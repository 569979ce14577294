/**
 * The actions of a machine that is saved: none is done without a record, each recorded one is done,
 * and its step has the same name at each try.
 */
import { describe, expect, test } from 'vitest'
import { type AnyActorRef, assign, emit, enqueueActions, fromPromise, sendTo, setup } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import { type GenServer, getState, name, noReply, via } from '../../../src/runtime/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { listening, reasonOfEnd, throughJson } from './machine-process.ts'

type Told = [what: string, ...facts: unknown[]]

/** An order that is charged, then mailed, by actions that tell what they do. */
const order = (tell: (...told: Told) => void) =>
  setup({
    types: {} as {
      context: { cents: number }
      events: { type: 'pay'; cents: number } | { type: 'odd' } | { type: 'hear' }
      emitted: { type: 'paid'; cents: number }
    },
    actions: {
      charge: ({ context, event, self }, rate: number) =>
        tell('charge', StateMachine.stepOf(self), event.type, context.cents * rate),
      mail: ({ self }) => tell('mail', StateMachine.stepOf(self)),
    },
  }).createMachine({
    id: 'order',
    context: { cents: 0 },
    initial: 'placed',
    on: { odd: { actions: enqueueActions(({ enqueue }) => enqueue(() => tell('odd'))) } },
    states: {
      placed: {
        on: {
          pay: {
            target: 'paid',
            actions: [
              assign({ cents: ({ event }) => event.cents }),
              { type: 'charge', params: 2 },
              assign({ cents: ({ context }) => context.cents + 1 }),
              emit(({ context }) => ({ type: 'paid' as const, cents: context.cents })),
              ({ context }) => tell('inline', context.cents),
            ],
          },
        },
      },
      paid: { entry: 'mail' },
    },
  })

type Kept = SavedMachine<ReturnType<typeof order>>

/** An order in a process that is killed at the `n`th save after its start, if at all. */
const running = async (killAt: number) => {
  const { system, clock } = testSystem()
  const told: Told[] = []
  const saves: Kept[] = []
  let left = killAt
  const server = StateMachine.server(
    order((...more) => told.push(more)),
    {
      restore: () => saves.at(-1),
      emitted: (event) => void told.push(['emitted', event]),
      save: (saved) => {
        saves.push(throughJson(saved))
        told.push(['saved', saved.value, saved.actions.filter(({ kind }) => kind !== 'end').length])
        if (left-- === 0) system.kill(ref)
      },
    },
  )
  left = Number.POSITIVE_INFINITY
  const ref = await system.start(server)
  told.length = 0
  left = killAt
  return { system, clock, ref, server, told, saves }
}

const pay = { type: 'pay', cents: 5 } as const

describe('the actions of a saved machine', () => {
  test('are done after the save that names them, and a second save has none of them', async () => {
    const { clock, ref, told, saves } = await running(99)
    const { run } = saves[0] as Kept
    StateMachine.send(ref, pay)
    await clock.settle()

    expect(told).toEqual([
      ['saved', 'paid', 4],
      ['charge', `${run}/2/0`, 'pay', 10],
      ['inline', 6],
      ['mail', `${run}/2/2`],
      ['emitted', { type: 'paid', cents: 6 }],
      ['saved', 'paid', 0],
    ])
  })

  test('are done after a kill between the save and them, by the same names, with what they had', async () => {
    const calm = await running(99)
    StateMachine.send(calm.ref, pay)
    await calm.clock.settle()
    const { system, clock, ref, server, told } = await running(0)
    StateMachine.send(ref, pay)
    await clock.settle()
    expect(told).toEqual([['saved', 'paid', 4]])

    const again = await system.start(server)
    await clock.settle()

    expect(told.slice(1)).toEqual(calm.told.slice(1))
    expect((await StateMachine.snapshot(again)).actions).toEqual([])
  })

  test('are not done again once the second save has landed, and have other names at another step', async () => {
    const { system, ref, server, told } = await running(99)
    StateMachine.send(ref, pay)
    await StateMachine.snapshot(ref)
    system.kill(ref)
    const charged = told.find(([what]) => what === 'charge')?.[1]
    told.length = 0

    const again = await system.start(server)
    await StateMachine.snapshot(again)
    expect(told).toEqual([])
    const fresh = await running(99)
    StateMachine.send(fresh.ref, pay)
    await StateMachine.snapshot(fresh.ref)

    expect(fresh.told.find(([what]) => what === 'charge')?.[1]).toBe(charged)
    // Two systems with one seed draw the same; two machines of one system do not.
    const other = await fresh.system.start(StateMachine.server(order(() => {})))
    expect((await StateMachine.snapshot(other)).run).not.toBe(fresh.saves[0]?.run)
  })

  test('that throw take their step back: the next process is where it was before the event', async () => {
    const boom = new Error('boom')
    const bank = { isAway: true }
    const machine = order((what) => {
      if (what === 'charge' && bank.isAway) throw boom
    })
    const { system, clock } = testSystem()
    const saves: Kept[] = []
    const server = StateMachine.server(machine, {
      restore: () => saves.at(-1),
      save: (saved) => void saves.push(throughJson(saved)),
    })
    const ref = await system.start(server)
    const reason = reasonOfEnd(system, ref)
    StateMachine.send(ref, pay)
    expect(await reason).toBe(boom)
    expect(saves.at(-1)).toMatchObject({ value: 'placed', step: 2, actions: [] })

    bank.isAway = false
    const again = await system.start(server)
    StateMachine.send(again, pay)
    await clock.settle()

    expect(saves.at(-1)).toMatchObject({ value: 'paid', step: 3, actions: [] })
  })

  test.each<[string, (inline: { text: number; sources: string[] }) => unknown]>([
    ['another version', (inline) => inline.text++],
    ['a version without their machine', ({ sources }) => sources.push('gone')],
  ])('that %s does not have are told in the log, and the others are done', async (_, change) => {
    const { clock, ref, saves } = await running(0)
    StateMachine.send(ref, pay)
    await clock.settle()
    const { system, lines } = listening()
    const told: Told[] = []
    const changed = structuredClone(saves.at(-1)) as Kept
    const inline: unknown = changed.actions.find(({ text }) => text !== undefined)
    change(inline as { text: number; sources: string[] })

    await system.start(
      StateMachine.server(
        order((...more) => told.push(more)),
        { restore: changed },
      ),
      undefined,
      { name: name('order') },
    )

    expect(told.map(([what]) => what)).toEqual(['charge', 'mail'])
    expect(lines).toEqual([
      expect.stringMatching(/^order: the action order.placed.on.pay 4 .* is not repeated/),
    ])
  })

  test('that were made while the machine ran cannot be found again, which the log tells', async () => {
    const { clock, ref, saves, told } = await running(0)
    StateMachine.send(ref, { type: 'odd' })
    await clock.settle()
    expect(told).toEqual([['saved', 'placed', 1]])
    const { system, lines } = listening()

    await system.start(
      StateMachine.server(
        order(() => {}),
        { restore: saves.at(-1) as Kept },
      ),
    )

    expect(lines).toEqual([expect.stringContaining('without a name')])
  })
})

describe('an event for another process', () => {
  const ear: GenServer<{ casts: { event: (event: unknown) => void } }, unknown[]> = {
    init: () => [],
    casts: { event: (heard, event) => noReply([...heard, event]) },
  }

  test('is sent after the save, and once more after a kill in between, if it goes to a name', async () => {
    const { system, clock } = testSystem()
    const at = name<never>('ear')
    await system.start(ear, undefined, { name: at as never })
    const speaker = setup({ types: {} as { events: { type: 'say' } } }).createMachine({
      id: 'speaker',
      on: {
        say: {
          actions: sendTo(() => StateMachine.actorOf(system.to(at)) as unknown as AnyActorRef, {
            type: 'hello',
          }),
        },
      },
    })
    let kept: SavedMachine<typeof speaker> | undefined
    const server = StateMachine.server(speaker, {
      restore: () => kept,
      save: (saved) => {
        const isFirst = saved.actions.length > 0 && kept?.actions.length === 0
        kept = throughJson(saved)
        if (isFirst) system.kill(ref)
      },
    })
    const ref = await system.start(server)
    StateMachine.send(ref, { type: 'say' })
    await clock.settle()
    expect(await getState(system.to(at))).toEqual([])

    await system.start(server)
    await clock.settle()

    expect(await getState(system.to(at))).toEqual([{ type: 'hello' }])
  })

  test('that goes to a key of a registry is not repeated after a kill, which the log tells', async () => {
    const { system, clock } = testSystem()
    const key = via(name<never>('rooms'), 'ear')
    const speaker = setup({ types: {} as { events: { type: 'say' } } }).createMachine({
      on: {
        say: {
          actions: sendTo(
            () => StateMachine.actorOf(system.to(key) as never) as unknown as AnyActorRef,
            { type: 'hello' },
          ),
        },
      },
    })
    let kept: SavedMachine<typeof speaker> | undefined
    const server = StateMachine.server(speaker, {
      save: (saved) => {
        if (saved.actions.length > 0) system.kill(ref)
        kept = throughJson(saved)
      },
    })
    const ref = await system.start(server)
    StateMachine.send(ref, { type: 'say' })
    await clock.settle()
    const { system: next, lines } = listening()

    await next.start(StateMachine.server(speaker, { restore: () => kept }))

    expect(lines).toEqual([expect.stringContaining('the send without a name')])
  })
})

describe('the name of a step', () => {
  test('of a promise inside is the same as long as it runs, over restarts and awaits', async () => {
    const steps: string[] = []
    const { system, clock } = testSystem()
    const loading = setup({
      actors: {
        load: fromPromise(async ({ self }) => {
          steps.push(StateMachine.stepOf(self))
          await undefined
          steps.push(StateMachine.stepOf(self))
          return new Promise(() => {})
        }),
      },
    }).createMachine({ id: 'loading', invoke: { src: 'load' } })
    let kept: SavedMachine<typeof loading> | undefined
    const server = StateMachine.server(loading, {
      restore: () => kept,
      save: (saved) => {
        kept = throughJson(saved)
      },
    })
    const first = await system.start(server)
    await clock.settle()
    system.kill(first)
    await system.start(server)
    await clock.settle()

    expect(steps).toEqual(Array.from({ length: 4 }, () => `${kept?.run}/1/0`))
  })

  test('is refused when nothing is under way, and when no process runs the actor', async () => {
    const { system, clock } = testSystem()
    const thrown: unknown[] = []
    const late = setup({ types: {} as { events: { type: 'go' } } }).createMachine({
      on: {
        go: {
          actions: async ({ self }) => {
            await undefined
            try {
              StateMachine.stepOf(self)
            } catch (error) {
              thrown.push(error)
            }
          },
        },
      },
    })
    StateMachine.send(await system.start(StateMachine.server(late)), { type: 'go' })
    await clock.settle()
    try {
      StateMachine.stepOf({ system: {} } as never)
    } catch (error) {
      thrown.push(error)
    }

    expect(thrown.map((error) => isKeelsonError(error, 'INVALID_ARGUMENT'))).toEqual([true, true])
  })
})
