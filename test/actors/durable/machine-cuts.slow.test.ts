/**
 * A durable machine whose power goes at any write of its log, or whose process is killed there, takes
 * the external events of its steps in XState's order, and each once.
 */
import { expect, onTestFinished, test } from 'vitest'
import {
  type AnyStateMachine,
  createActor,
  fromCallback,
  SimulatedClock,
  sendParent,
  sendTo,
  setup,
} from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import {
  type SavedMachine,
  StateMachine,
} from '../../../src/runtime/state-machine/state-machine.ts'
import { startSimulated } from '../../../src/testing/index.ts'

type Log = (what: string, self: object) => void

/** Its steps send events to itself and get some back from a child, and start and end callbacks. */
const machineOf = (log: Log): AnyStateMachine => {
  const told = ({ self, event }: { self: object; event: { type: string } }): void =>
    log(`told ${event.type}`, self)
  const child = setup({ actions: { told } }).createMachine({
    id: 'child',
    initial: 'idle',
    entry: sendParent({ type: 'begun' }),
    states: {
      idle: { on: { poke: 'poked' } },
      poked: {
        entry: ['told', sendParent({ type: 'first' }), sendParent({ type: 'second' })],
        after: { 10: 'done' },
      },
      done: { type: 'final', entry: ['told', sendParent({ type: 'last' })] },
    },
  })
  const work = fromCallback(({ self }) => {
    log('up', self)
    return () => log('down', self)
  })
  return setup({ actors: { child, work }, actions: { told } }).createMachine({
    id: 'm',
    initial: 'idle',
    on: { '*': { actions: 'told' } },
    states: {
      idle: { on: { go: 'works' } },
      works: {
        entry: [
          'told',
          sendTo(({ self }) => self, { type: 'own' }),
          sendTo(({ self }) => self, { type: 'out' }),
        ],
        invoke: [{ src: 'work' }, { src: 'child', id: 'one' }],
        on: { out: { target: 'pokes', actions: 'told' } },
      },
      pokes: {
        invoke: { src: 'child', id: 'two' },
        entry: [
          'told',
          sendTo('two', { type: 'poke' }),
          sendTo(({ self }) => self, { type: 'own' }),
        ],
        on: { last: { target: 'end', actions: 'told' } },
      },
      end: { entry: ['told', sendTo(({ self }) => self, { type: 'own' })] },
    },
  } as never) as unknown as AnyStateMachine
}

/** What XState's own actor does. */
const byXState = (): readonly string[] => {
  const told: string[] = []
  const clock = new SimulatedClock()
  const actor = createActor(
    machineOf((what) => told.push(what)),
    { clock },
  ).start()
  actor.send({ type: 'go' } as never)
  clock.increment(30)
  return told
}

type Crash = 'kill' | 'power cut'

/** An entity whose instance ends at the `nth` write of the log. `live` starts it again. */
const cutting = async (machine: AnyStateMachine, nth: number, crash: Crash) => {
  const kind = entity('m', StateMachine.durable(machine) as never)
  const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  s.disk.inject({
    at: nth,
    operation: 'write',
    path: '/data/shard-0/wal/',
    fault: { kind: 'halt' },
  })
  const ref = () => s.app.entity('m').ref('1') as never
  const go = (): void => void StateMachine.send(ref(), { type: 'go' } as never)
  const state = () => s.app.entity('m').state('1') as SavedMachine | undefined
  /** Whether it was cut. */
  const live = async (ms: number): Promise<boolean> => {
    let isCut = false
    for (let passed = 0; passed < ms; passed++) {
      await s.advance(1)
      if (!s.disk.isHalted) continue
      await (crash === 'kill' ? s.kill() : s.powerCut({ unsynced: 'lost' }))
      await s.start()
      isCut = true
      const saved = state()
      if (saved === undefined || saved.value === 'idle') go()
      // A look wakes it at once.
      await s.during(StateMachine.snapshot(ref()))
    }
    return isCut
  }
  return { s, go, live, state }
}

/** What an entity does whose instance ends at the `nth` write of the log. `cut`: whether it did. */
const cutAt = async (nth: number, crash: Crash) => {
  const told: string[] = []
  const steps = new Set<string>()
  const machine = machineOf((what, self) => {
    const step = `${StateMachine.stepOf(self as never)} ${what}`
    // A callback ends with its process, and starts again with the next one.
    if (cutter.s.disk.isHalted) return
    if (!steps.has(step)) told.push(what)
    steps.add(step)
  })
  const cutter = await cutting(machine, nth, crash)
  cutter.go()
  return { told, cut: await cutter.live(60) }
}

test.each(['kill', 'power cut'] as const)('a %s at each write of the log', async (crash) => {
  const expected = byXState()
  for (let nth = 1; ; nth++) {
    const { told, cut } = await cutAt(nth, crash)
    expect(told, `${nth}`).toEqual(expected)
    if (!cut) return expect(nth).toBeGreaterThan(6)
  }
})

test.each(['kill', 'power cut'] as const)(
  'a %s at each write of the log loses no failure of a machine inside',
  async (crash) => {
    const act = (): void => {
      throw new Error('the action of a child')
    }
    const child = setup({ actions: { act } }).createMachine({ id: 'child', entry: 'act' })
    const machine = setup({ actors: { child } }).createMachine({
      id: 'm',
      initial: 'idle',
      states: {
        idle: { on: { go: 'works' } },
        works: { invoke: { src: 'child', onError: 'failed' } },
        failed: {},
      },
    } as never) as unknown as AnyStateMachine
    for (let nth = 1; ; nth++) {
      const { go, live, state } = await cutting(machine, nth, crash)
      go()
      const isCut = await live(60)
      expect([state()?.value, state()?.actions], `${nth}`).toEqual(['failed', []])
      if (!isCut) return expect(nth).toBeGreaterThan(2)
    }
  },
)
