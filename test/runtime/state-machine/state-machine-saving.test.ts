/** A machine that is saved after each change: the moment of the saving, and a restart from it. */
import { describe, expect, test } from 'vitest'
import { name, startSupervisor, supervisor, worker } from '../../../src/runtime/index.ts'
import { type MessagesOf, StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { crossing, type Saved, stateOf } from './crossing.ts'
import { reasonOfEnd } from './machine-process.ts'

describe('saving', () => {
  const supervised = async (
    save: (saved: Saved) => void | Promise<void>,
    restore: () => Saved | undefined,
  ) => {
    const { system, clock } = testSystem()
    const keeping = StateMachine.server(crossing, { save, restore })
    const at = name<MessagesOf<typeof keeping>>('crossing')
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        worker('crossing', keeping, undefined, { name: at }),
      ]),
    )
    return { clock, ref: system.to(at) }
  }

  test('after each change lets a restarted machine go on where the crashed one was', async () => {
    let kept: string | undefined
    const { clock, ref } = await supervised(
      (saved) => {
        kept = JSON.stringify(saved)
      },
      () => (kept === undefined ? undefined : JSON.parse(kept)),
    )
    StateMachine.send(ref, { type: 'press' })
    await clock.advance(1_000)
    const before = ref.pid
    StateMachine.send(ref, { type: 'crash' })
    await clock.settle()
    expect(ref.pid).not.toBe(before)
    expect(await stateOf(ref)).toBe('yellow')

    await clock.advance(2_000)

    expect(await stateOf(ref)).toBe('red')
  })

  test('is awaited before the next event and before the answer', async () => {
    const { system, clock } = testSystem()
    const order: string[] = []
    let go: () => void = () => {}
    const keeping = StateMachine.server(crossing, {
      answers: { press: ({ value }) => value },
      save: ({ value }) =>
        new Promise<void>((resolve) => {
          order.push(`save ${String(value)}`)
          go = () => {
            order.push('saved')
            resolve()
          }
        }),
    })
    const ref = await system.start(keeping)
    const answered = StateMachine.call(ref, { type: 'press' }).then((value) =>
      order.push(`answer ${String(value)}`),
    )
    StateMachine.send(ref, { type: 'ringLater', at: 'noon', ms: 5 })
    await clock.settle()
    expect(order).toEqual(['save yellow'])

    go()
    await answered
    await clock.settle()

    expect(order.slice(0, 3)).toEqual(['save yellow', 'saved', 'answer yellow'])
  })

  test('that fails ends the process with its error', async () => {
    const { system } = testSystem()
    const full = new Error('disk full')
    const failing = StateMachine.server(crossing, { save: () => Promise.reject(full) })
    const ref = await system.start(failing)
    const reason = reasonOfEnd(system, ref)

    StateMachine.send(ref, { type: 'press' })

    expect(await reason).toBe(full)
  })
})
