/** Delayed events of a machine: their ids, odd delays, and those for other processes. */
import { describe, expect, test } from 'vitest'
import { type AnyActorRef, assign, raise, sendTo, setup } from 'xstate'
import { isKeelsonError } from '../../../src/errors.ts'
import { type GenServer, getState, noReply } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { reasonOfEnd, started } from '../state-machine/machine-process.ts'

type Event = { readonly type: 'one' } | { readonly type: 'two' } | { readonly type: 'three' }

const notes = setup({
  types: {} as { context: { seen: readonly string[] }; events: Event },
  actions: {
    note: assign({ seen: ({ context, event }) => [...context.seen, event.type] }),
  },
})

describe('a delayed event', () => {
  test('without an id is apart from others, also from one whose id begins with ~', async () => {
    const machine = notes.createMachine({
      context: { seen: [] },
      entry: raise({ type: 'one' }, { delay: 10, id: '~x' }),
      on: {
        one: {
          actions: [
            'note',
            raise({ type: 'two' }, { delay: 10 }),
            raise({ type: 'three' }, { delay: 20 }),
          ],
        },
        two: { actions: 'note' },
        three: { actions: 'note' },
      },
    })
    const { clock, ref } = await started(StateMachine.server(machine))

    await clock.advance(40)

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['one', 'two', 'three'])
  })

  test('whose delay is no number comes at once, as in XState', async () => {
    const machine = notes.createMachine({
      context: { seen: [] },
      entry: raise({ type: 'one' }, { delay: Number.NaN }),
      on: { one: { actions: 'note' } },
    })
    const { clock, ref } = await started(StateMachine.server(machine))

    await clock.advance(1)

    expect((await StateMachine.snapshot(ref)).context.seen).toEqual(['one'])
  })
})

describe('a delayed event for another process', () => {
  const ear: GenServer<{ casts: { event: (event: unknown) => void } }, unknown[]> = {
    init: () => [],
    casts: { event: (heard, event) => noReply([...heard, event]) },
  }

  const speaking = async (save?: () => void) => {
    const { system, clock } = testSystem()
    const heard = await system.start(ear)
    const target = StateMachine.actorOf(heard as never) as unknown as AnyActorRef
    const machine = setup({ types: {} as { events: { type: 'say' } } }).createMachine({
      on: { say: { actions: sendTo(() => target, { type: 'hello' }, { delay: 10 }) } },
    })
    const ref = await system.start(StateMachine.server(machine, { save }))
    const reason = reasonOfEnd(system, ref)
    StateMachine.send(ref, { type: 'say' })
    await clock.advance(20)
    return { reason, heard: await getState(heard) }
  }

  test('comes there', async () => {
    expect((await speaking()).heard).toEqual([{ type: 'hello' }])
  })

  test('is refused if the machine is saved, since a restart would lose it', async () => {
    const { reason, heard } = await speaking(() => {})

    expect(isKeelsonError(await reason, 'INVALID_ARGUMENT')).toBe(true)
    expect(heard).toEqual([])
  })
})
