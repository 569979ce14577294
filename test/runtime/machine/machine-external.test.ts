/** Events that a step sends to its own machine are external: what the step starts comes first. */
import { expect, onTestFinished, test } from 'vitest'
import { createActor, fromCallback, sendParent, sendTo, setup } from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Log = (what: string) => void

const machineOf = (log: Log, sender: 'self' | 'child') =>
  setup({
    actors: {
      work: fromCallback(() => {
        log('up')
        return () => log('down')
      }),
      child: setup({}).createMachine({ entry: sendParent({ type: 'out' }) }),
    },
  }).createMachine({
    initial: 'idle',
    states: {
      idle: { on: { go: 'works' } },
      works: {
        entry: sender === 'self' ? sendTo(({ self }) => self, { type: 'out' }) : [],
        invoke: [{ src: 'work' }, ...(sender === 'child' ? [{ src: 'child' as const }] : [])],
        on: { out: 'left' },
      },
      left: {},
    },
  })

test.each(['self', 'child'] as const)(
  'a callback starts before its state is left by an event that its step sent (%s)',
  async (sender) => {
    const [theirs, ours]: [string[], string[]] = [[], []]
    const actor = createActor(machineOf((what) => theirs.push(what), sender)).start()
    actor.send({ type: 'go' })
    const { system, clock, close } = testSystem()
    onTestFinished(() => close())
    const machine = machineOf((what) => ours.push(what), sender)
    const ref = await system.start(StateMachine.server(machine))
    StateMachine.send(ref, { type: 'go' } as never)
    await clock.settle()

    expect([theirs, ours]).toEqual([
      ['up', 'down'],
      ['up', 'down'],
    ])
    expect((await StateMachine.snapshot(ref)).value).toBe('left')
  },
)
