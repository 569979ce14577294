/** Alarms and steps: they fire or run once, in time, over crashes; a failing one is tried again. */

import { afterEach, describe, expect, test } from 'vitest'
import * as Alarms from '../../../src/actors/entities/alarms.ts'
import {
  call,
  type DurableServer,
  entity,
  name,
  noReply,
  ok,
  type Ref,
  reply,
  type StorageEvents,
  supervisor,
  sys,
  telemetry,
  worker,
} from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { slowKind } from '../../support/harm/slow-alarms.ts'
import { machine, simulated } from '../../support/worlds/simulated-instance.ts'

type State = { readonly fired: readonly string[] }

type Messages = {
  calls: {
    set: (alarm: { name: 'one' | 'two' | 'again'; inMs: number }) => void
    cancel: () => boolean
    charge: (what: string) => void
    fired: () => readonly string[]
  }
  continues: { charge: (what: string) => void }
  alarms: { one: () => void; two: () => void; again: () => void }
}

type TwinMessages = { calls: { set: () => string }; alarms: { a: () => void; b: () => void } }

/** What the outside world saw: each try of a step, with its name. */
let tries: string[] = []
/** How many of the next tries fail. */
let failing = 0

const attempt = (what: string): void => {
  tries.push(what)
  if (failing > 0) {
    failing--
    throw new Error('the bank is away')
  }
}

const withFired = (state: State, name: string): State => ({ fired: [...state.fired, name] })

const server: DurableServer<Messages, State> = {
  init: () => ok({ fired: [] }),
  calls: {
    set: (state, { name, inMs }, context) => {
      context.setAlarm(name, { inMs })
      return reply(undefined, state)
    },
    cancel: (state, _, context) => reply(context.cancelAlarm('one'), state),
    charge: (state, what) => reply(undefined, state, { continue: ['charge', what] }),
    fired: (state) => reply(state.fired, state),
  },
  continues: {
    charge: async (state, what, context) => {
      attempt(context.step)
      return noReply(withFired(state, what))
    },
  },
  alarms: {
    one: (state, _, context) => {
      attempt(`one ${context.now()}`)
      return noReply(withFired(state, 'one'))
    },
    two: (state) => noReply(withFired(state, 'two')),
    again: (state, _, context) => {
      if (state.fired.length < 2) context.setAlarm('again', { inMs: 100 })
      return noReply(withFired(state, 'again'))
    },
  },
}

const kind = entity('clock', server, { idleMs: 1_000 })

afterEach(() => {
  tries = []
  failing = 0
})

const started = async (seed = 1) => {
  const machine = await simulated({
    seed,
    app: supervisor('app', {}, [kind, worker('lone', server, { durable: true })]),
  })
  const ask = <N extends keyof Messages['calls']>(id: string, name: N, payload?: unknown) =>
    machine.during(
      call(machine.app.entity(kind).ref(id), name, payload as never) as Promise<
        ReturnType<Messages['calls'][N]>
      >,
    )
  return { machine, ask }
}

