/** The player of Keelson: puts, workflows and a queue in one instance. `verify` asks every run for its result again. */
import { start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { byWriters, play } from '../entities/turn.mjs'
import { Jobs } from './jobs.mjs'
import { kinds, ways } from './ways.mjs'

const pad = 'x'.repeat(64)
const nothing = workflow('nothing', async (_, number) => number)
const steps = workflow('steps', async (ctx, number) => {
  const one = await ctx.step('one', () => number + 1)
  const two = await ctx.step('two', () => one + 1)
  return ctx.step('three', () => two + 1)
})
const jobs = new Jobs()
const handler = (number) => {
  jobs.begin()
  jobs.end(number)
}
const handled = queue('jobs', handler, { concurrency: 64 })
const app = await start({
  dir: process.argv[2],
  app: supervisor('app', {}, [...kinds, flows({ workflows: [nothing, steps], queues: [handled] })]),
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

let others = 0

/** The three steps without a workflow. */
const go = async (way) => {
  const answer = await ways[way](app, `${others++}`, 1)
  if (answer !== 4) throw new Error(`the ${way} answers ${answer}`)
}

/** Every handler has run, and the queue has recorded every end. */
const drain = async () => {
  await jobs.drain()
  for (let left = 1; left > 0; ) {
    const { ready, delayed, running, dead } = await runs.counts(handled)
    if (dead > 0) throw new Error(`${dead} jobs are dead`)
    left = ready + delayed + running
  }
}

const add = (number) => runs.add(handled, number)
const hundred = () => Array.from({ length: 100 }, () => jobs.next())

const works = {
  put: (writer) => app.store.put(`counter:${writer}`, { count: 1, pad }),
  nothing: () => run(nothing),
  steps: () => run(steps),
  actor: () => go('actor'),
  machine: () => go('machine'),
}

const turns = {
  add: ({ inFlight, seconds }) => byWriters(inFlight, seconds, () => add(jobs.next()), { drain }),
  addMany: ({ inFlight, seconds }) =>
    byWriters(inFlight, seconds, () => runs.addMany(handled, hundred()), { drain, size: 100 }),
  idle: ({ seconds }) => jobs.idle(seconds, add),
}

play({
  turn: (order) =>
    turns[order.work]?.(order) ?? byWriters(order.inFlight, order.seconds, works[order.work]),
  verify: async () => {
    for (const [type, count] of begun)
      for (let at = 0; at < count; at++) await check(type, runs.handle(type, `${at}`))
    return [...begun.values()].reduce((sum, count) => sum + count, 0)
  },
  close: () => app.close(),
})
