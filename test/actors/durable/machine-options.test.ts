/**
 * The options of machines as durable actors: versions, the end, emitted events, messages as events;
 * and a crash at each action of a turn.
 */

import { afterEach, expect, test } from 'vitest'
import { type AnyActorRef, assign, emit, setup } from 'xstate'
import { surveyEntity } from '../../../src/actors/index.ts'
import { entity, type GenServer, name, send, supervisor, worker } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

/** What the world has seen. */
let seen: unknown[] = []
/** Called at each action, before it is noted. */
let during: ((what: string, self?: AnyActorRef) => void) | undefined

afterEach(() => {
  seen = []
  during = undefined
})

type Event = { type: 'go' } | { type: 'heard'; what: string }

const machine = setup({
  types: {} as {
    context: { heard: readonly string[] }
    events: Event
    emitted: { type: 'gone'; at: number }
  },
  actions: {
    act: ({ self }, what: string) => {
      during?.(what, self)
      seen.push([what, StateMachine.stepOf(self)])
    },
  },
}).createMachine({
  id: 'trip',
  context: { heard: [] },
  initial: 'home',
  on: {
    heard: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.what] }) },
  },
  states: {
    home: {
      exit: { type: 'act', params: 'leave' },
      on: { go: { target: 'away', actions: { type: 'act', params: 'walk' } } },
    },
    away: {
      entry: [{ type: 'act', params: 'arrive' }, emit({ type: 'gone', at: 5 })],
    },
  },
})

type Options = Parameters<typeof StateMachine.durable<typeof machine>>[1]

const kindOf = (options: Options = {}) => entity('trip', StateMachine.durable(machine, options))

const started = async (
  kind: ReturnType<typeof kindOf>,
  beside: Parameters<typeof supervisor>[2] = [],
) => {
  const s = await simulated({ app: supervisor('app', {}, [...beside, kind]) })
  const ref = () => s.app.entity(kind).ref('1')
  const go = async (): Promise<void> => {
    StateMachine.send(ref(), { type: 'go' })
    await s.advance(20)
  }
  return { s, ref, go, state: () => s.app.entity(kind).state('1') }
}

const crashes = ['kill', 'powerCut'] as const
const moments = ['leave', 'walk', 'arrive', 'gone'] as const

test.each(crashes.flatMap((crash) => moments.map((at) => [crash, at] as const)))(
  'a %s at the action %s: its turn is saved before, and each action has the same step again',
  async (crash, at) => {
    const kind = kindOf({ emitted: (event) => during?.(event.type) ?? seen.push([event.type]) })
    const { s, ref, state } = await started(kind)
    await s.during(StateMachine.snapshot(ref()))
    let saved: unknown
    const cut = new Promise<void>((resolve) => {
      during = (what) => {
        if (what !== at) return
        during = undefined
        saved = state()
        resolve(s[crash]())
        throw new Error('the machine is off')
      }
    })
    StateMachine.send(ref(), { type: 'go' })
    await s.during(cut)
    const before = seen
    // All of the turn stands in the row while its first action runs, and none is consumed.
    expect(saved).toMatchObject({ value: 'away' })
    expect((saved as { actions: unknown[] }).actions).toHaveLength(moments.length)
    seen = []
    await s.start()
    await s.advance(5_000)
    expect(seen.map((each) => (each as unknown[])[0])).toEqual(moments)
    expect(seen.slice(0, before.length)).toEqual(before)
    expect(state()).toMatchObject({ value: 'away', actions: [] })
  },
)