describe('an alarm', () => {
  test('that is overdue goes after those that were due before it, in whichever order they were set', async () => {
    const { machine, ask } = await started()
    for (const [id, ms] of [
      ['a', { one: 50, two: 100 }],
      ['b', { one: 100, two: 50 }],
    ] as const)
      for (const name of ['one', 'two'] as const) await ask(id, 'set', { name, inMs: ms[name] })
    await machine.close()
    await machine.advance(1_000)
    await machine.start()
    await machine.advance(1_000)
    expect([await ask('a', 'fired'), await ask('b', 'fired')]).toEqual([
      ['one', 'two'],
      ['two', 'one'],
    ])
  })

  test('that is set anew to fire at once waits until that is durable', async () => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'one', inMs: 50 })
    await machine.advance(45)
    machine.syncMs = 100
    const anew = call(machine.app.entity(kind).ref('a'), 'set', { name: 'one', inMs: 0 })
    await machine.advance(90)
    expect(tries).toEqual([])
    await machine.during(anew)
    await machine.advance(200)
    expect(tries).toHaveLength(1)
  })

  test('that is set in the group of the alarm before it fires at its time', async () => {
    const { machine, ask } = await started()
    const set = (id: string, alarm: { name: 'one' | 'two'; inMs: number }) =>
      call(machine.app.entity(kind).ref(id), 'set', alarm)
    await ask('a', 'set', { name: 'one', inMs: 50 })
    await machine.advance(20)
    machine.syncMs = 100
    const before = set('b', { name: 'one', inMs: 60_000 })
    await machine.advance(50)
    expect(tries).toHaveLength(1)
    await machine.during(Promise.all([before, set('a', { name: 'two', inMs: 0 })]))
    await machine.advance(250)
    expect(machine.app.entity(kind).state('a')).toEqual({ fired: ['one', 'two'] })
  })

  test('fires once, not before its time, also for an entity at rest', async () => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'one', inMs: 5_000 })
    await machine.advance(4_990)
    expect(machine.app.entity(kind).state('a')).toEqual({ fired: [] })
    await machine.advance(100)
    expect(machine.app.entity(kind).state('a')).toEqual({ fired: ['one'] })
    await machine.advance(120_000)
    expect(await ask('a', 'fired')).toEqual(['one'])
  })

  test('survives a power cut, and fires late by the time the machine was down', async () => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'two', inMs: 5_000 })
    await ask('a', 'set', { name: 'one', inMs: 4_000 })
    await machine.powerCut()
    await machine.advance(60_000)
    await machine.start()
    await machine.advance(1_000)
    expect(await ask('a', 'fired')).toEqual(['one', 'two'])
  })

  test('that was replaced or cancelled does not fire', async () => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'one', inMs: 1_000 })
    await ask('a', 'set', { name: 'one', inMs: 60_000 })
    await ask('b', 'set', { name: 'one', inMs: 1_000 })
    expect(await ask('b', 'cancel')).toBe(true)
    await machine.advance(30_000)
    expect([await ask('a', 'fired'), await ask('b', 'fired')]).toEqual([[], []])
    await machine.advance(31_000)
    expect(await ask('a', 'fired')).toEqual(['one'])
  })

  test('that its own handler sets again stands', async () => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'again', inMs: 100 })
    await machine.advance(1_000)
    expect(await ask('a', 'fired')).toEqual(['again', 'again', 'again'])
  })

  test('of a durable worker fires too', async () => {
    const { machine } = await started()
    const { system } = machine
    const lone = system.to<Messages>('lone' as never)
    await machine.during(call(lone, 'set', { name: 'one', inMs: 500 }))
    await machine.advance(600)
    expect(await machine.during(call(lone, 'fired'))).toEqual(['one'])
    await machine.powerCut()
    await machine.start()
    const again = machine.system.to<Messages>('lone' as never)
    expect(await machine.during(call(again, 'fired'))).toEqual(['one'])
  })

  test('that fails is tried again after 1 s, doubling, and calls are answered meanwhile', async () => {
    const { machine, ask } = await started()
    failing = 3
    await ask('a', 'set', { name: 'one', inMs: 100 })
    const told: unknown[] = []
    telemetry<StorageEvents>(machine.system).on(
      'entity.failed',
      ({ entity: who, what, tries: count }) => told.push([who, what, count]),
    )
    await machine.advance(150)
    expect(await ask('a', 'fired')).toEqual([])
    await machine.advance(20_000)
    expect(await ask('a', 'fired')).toEqual(['one'])
    expect(told).toEqual([1, 2, 3].map((count) => ['clock/a', 'alarm one', count]))
    const at = tries.map((each) => Number(each.split(' ')[1]))
    const gaps = at.slice(1).map((ms, index) => ms - (at[index] ?? 0))
    expect(gaps.map((ms) => Math.round(ms / 1_000))).toEqual([1, 2, 4])
  })
})

test('context.step of an alarm is the same at each try, and differs between two of one turn', async () => {
  const steps: Record<string, string[]> = { a: [], b: [] }
  const ring = (name: 'a' | 'b') => (count: number, _: undefined, context: { step: string }) => {
    const seen = steps[name] as string[]
    seen.push(context.step)
    if (seen.length < 3) throw new Error('the bank is away')
    return noReply(count + 1)
  }
  const twins: DurableServer<TwinMessages, number> = {
    init: () => 0,
    calls: {
      set: (count, _, context) => {
        for (const name of ['a', 'b'] as const) context.setAlarm(name, { inMs: 5 })
        return reply(context.step, count)
      },
    },
    alarms: { a: ring('a'), b: ring('b') },
  }
  const twin = entity('twin', twins)
  const s = await simulated({ app: supervisor('app', {}, [twin]) })
  const turn = await s.during(call(s.app.entity(twin).ref('1'), 'set'))
  await s.advance(10_000)
  expect(s.app.entity(twin).state('1')).toBe(2)
  const { a, b } = steps
  expect([new Set(a).size, a?.length, new Set(b).size, b?.length]).toEqual([1, 3, 1, 3])
  expect(new Set([turn, a?.[0], b?.[0]]).size).toBe(3)
})

