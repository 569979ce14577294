// A service whose members each answer on a socket of their own, in the folder SOCKETS: runs, jobs, a schedule, alarms, a journal
// with a subscription, a projection, and at each member a copy of the keys `w/` by watch and page. Whatever the world outside
// would see of it is a line of the file LEDGER: what happened, to which, and the key under which it was asked.
import { appendFileSync } from 'node:fs'
import {
  call,
  defineConfig,
  entity,
  noReply,
  ok,
  projection,
  reply,
  supervisor,
  worker,
} from 'keelson'
import { flow, flows, queue, schedule, workflow } from 'keelson/flow'
import { deskOf } from './members/desk.mjs'

const { LEDGER = '', KEELSON_MEMBER: member = 'alone', SHARDS, STUCK_MS, ALONE } = process.env
const patiently = { timeoutMs: 60_000 }

const outside = (...words) => appendFileSync(LEDGER, `${words.join(' ')}\n`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const retry = { max: Number.POSITIVE_INFINITY, baseMs: 20, maxMs: 200 }

/** A step whose outcome is the key that the world outside saw. */
const step = (ctx, name) =>
  ctx.step(
    name,
    async ({ key, attempt }) => {
      outside('step', `${ctx.id}/${name}`, key)
      await pause(Math.random() * 20)
      if (attempt === 1 && Math.random() < 0.1) throw new Error('the line is busy')
      return key
    },
    { retry },
  )

const order = workflow('order', async (ctx) => {
  const charged = await step(ctx, 'charge')
  await ctx.sleep('pause', 30)
  return [charged, await step(ctx, 'ship')]
})

const mails = queue(
  'mails',
  async ({ id }, { key }) => {
    outside('job', id, key)
    await pause(Math.random() * 20)
  },
  { concurrency: 8, perKey: 1, retry, unique: '1h', keep: { results: '1h' } },
)

const report = workflow('report', (ctx, { at }) =>
  ctx.step('write', ({ key }) => outside('tick', at, key), { retry }),
)
const tick = schedule('tick', '* * * * * *', report, { missed: 'all', overlap: 'allow' })

/** Each alarm that was set is fired once: the count says how many were. */
const reminder = entity('reminder', {
  init: () => ({ fired: 0 }),
  calls: {
    remind: (state, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(state.fired, state)
    },
    fired: (state) => reply(state.fired, state),
  },
  alarms: { ring: ({ fired }) => noReply({ fired: fired + 1 }) },
})

/** What the keys `w/` have, once more. */
const seen = projection('seen', {
  version: 1,
  project: ({ kind, key, after }) => {
    if (kind !== 'value' || !key.startsWith('w/')) return []
    return [after === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: after }]
  },
})

const allOf = async (page) => {
  const found = []
  let cursor
  do {
    const { entries, cursor: next } = await page(cursor === undefined ? {} : { cursor })
    found.push(...entries)
    cursor = next
  } while (cursor !== undefined)
  return found
}

const prefix = 'w/'

/** What this member has copied. */
let copy = new Map()

/** The copy that the docs describe: begin a watch, read the range, then take the changes. */
const copier = {
  init: async (_, { app, system, self, signal }) => {
    copy = new Map()
    const watch = app.store.watch({ prefix, signal })
    await watch.ready
    const found = await allOf((more) => app.store.page({ prefix, limit: 100, ...more }))
    for (const [key, value] of found) copy.set(key, value)
    const takeAll = async () => {
      for await (const { kind, key, value } of watch)
        if (kind === 'put') copy.set(key, value)
        else if (kind === 'delete') copy.delete(key)
    }
    takeAll().catch((error) => {
      if (!signal.aborted) system.kill(self, error)
    })
    return ok(null)
  },
}

const reader = {
  init: (_, { app, signal }) =>
    ok(app.journal.subscribe({ name: 'out', signal, handler: ({ id }) => outside('entry', id) })),
}

const serve = (app) => ({
  put: ([key, value]) => app.store.put(prefix + key, value).then(() => true),
  remove: ([key]) => app.store.delete(prefix + key).then(() => true),
  run: ([id]) =>
    flow(app)
      .start(order, {}, { id })
      .then(() => true),
  result: ([id]) => flow(app).handle(order, id).result(patiently),
  add: ([id, key]) =>
    flow(app)
      .add(mails, { id }, { key, unique: id })
      .then((job) => job.id),
  job: ([id]) => flow(app).job(mails, id).get(),
  remind: ([id, inMs, key]) =>
    call(app.entity(reminder).ref(id), 'remind', inMs, { ...patiently, id: key }),
  fired: ([id]) => call(app.entity(reminder).ref(id), 'fired', undefined, patiently),
  append: ([id]) => app.journal.append({ id, type: 'note' }).then(({ lsn }) => lsn),
  backup: ([dir]) => app.backup(dir, { consistent: true }).then(() => true),
  load: ([key]) => app.store.load(prefix + key),
  copy: () => [...copy],
  page: () => allOf((more) => app.store.page({ prefix, limit: 100, ...more })),
  seen: () => allOf((more) => app.projection('seen').page({ limit: 100, ...more })),
  shards: () =>
    app
      .health()
      .shards.filter(({ phase }) => phase === 'open')
      .map(({ shard }) => shard),
})

export default defineConfig({
  dir: './data',
  shards: Number(SHARDS),
  ...(!ALONE && { members: { stuckMs: Number(STUCK_MS), intensity: 1_000_000 } }),
  // Small files, so that a disk can be filled.
  wal: { maxFileSize: 1 << 20 },
  projections: [seen],
  app: supervisor('app', { intensity: 1_000 }, [
    reminder,
    flows({ workflows: [order, report], queues: [mails], schedules: [tick] }),
    worker('copier', copier),
    worker('reader', reader),
    worker('desk', deskOf(serve, member)),
  ]),
})
