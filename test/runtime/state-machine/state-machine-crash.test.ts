/** The crash report of a machine shows its snapshot without XState's machinery. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import type { StatusParts } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'

const safe = setup({
  types: {} as { context: { code: string }; events: { type: 'break' } },
  actions: {
    fail: () => {
      throw new Error('boom')
    },
  },
}).createMachine({
  initial: 'shut',
  context: { code: '1234' },
  states: { shut: { on: { break: { actions: 'fail' } } } },
})

const reportOf = async (options: object): Promise<Record<string, string>> => {
  const { system, log, settle } = testSystem()
  const ref = await system.start(StateMachine.server(safe, options as never))
  StateMachine.send(ref, { type: 'break' })
  await settle()
  return JSON.parse(JSON.stringify(log.lines[0]?.facts)).report
}

test('a machine that fails is reported with its state, context and event', async () => {
  const report = await reportOf({})
  expect(report['last message']).toBe('cast event {type: "break"}')
  expect(report.state).toMatch(/status: "active".*context: \{code: "1234"\}, value: "shut"/)
  expect(report.state).not.toContain('StateNode')
})

test('its formatStatus decides what is shown of it', async () => {
  const formatStatus = ({ state }: StatusParts<{ value: unknown }>) => ({ state: state.value })
  expect((await reportOf({ formatStatus })).state).toBe('"shut"')
})
