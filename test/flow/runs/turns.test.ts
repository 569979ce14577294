/** The turns of a run, as pure changes of its state and rows. */
import { expect, test } from 'vitest'
import type { RunState } from '../../../src/flow/runs/record.ts'
import { recording, type TurnContext } from '../../../src/flow/runs/turns.ts'

test('an operation gets one outcome, also from a life that does not know of the first yet', () => {
  const rows = new Map<string, unknown>()
  const context = {
    now: () => 1,
    rows: {
      put: (key: string, value: unknown) => rows.set(key, value),
      get: (key: string) => rows.get(key),
    },
  } as unknown as TurnContext
  const born = { status: 'running', lap: 0, operations: 0, outcomes: 0 } as RunState
  const wait = { kind: 'wait', key: 'approval' } as const
  const [begun, waiting] = recording(born, context, { ...wait, recorded: undefined }, { dueAt: 5 })
  const known = { ...wait, recorded: begun }
  const signal = { outcome: { kind: 'ok', value: 'yes' } } as const
  const [, received] = recording(waiting, context, known, signal)

  const timedOut = recording(received, context, known, { outcome: { kind: 'ok' } })

  expect(timedOut).toEqual([undefined, received])
  expect([...rows.values()]).toMatchObject([{ place: 1, ...signal }])
})