test('an alarm that its own handler sets again for now fires again at once', async () => {
  const fast: DurableServer<TwinMessages, number> = {
    init: () => 0,
    calls: {
      set: (count, _, context) => {
        context.setAlarm('a', { inMs: 0 })
        return reply(context.step, count)
      },
    },
    alarms: {
      a: (count, _, context) => {
        if (count < 4) context.setAlarm('a', { inMs: 0 })
        return noReply(count + 1)
      },
      b: (count) => noReply(count),
    },
  }
  const runner = entity('runner', fast)
  const s = await simulated({ app: supervisor('app', {}, [runner]), syncMs: 0 })
  await s.during(call(s.app.entity(runner).ref('1'), 'set'))
  await s.advance(20)
  expect(s.app.entity(runner).state('1')).toBe(5)
})

describe('a step', () => {
  test('runs right after its turn, once', async () => {
    const { machine, ask } = await started()
    await ask('a', 'charge', 'x')
    expect(await ask('a', 'fired')).toEqual(['x'])
    await machine.advance(60_000)
    expect(tries).toHaveLength(1)
  })

  test('that fails is tried again under the same name, over a power cut, while calls are answered', async () => {
    const { machine, ask } = await started()
    failing = 2
    await ask('a', 'charge', 'x')
    expect(await ask('a', 'fired')).toEqual([])
    await machine.powerCut()
    await machine.start()
    expect(await ask('a', 'fired')).toEqual([])
    await machine.advance(10_000)
    expect(await ask('a', 'fired')).toEqual(['x'])
    expect(tries).toHaveLength(3)
    expect(new Set(tries).size).toBe(1)
  })

  test('of an actor that nobody calls runs after a crash', async () => {
    const { machine, ask } = await started()
    failing = 1
    await ask('a', 'charge', 'x')
    await machine.settle()
    await machine.kill()
    await machine.start()
    await machine.advance(5_000)
    expect(machine.app.entity(kind).state('a')).toEqual({ fired: ['x'] })
  })
})

test.each(['blob_store', 'wal_writer', 'applier'])(
  'an alarm that is due while its shard recovers from the death of its %s fires then',
  async (actor) => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'two', inMs: 1_000 })
    machine.syncMs = 300
    await machine.advance(900)
    machine.system.kill(name(`${actor}(0)`))

    await machine.advance(2_000)

    expect(machine.app.entity(kind).state('a')).toEqual({ fired: ['two'] })
  },
)

test('many alarms at one moment are served, and calls are answered between them', async () => {
  const { machine, ask } = await started()
  for (let index = 0; index < 200; index++)
    void call(machine.app.entity(kind).ref(`e${index}`), 'set', { name: 'two', inMs: 2_000 })
  await machine.advance(1_500)
  await machine.advance(1_000)
  expect(await ask('x', 'fired')).toEqual([])
  await machine.advance(5_000)
  const fired = Array.from({ length: 200 }, (_, index) =>
    machine.app.entity(kind).state(`e${index}`),
  )
  expect(fired.every((state) => state?.fired.length === 1)).toBe(true)
})

test('a row that cannot be served delays no other alarm, and is asked for once a second', async () => {
  const odd = { ...server, version: 2, migrate: () => expect.unreachable() }
  const first = await started()
  const lone = first.machine.system.to<Messages>('lone' as never)
  await first.machine.during(call(lone, 'set', { name: 'one', inMs: 5_000 }))
  await first.machine.close()
  const s = first.machine
  await s.start({ app: supervisor('app', {}, [kind, worker('lone', odd, { durable: true })]) })
  await s.advance(5_000)
  for (let at = 0; at < 20; at++) await first.ask(`a${at}`, 'set', { name: 'one', inMs: at * 170 })
  const set = await s.during(s.app.entity(kind).alarms())
  const served = tries.length
  const blocked = s.system.whereis(name('lone')) as Ref
  const asked = () => s.system.info(blocked)?.handled ?? 0
  const before = asked()

  await s.advance(5_000)

  expect(asked() - before).toBeLessThanOrEqual(6)

  expect(set.length).toBeGreaterThan(10)
  const lateMs = set.map(({ at }, nth) => Number(tries[served + nth]?.split(' ')[1]) - at)
  expect(lateMs.filter((ms) => !(ms < 50))).toEqual([])
})

