// Runs orders and jobs until it is killed, and reports on pipe 3 whatever the world outside would
// see. `flow-kill.long.test.ts` is that world: what it has read, it keeps over the kills. Arguments:
// the folder, the ids that have not ended, the first new id, and `new` or `last`: whether there are
// new orders, or the ends of all are listed.
import { writeSync } from 'node:fs'
import { isKeelsonError, start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'

const [dir, openText, nextText, mode] = process.argv.slice(2)
const say = (...words) => writeSync(3, `${words.join(' ')}\n`)
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const retry = { max: 3, baseMs: 2, maxMs: 5 }

/** A step whose value is its key: whoever gets it knows that this key has its outcome. */
const step = async (ctx, name, { act = () => undefined, ...options } = {}) => {
  const attempt = async ({ key, attempt }) => {
    say('try', ctx.id, name, key, attempt)
    await pause(Math.random() * 4)
    act(attempt, key)
    return key
  }
  const undo = ({ key }) => say('undo', ctx.id, name, key)
  const key = await ctx.step(name, attempt, { retry, undo, ...options })
  say('got', ctx.id, name, key)
}

const failsOnce = (attempt) => {
  if (attempt === 1) throw new Error('the line is busy')
}

const parcel = workflow('parcel', async (ctx) => {
  await step(ctx, 'reserve', { undo: undefined })
  await ctx.sleep('pause', 5)
  return 1
})

/** The bodies by their kinds. Each begins with `reserve`. */
const bodies = {
  plain: async (ctx) => {
    await step(ctx, 'charge', { act: failsOnce })
    await ctx.sleep('pause', 20)
    await step(ctx, 'ship')
  },
  approved: async (ctx) => {
    const by = await ctx.waitFor('approval')
    await step(ctx, 'ship')
    return by
  },
  failing: async (ctx) => {
    await step(ctx, 'charge')
    throw new Error('no carrier')
  },
  cancelled: async (ctx) => {
    await step(ctx, 'charge')
    await ctx.sleep('long', '1h')
  },
  retried: async (ctx) => {
    const isFirst = (key) => key.split('/')[4] === '0'
    const act = (_, key) => {
      if (isFirst(key)) throw new Error('no money')
    }
    await step(ctx, 'charge', { act, retry: { max: 1 } })
    await step(ctx, 'ship')
  },
  again: async (ctx, { lap = 0 }) => {
    await step(ctx, 'charge')
    if (lap < 2) ctx.again({ lap: lap + 1 })
    await step(ctx, 'ship')
  },
  parcels: async (ctx) => {
    const send = (own) => own.child('parcel', parcel, undefined)
    const ends = await ctx.all('parcels', [send, send, send])
    return ends.reduce((sum, { value }) => sum + value, 0)
  },
  once: async (ctx) => {
    await step(ctx, 'charge', { repeat: 'once', retry: undefined })
    await step(ctx, 'ship')
  },
  reborn: async (ctx) => step(ctx, 'ship'),
}
const kinds = Object.keys(bodies)

const order = workflow('order', async (ctx, input) => {
  await step(ctx, 'reserve')
  return bodies[kindOf(ctx.id)](ctx, input)
})

const mails = queue(
  'mails',
  async (number, { key, attempt }) => {
    say('job', number, key, attempt)
    await pause(Math.random() * 4)
    jobs.set(key.split('/').at(-1), key)
    say('handled', number, key, attempt)
    if (number % 5 === 0) throw new Error('no such address')
  },
  { concurrency: 3, retry: { ...retry, max: 2 } },
)
const jobs = new Map()
const kindOf = (id) => kinds[Number(id) % kinds.length]

say('ready')
const app = await start({
  dir,
  app: supervisor('app', {}, [flows({ workflows: [order, parcel], queues: [mails] })]),
})
app.system.events.on('queue.ended', ({ id, outcome }) => {
  if (outcome === 'done') say('done', jobs.get(id))
})

/** The end of a run. One that is blocked by its step of `once` is settled. */
const endOf = async (run) => {
  try {
    return ['completed', await run.result({ timeoutMs: 60_000 })]
  } catch (error) {
    if (!isKeelsonError(error, 'BLOCKED')) return [error.code.toLowerCase(), error.cause.message]
    say('blocked', run.id, error.cause.code)
    await flow(app).settle(order, run.id, 'charge', { value: 'settled' })
    return endOf(run)
  }
}

/** Whatever has to be done with an order. All of it may be done again after a kill. */
const drive = async (id) => {
  const kind = kindOf(id)
  say('begun', id, kind)
  const run = await flow(app).start(order, {}, { id })
  say('started', id, run.repeated)
  if (kind === 'approved')
    await run.signal('approval', 'Eve', { id: 'mail' }).then(
      ({ repeated }) => say('signalled', id, repeated),
      (error) => {
        // It has ended.
        if (!isKeelsonError(error, 'CONFLICT')) throw error
      },
    )
  if (kind === 'cancelled') {
    await pause(Math.random() * 30)
    await run.cancel({ reason: 'rain' })
    say('cancelled', id)
  }
  let end = await endOf(run)
  if (kind === 'retried' && end[0] === 'failed') {
    await flow(app).retry(order, id)
    end = await endOf(run)
  }
  if (kind === 'reborn') {
    await app.entity('$flow-order').delete(id)
    say('gone', id)
    end = await endOf(await flow(app).start(order, {}, { id }))
  }
  say('ended', id, ...end.filter((word) => word !== undefined))
}

const fresh = async () => {
  for (let id = next++; ; id = next++) {
    const added = await flow(app).add(mails, id)
    say('added', id, added.id)
    await drive(String(id))
  }
}

let next = Number(nextText)
const open = openText === '' ? [] : openText.split(',')
const opened = Promise.all(open.map(drive))
if (mode === 'new') await Promise.all([opened, ...Array.from({ length: 8 }, fresh)])
await opened

for (const type of [order, parcel]) {
  let cursor
  do {
    const page = flow(app).list({ type, limit: 1_000, ...(cursor && { cursor }) })
    for (const { id, status } of page.entries) say('listed', `${type.name}/${id}`, status)
    cursor = page.cursor
  } while (cursor)
}
for (;;) {
  const { ready, delayed, running } = await flow(app).counts(mails)
  if (ready + delayed + running === 0) break
  await pause(20)
}
let cursor
do {
  const page = flow(app).dead(mails, cursor ? { cursor } : {})
  for (const { job } of page.entries) say('dead', job)
  cursor = page.cursor
} while (cursor)
await app.close()
