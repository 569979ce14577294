/** What a durable machine invokes belongs to one life of its actor, as background work does. */
import { expect, onTestFinished, test } from 'vitest'
import { assign, fromPromise, setup } from 'xstate'
import { entity, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { startSimulated } from '../../../src/testing/index.ts'

test('a promise of a killed life is aborted, and its late result reaches no other life', async () => {
  let lives = 0
  const seen: string[] = []
  const machine = setup({
    types: {} as { context: { got: readonly number[] }; events: { type: 'go' } },
    actors: {
      slow: fromPromise(async ({ signal }) => {
        const life = ++lives
        signal.addEventListener('abort', () => seen.push(`aborted ${life}`))
        await new Promise<void>((resolve) => s.clock.after(10_000, resolve))
        seen.push(`settled ${life}`)
        return life
      }),
    },
    actions: {
      keep: assign({
        got: ({ context, event }) => [
          ...context.got,
          (event as never as { output: number }).output,
        ],
      }),
    },
  }).createMachine({
    id: 'order',
    initial: 'idle',
    context: { got: [] },
    states: {
      idle: { on: { go: 'waiting' } },
      waiting: {
        invoke: { src: 'slow', onDone: { target: 'waiting', reenter: true, actions: 'keep' } },
      },
    },
  })
  const kind = entity('order', StateMachine.durable(machine))
  const s = await startSimulated({ app: supervisor('app', {}, [kind]) })
  onTestFinished(() => s.close({ deadlineMs: 10 }))
  const ref = s.app.entity(kind).ref('1') as never
  const got = () =>
    (s.app.entity(kind).state('1') as never as { context: { got: number[] } }).context.got

  StateMachine.send(ref, { type: 'go' } as never)
  await s.advance(5_000)
  s.system.kill(s.app.entities.holder('order/1')?.address as never)
  expect(seen).toEqual(['aborted 1'])
  await s.during(StateMachine.snapshot(ref))
  await s.advance(6_000)
  expect([seen, got()]).toEqual([['aborted 1', 'settled 1'], []])
  await s.advance(6_000)
  expect([seen.slice(2), got()]).toEqual([['settled 2'], [2]])
})