describe('a row whose actor is blocked', () => {
  const blocked = async () => {
    const { machine, ask } = await started()
    await ask('a', 'set', { name: 'one', inMs: 5_000 })
    await machine.close()
    const odd = entity('clock', { ...server, version: 2, migrate: () => expect.unreachable() })
    await machine.start({ app: supervisor('app', {}, [odd]) })
    const handle = machine.app.entity(odd)
    const alarms = async () => {
      const state = await machine.during(sys.getState(machine.system.to(Alarms.name(0))))
      const { later, walkAt } = state as { later: ReadonlyMap<string, number>; walkAt: number }
      return { noted: later.size, walkAt }
    }
    await machine.advance(5_100)
    expect([(await alarms()).noted, handle.blocked().size]).toEqual([1, 1])
    return { machine, handle, alarms }
  }

  test('is noted for a second, and then nothing walks', async () => {
    const { machine, alarms } = await blocked()

    await machine.advance(3_000)

    expect(await alarms()).toEqual({ noted: 0, walkAt: Number.POSITIVE_INFINITY })
  })

  test('is forgotten too if it is deleted within that second', async () => {
    const { machine, handle, alarms } = await blocked()
    await machine.during(handle.delete('a'))
    expect((await alarms()).noted).toBe(1)

    await machine.advance(3_000)

    expect(await alarms()).toEqual({ noted: 0, walkAt: Number.POSITIVE_INFINITY })
  })
})

test('an alarm whose handler was cut off fires again, though another of its actor was handled', async () => {
  let isHung = true
  const twins: DurableServer<TwinMessages, string> = {
    init: () => '',
    calls: {
      set: (done, _, context) => {
        for (const name of ['a', 'b'] as const) context.setAlarm(name, { inMs: 100 })
        return reply('set', done)
      },
    },
    alarms: {
      a: (done) => noReply(`${done}a`),
      b: (done) => (isHung ? new Promise(() => undefined) : noReply(`${done}b`)),
    },
  }
  const twin = entity('twin', twins)
  const s = await simulated({ app: supervisor('app', {}, [twin]) })
  await s.during(call(s.app.entity(twin).ref('1'), 'set'))
  await s.advance(200)
  expect(s.app.entity(twin).state('1')).toBe('a')
  isHung = false

  s.app.system.kill(name('twin/1'))
  await s.advance(2_500)

  expect(s.app.entity(twin).state('1')).toBe('ab')
})

test('an actor that failed to wake is asked again, also if a walk was under way', async () => {
  let fails = 0
  const wake = (): void => {
    if (fails-- > 0) throw new Error('not yet')
  }
  const waking = entity('clock', { ...server, wake }, { idleMs: 50 })
  const slow = slowKind()
  const s = await simulated({ app: supervisor('app', {}, [waking, slow]) })
  const set = (id: string) => call(s.app.entity(slow).ref(id), 'set', { inMs: 10_000, ms: 60_000 })
  await s.during(call(s.app.entity(waking).ref('a'), 'set', { name: 'two', inMs: 10_000 }))
  await s.during(Promise.all(Array.from({ length: 100 }, (_, at) => set(`slow${at}`))))
  fails = 1

  await s.advance(12_500)

  expect(fails).toBeLessThan(0)
  expect(s.app.entity(waking).state('a')?.fired).toEqual(['two'])
})

describe('a clock that is set', () => {
  const hour = 3_600_000

  const world = async () => {
    const computer = machine()
    const set = { by: 0 }
    const clock = { ...computer.clock, now: () => computer.clock.now() + set.by }
    const system = () => createSystem({ clock, logger: silentLogger })
    const start = () => computer.start({ app: supervisor('app', {}, [kind]), system: system() })
    return { ...computer, set, start }
  }

  test.each([-5 * hour, 5 * hour])(
    'by %i ms fires no alarm early, and none later than its time',
    async (byMs) => {
      const { clock, during, set, start } = await world()
      const app = await start()
      const fired = () => app.entity(kind).state('a')?.fired
      await during(call(app.entity(kind).ref('a'), 'set', { name: 'two', inMs: hour }))
      set.by = byMs
      await clock.advance(hour - 100)
      expect(fired()).toEqual([])
      await clock.advance(200)
      expect(fired()).toEqual(['two'])
      await during(call(app.entity(kind).ref('a'), 'set', { name: 'two', inMs: 10_000 }))
      await clock.advance(9_900)
      expect(fired()).toEqual(['two'])
      await clock.advance(200)
      expect(fired()).toEqual(['two', 'two'])
      await during(app.close())
    },
  )

  test('back while the program is away lets an alarm fire after its time, once', async () => {
    const { clock, during, set, start } = await world()
    const first = await start()
    await during(call(first.entity(kind).ref('a'), 'set', { name: 'two', inMs: hour }))
    await during(first.close())
    set.by = -5 * hour
    const app = await start()
    await clock.advance(hour - 10_000)
    expect(app.entity(kind).state('a')?.fired).toEqual([])
    await clock.advance(20_000)
    expect(app.entity(kind).state('a')?.fired).toEqual(['two'])
    expect(await during(app.entity(kind).alarms())).toEqual([])
    await during(app.close())
  })
})
