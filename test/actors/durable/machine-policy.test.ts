/** The policy of a durable machine: for the effects of its actions. */

import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

describe('a machine with a policy', () => {
  let tries = 0
  let isFailing = true

  const machineOf = (retry: object) =>
    StateMachine.durable(
      setup({
        actions: {
          act: () => {
            tries++
            if (isFailing) throw new Error('no')
          },
        },
      }).createMachine({
        initial: 'idle',
        states: { idle: { on: { go: 'gone' } }, gone: { entry: 'act', on: { back: 'idle' } } },
      }),
      { retry },
    )

  test('takes events while an effect is parked, and does the effect after unblock', async () => {
    const kind = entity('machine', machineOf({ max: 2, jitter: 0 }))
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    const handle = s.app.entity(kind)
    StateMachine.send(handle.ref('1'), { type: 'go' } as never)
    await s.advance(10_000)
    expect([tries, [...handle.blocked().keys()]]).toEqual([2, ['1']])
    StateMachine.send(handle.ref('1'), { type: 'back' } as never)
    await s.advance(10)
    expect(handle.state('1')?.value).toBe('idle')

    isFailing = false
    expect(await s.during(handle.unblock('1'))).toBe(true)
    await s.advance(10)
    expect([tries, handle.blocked().size, handle.state('1')?.actions]).toEqual([3, 0, []])
  })

  test('that is wrong is CONFIG', () => {
    const config = () => entity('machine', machineOf({ max: 0 }))
    expect(config).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  })
})