test('a machine of an older version is migrated, and goes on from there', async () => {
  const { s, go, state } = await started(kindOf())
  await go()
  expect(state()?.value).toBe('away')
  await s.close()
  const renamed = setup({ types: {} as { events: Event } }).createMachine({
    id: 'trip',
    initial: 'start',
    states: { start: {}, far: { on: { go: 'farther' } }, farther: {} },
  })
  const froms: number[] = []
  const kind = entity(
    'trip',
    StateMachine.durable(renamed, {
      version: 2,
      migrate: (saved, from) => {
        froms.push(from)
        return { ...(saved as object), value: 'far', context: {} } as never
      },
    }),
  )
  await s.start({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('1')
  expect((await s.during(StateMachine.snapshot(ref))).value).toBe('far')
  StateMachine.send(ref, { type: 'go' })
  await s.advance(20)
  expect(s.app.entity(kind).state('1')?.value).toBe('farther')
  await s.powerCut()
  await s.start({ app: supervisor('app', {}, [kind]) })
  const again = StateMachine.snapshot(s.app.entity(kind).ref('1'))
  expect((await s.during(again)).value).toBe('farther')
  expect(froms).toEqual([1])
})

test('a saved machine that migrate leaves unusable is blocked, and stays as it was', async () => {
  const { s, go } = await started(kindOf())
  await go()
  await s.close()
  const migrate = (saved: unknown) => ({ ...(saved as object), value: 'nowhere' }) as never
  const kind = kindOf({ version: 2, migrate })
  await s.start({ app: supervisor('app', {}, [kind]) })
  const handle = s.app.entity(kind)
  expect(await s.during(codeOf(StateMachine.snapshot(handle.ref('1'))))).toBe('BLOCKED')
  expect(surveyEntity(s.app.entities, 'trip/1')?.state).toMatchObject({ value: 'away' })
})

test.each(['named', 'inline'] as const)(
  'a machine with another delay in a child, %s, leaves its actors blocked',
  async (how) => {
    const outer = (ms: number) => {
      const child = setup({}).createMachine({
        initial: 'waiting',
        states: { waiting: { after: { [ms]: 'over' } }, over: { type: 'final' } },
      })
      const src = how === 'named' ? 'child' : child
      const found = setup({ actors: { child: how === 'named' ? child : machine } })
      const on = { go: 'away' } as const
      const away = { invoke: { src } } as never
      const outer = found.createMachine({
        id: 'trip',
        initial: 'home',
        states: { home: { on }, away },
      })
      return entity('trip', StateMachine.durable(outer))
    }
    const kind = outer(60_000)
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    StateMachine.send(s.app.entity(kind).ref('1'), { type: 'go' } as never)
    await s.advance(20)
    await s.close()

    await s.start({ app: supervisor('app', {}, [outer(120_000)]) })

    const looking = StateMachine.snapshot(s.app.entity(kind).ref('1'))
    expect(await s.during(codeOf(looking))).toBe('BLOCKED')
  },
)

test('terminate sees the machine and the reason, and nothing of one that has not begun', async () => {
  const ends: unknown[] = []
  const terminate = (snapshot: { value: unknown }, reason: unknown) =>
    void ends.push([snapshot.value, reason])
  const { s, ref, go } = await started(kindOf({ terminate }))
  const handle = s.app.entity('trip')
  await s.during(StateMachine.snapshot(ref()))
  expect(await s.during(handle.stop('1'))).toBe(true)
  expect(ends).toEqual([])
  await go()
  expect(await s.during(handle.stop('1'))).toBe(true)
  expect(ends).toEqual([['away', 'normal']])
})

test('an emitted event is recorded: it is heard when its turn is durable, and again after a throw', async () => {
  let isDeaf = true
  const emitted = (event: { type: string; at: number }) => {
    if (isDeaf) throw new Error('not now')
    seen.push(event)
  }
  const { s, go, state } = await started(kindOf({ emitted }))
  await go()
  expect(state()?.actions).toMatchObject([{ kind: 'emit', event: { type: 'gone', at: 5 } }])
  isDeaf = false
  await s.powerCut()
  await s.start()
  await s.advance(5_000)
  expect(seen.at(-1)).toEqual({ type: 'gone', at: 5 })
  expect(state()?.actions).toEqual([])
})

test('messages and exits become events by the options, in turns of their own', async () => {
  const options = {
    trapExit: true,
    info: ({ name }: { name: string }) => ({ type: 'heard', what: `info ${name}` }) as const,
    exit: ({ reason }: { reason: unknown }) =>
      ({ type: 'heard', what: `exit ${String(reason)}` }) as const,
  } as Options
  const { s, ref, state } = await started(kindOf(options))
  send(ref() as never, 'hello' as never)
  await s.advance(20)
  s.system.exit(ref() as never, 'why')
  await s.advance(20)
  expect(state()?.context).toEqual({ heard: ['info hello', 'exit why'] })
  await s.powerCut()
  await s.start()
  expect((await s.during(StateMachine.snapshot(ref()))).context).toEqual({
    heard: ['info hello', 'exit why'],
  })
})

test('the end of a process that an action watches becomes an event by the option down', async () => {
  const idle: GenServer<object, number, undefined> = { init: () => 0 }
  const kind = kindOf({
    down: ({ reason }) => ({ type: 'heard', what: `down ${String(reason)}` }),
  })
  const { s, ref, go, state } = await started(kind, [worker('watched', idle)])
  const target = s.system.whereis(name('watched'))
  during = (what, self) => {
    if (what === 'arrive' && self) StateMachine.contextOf(self).monitor(target as never)
  }
  await go()
  s.system.kill(target as never)
  await s.advance(20)
  expect(state()?.context).toEqual({ heard: ['down killed'] })

  await s.powerCut()
  await s.start()
  expect((await s.during(StateMachine.snapshot(ref()))).context).toEqual({ heard: ['down killed'] })
})

test('the action of an event with the snapshot of a machine inside is recorded with its data', async () => {
  const inner = setup({}).createMachine({
    id: 'inner',
    context: { n: 1 },
    initial: 'a',
    states: { a: { after: { 20: 'b' } }, b: {} },
  })
  let isShut = true
  const outer = setup({
    actors: { inner },
    actions: {
      note: ({ event }) => {
        if (isShut) throw new Error('not now')
        const { value, context } = (event as unknown as { snapshot: Record<string, unknown> })
          .snapshot
        seen.push([value, context])
      },
    },
  }).createMachine({
    id: 'outer',
    invoke: { src: 'inner', id: 'child', onSnapshot: { actions: 'note' } },
  })
  const kind = entity('outer', StateMachine.durable(outer, { unknownEvents: 'ignore' }))
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  StateMachine.send(s.app.entity(kind).ref('1'), { type: 'begin' } as never)
  await s.advance(100)
  expect(s.app.entity(kind).state('1')?.actions.length).toBeGreaterThan(0)
  isShut = false
  await s.powerCut()
  await s.start()
  await s.advance(10_000)
  expect(seen).toContainEqual(['b', { n: 1 }])
  expect(s.app.entity(kind).state('1')?.actions).toEqual([])
})
