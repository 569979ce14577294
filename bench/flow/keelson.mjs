/** The player of Keelson: puts and workflows in one instance. `verify` asks every run for its result again. */
import { start, supervisor } from 'keelson'
import { flow, flows, workflow } from 'keelson/flow'
import { byWriters, play } from '../entities/turn.mjs'

const pad = 'x'.repeat(64)
const nothing = workflow('nothing', async (_, number) => number)
const steps = workflow('steps', async (ctx, number) => {
  const one = await ctx.step('one', () => number + 1)
  const two = await ctx.step('two', () => one + 1)
  return ctx.step('three', () => two + 1)
})
const app = await start({
  dir: process.argv[2],
  app: supervisor('app', {}, [flows({ workflows: [nothing, steps] })]),
})
const runs = flow(app)
const begun = new Map([nothing, steps].map((type) => [type, 0]))
const expected = new Map([
  [nothing, 1],
  [steps, 4],
])

const check = async (type, handle) => {
  const result = await handle.result()
  if (result !== expected.get(type)) throw new Error(`${type.name} ${handle.id} answers ${result}`)
}

const run = async (type) => {
  const id = `${begun.get(type)}`
  begun.set(type, begun.get(type) + 1)
  await check(type, await runs.start(type, 1, { id }))
}

const works = {
  put: (writer) => app.store.put(`counter:${writer}`, { count: 1, pad }),
  nothing: () => run(nothing),
  steps: () => run(steps),
}

play({
  turn: ({ work, inFlight, seconds }) => byWriters(inFlight, seconds, works[work]),
  verify: async () => {
    for (const [type, count] of begun)
      for (let at = 0; at < count; at++) await check(type, runs.handle(type, `${at}`))
    return [...begun.values()].reduce((sum, count) => sum + count, 0)
  },
  close: () => app.close(),
})
