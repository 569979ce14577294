/** What a finding says of the place: in the code of users, and in a machine. */
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import { call, entity, reply, supervisor } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Body = (ctx: Ctx<{ go: undefined }>) => Promise<unknown>

const light = (names: readonly string[]) => {
  const states = Object.fromEntries(names.map((name) => [name, { on: { go: names.at(-1) } }]))
  const machine = setup({ types: {} as { events: { type: 'go' } } }).createMachine({
    id: 'light',
    initial: 'off',
    states: states as never,
  })
  return StateMachine.durable(
    machine as never,
    {
      version: 1,
      answers: { go: ({ value }: { value: unknown }) => value },
    } as never,
  ) as never
}

const treeOf = (body: Body, names: readonly string[], account: object = {}) =>
  supervisor('app', {}, [
    flows({ workflows: [workflow('order', body)] }),
    entity('light', light(names)),
    entity('account', {
      init: () => 0,
      calls: { add: (count: number) => reply(count + 1, count + 1) },
      ...account,
    } as never),
  ])

const reserves: Body = async (ctx) => {
  await ctx.step('reserve', () => 1)
  await ctx.waitFor('go')
}

const here = /places\.test\.ts:\d+:\d+$/

const judged = async (after: ReturnType<typeof treeOf>) => {
  const s = await simulated({ app: treeOf(reserves, ['off', 'red']) })
  const order = workflow('order', reserves)
  await s.during(flow(s.app).start(order, undefined, { id: '1' }))
  await s.during(call(s.app.entity('account').ref('a') as never, 'add' as never))
  const hall = s.app.entity('light').ref('hall')
  await s.during(StateMachine.call(hall as never, { type: 'go' } as never))
  await s.advance(5_000)
  const { findings } = await s.during(rehearse({ from: s.app, app: after }))
  return Object.fromEntries(findings.map(({ kind, examples }) => [kind, examples[0]?.reason]))
}

test('a body that asks for another kind of operation is named with its place', async () => {
  const sleeps: Body = async (ctx) => {
    await ctx.sleep('reserve', 1)
    await ctx.waitFor('go')
  }

  const found = await judged(treeOf(sleeps, ['off', 'red']))

  expect(found['workflow order']).toMatch(here)
  expect(found['workflow order']).toContain('recorded reserve as a step, now it is a sleep, at /')
})

test('a migrate that throws is named with its place, and a missing one has none', async () => {
  const migrate = () => {
    throw new Error('a mistake')
  }

  const thrown = await judged(treeOf(reserves, ['off', 'red'], { version: 2, migrate }))
  const missing = await judged(treeOf(reserves, ['off', 'red'], { version: 2 }))

  expect(thrown['entity account']).toMatch(/^a mistake, at \//)
  expect(thrown['entity account']).toMatch(here)
  expect(missing['entity account']).toBe('there is no migrate from version 1')
})

test('a machine that changed is named with the state that it is in', async () => {
  const found = await judged(treeOf(reserves, ['off', 'green']))

  expect(found['entity light']).toBe('its machine changed, but not its version: it is in red')
})
