// A service for a night with every fault. `NIGHT`: its folder; with the file `deployed` in it the second program runs,
// whose workflow `ship` has another step, and whose orders cannot read a row without a customer. `AWAY`: a port that
// nobody listens on. It answers /metrics on a port that the members share, and does what it is asked with /do?what=…

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { call, defineConfig, entity, reply, supervisor, worker } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { operations } from 'keelson/operations'

const { NIGHT, AWAY } = process.env
const isSecond = existsSync(join(NIGHT, 'deployed'))

const pay = workflow('pay', (ctx) =>
  ctx.step(
    'charge',
    async function charge() {
      await fetch(`http://127.0.0.1:${AWAY}/`)
    },
    { retry: { max: 1_000, baseMs: 100, maxMs: 500 } },
  ),
)

const bill = workflow('bill', (ctx, customer) =>
  ctx.step(
    'print',
    function print() {
      return customer.address.street
    },
    { retry: { max: 2, baseMs: 100 } },
  ),
)

const ship = workflow('ship', async (ctx) => {
  if (isSecond) await ctx.step('weigh', () => 7)
  else await ctx.step('pack', () => 1)
  await ctx.waitFor('go')
})

const mails = queue(
  'mails',
  function send() {
    throw new Error('mailbox unavailable', { cause: new Error('550') })
  },
  { retry: { max: 2, baseMs: 100 } },
)

const order = entity('order', {
  version: isSecond ? 2 : 1,
  migrate: function read(state) {
    if (!state.customer) throw new TypeError('an order without a customer')
    return state
  },
  init: () => ({ customer: undefined }),
  calls: {
    place: (_, customer) => reply('placed', { customer }),
    hang: (state) => reply('hangs', state, { continue: ['hang'] }),
    hold: () => new Promise(() => undefined),
  },
  continues: { hang: () => new Promise(() => undefined) },
})

/** Writes until each shard refuses. */
const fill = async ({ store, shards }) => {
  const size = 20_000
  for (let at = 0, refused = 0; refused < 40; at++)
    refused = await store.put(`fill/${at % 50}`, 'x'.repeat(size)).then(
      () => 0,
      () => refused + 1,
    )
  return shards.length
}

const acts = {
  pay: (app) => flow(app).start(pay, undefined, { id: '1' }),
  bill: (app) => flow(app).start(bill, { name: 'ada' }, { id: '1' }),
  ship: (app) => flow(app).start(ship, undefined, { id: '1' }),
  go: (app) => flow(app).handle(ship, '1').signal('go', null),
  mail: (app) => flow(app).add(mails, { to: 'ada' }),
  place: (app) => call(app.entity(order).ref('7'), 'place'),
  hang: (app) => call(app.entity(order).ref('9'), 'hang'),
  hold: (app) => call(app.entity(order).ref('11'), 'hold').catch(({ code }) => code),
  fill,
}

const web = {
  init: async (_, context) => {
    context.trapExit(true)
    const watched = operations(context.app)
    const server = createServer(async (request, response) => {
      if (watched(request, response)) return
      const what = new URL(request.url, 'http://here').searchParams.get('what')
      const text = await Promise.resolve(acts[what](context.app)).then(() => 'done', String)
      response.end(text)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    console.log(`port ${server.address().port}`)
    return server
  },
  terminate: (server) => {
    server.close()
    server.closeAllConnections()
  },
}

export default defineConfig({
  shards: 4,
  wal: { maxFileSize: 131_072 },
  app: supervisor('app', {}, [
    order,
    flows({ workflows: [pay, bill, ship], queues: [mails] }),
    worker('web', web),
  ]),
})
