// Runs, jobs and entities with attributes that change, which are found by `where`.
import { call, entity, reply, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { serving } from './serving.mjs'

const patiently = { timeoutMs: 60_000 }

/** Its stage is that of each signal, until one says `done`. */
const order = workflow('order', async (ctx) => {
  for (let stage = 'begun'; ; stage = await ctx.waitFor('stage')) {
    await ctx.attributes({ stage, isLate: stage === 'begun' ? null : true })
    if (stage === 'done') return stage
  }
})

const jobs = queue('jobs', (input) => input, { unique: '1d', keep: { results: '1d' } })

const account = entity('account', {
  init: () => ({}),
  index: ({ customer, stage }) => ({ customer, stage }),
  calls: { set: (state, change) => reply(undefined, { ...state, ...change }) },
})

const all = async (page) => {
  const found = []
  let cursor
  do {
    const { entries, cursor: next } = await page({ limit: 7, ...(cursor && { cursor }) })
    found.push(...entries)
    cursor = next
  } while (cursor !== undefined)
  return found
}

const byId = (one, other) => (one.id < other.id ? -1 : 1)

await serving(
  { app: supervisor('app', {}, [account, flows({ workflows: [order], queues: [jobs] })]) },
  (app) => {
    const run = (id) => flow(app).handle(order, id)
    const accounts = app.entity(account)
    const pages = {
      runs: (more) => flow(app).read('list', { type: order, ...more }),
      jobs: (more) => flow(app).read('jobs', jobs, more),
      accounts: (more) => accounts.page(more),
    }
    return {
      start: ([id, attributes]) =>
        flow(app)
          .start(order, undefined, { id, attributes })
          .then(() => true),
      stage: ([id, stage]) =>
        run(id)
          .signal('stage', stage, { id: `${id} ${stage}` })
          .then(() => true),
      result: ([id]) => run(id).result(patiently),
      add: ([id, attributes]) =>
        flow(app)
          .add(jobs, id, { unique: id, attributes })
          .then((job) => job.id),
      jobResult: ([id]) => flow(app).job(jobs, id).result(patiently),
      set: ([id, change]) => call(accounts.ref(id), 'set', change, patiently).then(() => true),
      /** What each row says of itself, by ids. */
      rows: async ([what]) => {
        if (what === 'jobs') {
          const states = ['waiting', 'delayed', 'running', 'dead', 'done']
          const found = await Promise.all(
            states.map((state) => all((more) => pages.jobs({ state, ...more }))),
          )
          return found
            .flat()
            .map(({ id, attributes = {} }) => ({ id, fields: attributes }))
            .sort(byId)
        }
        const found = await all(pages[what])
        if (what === 'runs')
          return found
            .map(({ id, status, attributes = {} }) => ({ id, fields: { status, ...attributes } }))
            .sort(byId)
        return found.map(({ id, state }) => ({ id, fields: state })).sort(byId)
      },
      where: async ([what, where]) =>
        (await all((more) => pages[what]({ where, ...more }))).map(({ id }) => id).sort(),
    }
  },
)
