/** The delayed events of a durable machine: when they come, and what is refused. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { type AnyActorRef, fromCallback, sendParent, sendTo, setup, spawnChild } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { machine, simulated } from '../../support/worlds/simulated-instance.ts'

const hour = 3_600_000

describe('when the clock of the computer is set', () => {
  /** Two timers beside each other: `long` from the beginning, `short` from `go` on. */
  const regions = setup({}).createMachine({
    type: 'parallel',
    states: {
      long: { initial: 'on', states: { on: { after: { [2 * hour]: 'over' } }, over: {} } },
      short: {
        initial: 'off',
        states: {
          off: { on: { go: 'on' } },
          on: { after: { 10000: 'over' } },
          over: { on: { go: 'on' } },
        },
      },
    },
  })
  const kind = entity('regions', StateMachine.durable(regions), { idleMs: 1_000 })

  const world = async () => {
    const { clock, during, start } = machine()
    const set = { by: 0 }
    const settable = { ...clock, now: () => clock.now() + set.by }
    const system = createSystem({ clock: settable, logger: silentLogger })
    const app = await start({ app: supervisor('app', {}, [kind]), system })
    onTestFinished(async () => void (await during(app.close())))
    const go = async (): Promise<void> => {
      StateMachine.send(app.entity(kind).ref('1'), { type: 'go' } as never)
      await clock.advance(100)
    }
    const value = () => app.entity(kind).state('1')?.value
    return { clock, set, go, value }
  }

  test.each([3 * hour, -3 * hour])('by %i ms, no timer is early or late', async (byMs) => {
    const { clock, set, go, value } = await world()
    await go()
    await clock.advance(60_000)
    expect(value()).toEqual({ long: 'on', short: 'over' })

    set.by = byMs
    await go()
    await clock.advance(9_800)
    expect(value()).toEqual({ long: 'on', short: 'on' })
    await clock.advance(200)
    expect(value()).toEqual({ long: 'on', short: 'over' })

    await clock.advance(2 * hour - 60_000 - 10_200 - 100)
    expect(value()).toEqual({ long: 'on', short: 'over' })
    await clock.advance(200)
    expect(value()).toEqual({ long: 'over', short: 'over' })
  })
})

describe('a delayed event of a durable machine', () => {
  /** Sends a delayed event to the actor of a process, and one to an actor inside. */
  const sender = setup({
    actors: {
      heard: fromCallback(({ receive, sendBack }) => receive(() => sendBack({ type: 'heard' }))),
    },
    delays: { later: 1_000 },
  }).createMachine({
    initial: 'here',
    states: {
      here: {
        invoke: { src: 'heard', id: 'inside' },
        on: {
          outside: {
            actions: sendTo(
              ({ self }) =>
                StateMachine.actorOf(StateMachine.contextOf(self).self as never) as AnyActorRef,
              { type: 'toggle' },
              { delay: 'later' },
            ),
          },
          inside: { actions: sendTo('inside', { type: 'toggle' }, { delay: 'later' }) },
          heard: 'there',
        },
      },
      there: {},
    },
  })
  const answers = { outside: () => 'taken', inside: () => 'taken' } as never
  const kind = entity('sender', StateMachine.durable(sender, { answers }))

  const world = async () => {
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    const handle = s.app.entity(kind)
    const ask = (type: string) =>
      s.during(StateMachine.call(handle.ref('1') as never, { type } as never))
    return { s, ask, value: () => handle.state('1')?.value }
  }

  test('is refused if it is for another process, and its turn is taken back', async () => {
    const { ask, value } = await world()
    await expect(ask('outside')).rejects.toMatchObject({
      details: { reason: { code: 'INVALID_ARGUMENT' } },
    })
    expect(value()).toBeUndefined()
  })

  test('comes in a child that was spawned without an id, after a crash as well', async () => {
    const child = setup({}).createMachine({
      initial: 'waiting',
      states: {
        waiting: { after: { 1000: 'over' } },
        over: { entry: sendParent({ type: 'heard' }) },
      },
    })
    const spawning = setup({ actors: { child } }).createMachine({
      initial: 'here',
      states: { here: { on: { go: { actions: spawnChild('child') }, heard: 'there' } }, there: {} },
    })
    const spawners = entity('spawner', StateMachine.durable(spawning))
    const s = await simulated({ app: supervisor('app', {}, [spawners]) })
    const value = () => s.app.entity(spawners).state('1')?.value
    StateMachine.send(s.app.entity(spawners).ref('1'), { type: 'go' } as never)
    await s.advance(500)

    await s.powerCut()
    await s.start()
    await s.advance(400)
    expect(value()).toBe('here')
    await s.advance(200)

    expect(value()).toBe('there')
  })

  test('comes if it is for an actor inside', async () => {
    const { s, ask, value } = await world()
    await ask('inside')
    await s.advance(900)
    expect(value()).toBe('here')
    await s.advance(200)
    expect(value()).toBe('there')
  })

  test('that throws is tried again, and holds up the later ones, which come after it', async () => {
    const told: string[] = []
    let isBad = true
    const guard = (): boolean => {
      if (isBad) throw new Error('not yet')
      return true
    }
    const tells = (what: string) => ({ entry: () => void told.push(what) })
    const two = setup({}).createMachine({
      type: 'parallel',
      on: { go: {} },
      states: {
        bad: {
          initial: 'on',
          states: { on: { after: { 1000: { guard, target: 'over' } } }, over: tells('bad') },
        },
        good: { initial: 'on', states: { on: { after: { 1400: 'over' } }, over: tells('good') } },
      },
    })
    const kinds = entity('two', StateMachine.durable(two))
    const s = await simulated({ app: supervisor('app', {}, [kinds]) })
    StateMachine.send(s.app.entity(kinds).ref('1'), { type: 'go' } as never)
    await s.advance(10_000)
    expect(told).toEqual([])

    isBad = false
    await s.advance(10_000)
    expect(told).toEqual(['bad', 'good'])
  })
})
