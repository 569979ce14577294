// Calls about jobs and schedules, and orders whose turns ask for runs, until it is killed. Whatever a
// caller or a handler sees goes to pipe 3, as calls of the ledgers of `flow-handles-kill.long.test.ts`.
// Arguments: the folder, `new` or `last`, and what the test knows: the ids of jobs, orders without an
// answer, and the first new number.
import { writeSync } from 'node:fs'
import { call, entity, isKeelsonError, ok, reply, start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'

const [dir, mode, knownText] = process.argv.slice(2)
const known = JSON.parse(knownText)
const say = (ledger, what, ...given) =>
  writeSync(3, `${JSON.stringify([ledger, what, ...given])}\n`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const pick = (from) => from[Math.floor(Math.random() * from.length)]
const keep = { completed: '9999d' }

let tries = 0
const handles = async ({ name, fails }, { key, attempt, signal, log, progress }) => {
  const id = key.split('/').at(-1)
  const own = `${process.pid}.${++tries}`
  say('jobs', 'begins', id, name, attempt, Date.now())
  const says = (what) => {
    const line = `${what} ${own}`
    log(line)
    say('jobs', 'logs', id, line)
    progress(line)
    say('jobs', 'shows', id, line)
  }
  says('begins')
  signal.addEventListener('abort', () => say('jobs', 'aborts', id, signal.reason?.code))
  await pause(pick([0, 2, 10, 60]))
  says('ends')
  if (fails || signal.aborted) {
    say('jobs', 'ends', id, { error: `no ${own}` })
    throw new Error(`no ${own}`)
  }
  say('jobs', 'ends', id, { value: own })
  return own
}
const workOptions = {
  ...{ concurrency: 2, retry: { max: 3, baseMs: 5, maxMs: 20 } },
  keep: { dead: '9999d', results: '9999d' },
}
// The handler gets each job alone, or batches, from one process to the next.
const several = (jobs) => Promise.allSettled(jobs.map((job) => handles(job.input, job)))
const batch = pick([undefined, { max: 2, waitMs: 0 }, { max: 2, waitMs: 30 }])
const work = batch
  ? queue('work', several, { ...workOptions, batch })
  : queue('work', handles, workOptions)

const tick = workflow(
  'tick',
  (ctx, { at }) => ctx.step('note', ({ key }) => say('schedules', 'begins', ctx.id, at, key)),
  { keep },
)
const listens = workflow(
  'listens',
  async (ctx, count) => {
    const words = []
    for (let at = 0; at < count; at++) words.push(await ctx.waitFor('word'))
    await ctx.step('hear', ({ key }) => say('orders', 'hears', ctx.id, words.join(' '), key))
  },
  { keep },
)
const mails = queue('mails', ({ id, at }, { key }) => say('orders', 'runs', id, at, key), {
  concurrency: 1,
})
/** What an order asks for, with the turn or the batch of `unit`. */
const asks = (unit, { id, words, jobs }) => {
  unit.start(listens, words.length, { id })
  for (let at = 0; at < jobs; at++) unit.add(mails, { id, at })
  for (const word of words) unit.signal(listens, id, 'word', word)
}
const shop = {
  init: () => ok([]),
  calls: {
    order: (state, order, context) => {
      const { id, refuses } = order
      asks(flow(context), order)
      if (refuses) throw new Error('no cups')
      return reply(undefined, [...state, id])
    },
  },
}

const parts = { workflows: [tick, listens], queues: [work, mails] }
const app = await start({ dir, app: supervisor('app', {}, [flows(parts), entity('shop', shop)]) })
const { schedules } = flow(app)
const runsOf = (name) => {
  const { entries } = flow(app).list({ type: tick, limit: 1_000 })
  return entries.map(({ id }) => id).filter((id) => id.startsWith(`${name}/`))
}

/** The answer, or the code of a refusal. */
const asked = (work) =>
  work.then(
    (answer) => ({ answer }),
    (error) => ({ code: error.code }),
  )
/** A look as JSON takes it. */
const plain = (look) =>
  look ? { ...look, ...(look.error && { error: { message: look.error.message } }) } : null
const ids = [...known.ids]
let next = known.next

const adds = async () => {
  const name = `job${next++}`
  const terms = { priority: pick([0, 0, 5]), delayMs: pick([0, 0, 40, 2_000]) }
  const at = Date.now()
  say('jobs', 'adds', name, terms)
  const { priority, delayMs: delay } = terms
  const job = { name, fails: Math.random() < 0.2 }
  const { id, repeated } = await flow(app).add(work, job, { unique: name, priority, delay })
  say('jobs', 'added', name, id, repeated, at)
  ids.push(id)
}

const steers = async (id) => {
  const job = flow(app).job(work, id)
  const chance = Math.random()
  if (chance < 0.3) {
    say('jobs', 'removes', id)
    const { state } = await job.remove()
    await pause(2)
    say('jobs', 'removed', id, state ?? null)
  } else if (chance < 0.6) {
    const change = pick([{ delayMs: 0 }, { delayMs: 1_500 }, { priority: 7 }])
    const { delayMs: delay, ...others } = change
    say('jobs', 'updates', id, Date.now())
    const done = await asked(job.update(delay === undefined ? others : { delay }))
    say('jobs', done.code ? 'refusedUpdate' : 'updated', id, change)
  } else if (chance < 0.75) {
    say('jobs', 'retries', id)
    say('jobs', 'retried', id, !(await asked(job.retry())).code)
  } else say('jobs', 'looked', id, plain(await job.get()))
}

const jobs = async () => {
  for (;;) {
    await adds()
    // Each is steered by one caller at a time.
    const id = ids.splice(Math.floor(Math.random() * ids.length), 1)[0]
    await steers(id)
    ids.push(id)
    await pause(pick([0, 5, 20]))
  }
}

const changes = async (name) => {
  for (;;) {
    const what = pick(['create', 'pause', 'resume', 'trigger', 'delete', 'create', 'trigger'])
    say('schedules', what === 'trigger' ? 'triggers' : 'asks', name, Date.now(), what === 'delete')
    const done = await asked(
      what === 'create'
        ? schedules.create(name, '* * * * * *', tick, { missed: 'all', overlap: 'allow' })
        : schedules[what](name),
    )
    const isRefused = done.code !== undefined || done.answer === false
    if (done.code !== undefined && done.code !== 'CONFLICT')
      throw new Error(`${what}: ${done.code}`)
    const id = done.answer?.id ?? null
    say('schedules', 'answered', name, what, isRefused, id, Date.now(), runsOf(name))
    await pause(pick([10, 100, 600]))
    looks(name)
  }
}

const looks = (name) => {
  const row = schedules.get(name)
  say('schedules', 'looked', name, row ?? null, Date.now(), runsOf(name))
}

const soldKey = (id) => `{${id}}:sold`
/** An order as a batch. One that is refused has a command on a value of another type. */
const commits = (order) => {
  const key = soldKey(order.id)
  const batch = app.store.batch().append(key, 'once')
  if (order.refuses) batch.put(`${key}:number`, 7).append(`${key}:number`, 'x')
  const unit = flow(app).with(batch, { id: order.id })
  asks(unit, order)
  return unit.commit()
}
/** The batches that are durable. Each was written once. */
const batches = () =>
  app.store.range({ prefix: '{order', limit: 10_000 }).entries.map(([key, value]) => {
    if (value !== 'once') throw new Error(`${key} is ${value}`)
    return key.slice(1, key.indexOf('}'))
  })
const gives = async (order) => {
  say('orders', 'orders', order)
  const { code } = await asked(
    order.shop === 'batch'
      ? commits(order)
      : call(app.entity('shop').ref('1'), 'order', order, { id: order.id }),
  )
  if (code === undefined && !order.refuses) say('orders', 'ordered', order.id)
}
const orders = async () => {
  for (;;) {
    const drawn = { words: pick([[], ['hot', 'tea']]), jobs: pick([1, 2]) }
    await gives({
      id: `order${next++}`,
      shop: pick(['1', 'batch']),
      refuses: Math.random() < 0.2,
      ...drawn,
    })
    await pause(pick([0, 10, 30]))
  }
}

for (const order of known.orders) await gives(order)
const fails = (error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}
if (mode === 'new')
  await Promise.all([jobs(), jobs(), changes('a'), changes('b'), orders()]).catch(fails)

for (const name of ['a', 'b']) {
  const row = schedules.get(name)
  if (!row?.isPaused) continue
  say('schedules', 'asks', name, Date.now(), false)
  await schedules.resume(name)
  say('schedules', 'answered', name, 'resume', false, null, Date.now(), runsOf(name))
}
const isOver = async () => {
  const counts = [await flow(app).counts(work), await flow(app).counts(mails)]
  const areDone = counts.every(({ ready, delayed, running }) => ready + delayed + running === 0)
  const { entries } = flow(app).list({ type: listens, limit: 1_000 })
  return areDone && entries.every(({ status }) => status === 'completed')
}
// What turns have asked for before the kill comes a while after the start.
await pause(3_000)
while (!(await isOver())) await pause(50)
await pause(1_500)
for (const name of ['a', 'b']) looks(name)
for (const id of ids) say('jobs', 'last', id, plain(await flow(app).job(work, id).get()))
const statuses = flow(app).list({ type: listens, limit: 1_000 }).entries
const statusOf = Object.fromEntries(statuses.map(({ id, status }) => [id, status]))
const durable = [...(app.entity('shop').state('1') ?? []), ...batches()]
say('orders', 'last', durable, statusOf, Date.now() - 3_000)
await app.close().catch((error) => {
  if (!isKeelsonError(error)) throw error
})
