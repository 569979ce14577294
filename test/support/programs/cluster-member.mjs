// A member of a cluster that serves a store, accounts and orders to its parent, over messages, whenever it owns the instance.
// An order is paid by a step, which calls the bank of the parent. Replaced by another member, it begins again as a standby.
import { call, entity, KeelsonError, noReply, reply, start, supervisor } from 'keelson'
import { postgresEngine } from 'keelson/postgres'

const [member, dir, url, leaseMs, copies, bank] = process.argv.slice(2)

const account = entity('account', {
  init: () => ({ cents: 0 }),
  calls: {
    deposit: ({ cents }, more) => reply(cents + more, { cents: cents + more }),
    total: (state) => reply(state.cents, state),
  },
})

const order = entity('order', {
  retry: { baseMs: 50, maxMs: 500 },
  init: () => ({ status: 'new' }),
  calls: {
    pay: (state) =>
      state.status === 'new'
        ? reply('paying', { status: 'paying' }, { continue: ['charge'] })
        : reply(state.status, state),
    status: (state) => reply(state.status, state),
  },
  continues: {
    charge: async (_, __, { id, step, signal }) => {
      const what = new URLSearchParams({ order: id, key: step })
      const answer = await fetch(`${bank}/?${what}`, { method: 'POST', signal })
      if (!answer.ok) throw new Error(`the bank says ${answer.status}`)
      return noReply({ status: 'paid' })
    },
  },
})

let app
const serve = {
  put: ([key, value]) => app.store.put(key, value),
  get: ([key]) => app.store.get(key),
  deposit: ([name, cents, id]) => call(app.entity(account).ref(name), 'deposit', cents, { id }),
  total: ([name]) => call(app.entity(account).ref(name), 'total'),
  pay: ([name, id]) => call(app.entity(order).ref(name), 'pay', undefined, { id }),
  status: ([name]) => call(app.entity(order).ref(name), 'status'),
}

process.on('message', async ({ number, what, words }) => {
  try {
    if (!app) throw new KeelsonError('NOT_SUBMITTED', 'this member does not own')
    const value = await serve[what](words)
    process.send({ number, value: what === 'put' ? undefined : value })
  } catch (error) {
    process.send({ number, code: error.code ?? String(error) })
  }
})
process.on('disconnect', () => process.exit())

const quiet = { error: () => undefined, warn: () => undefined, info: () => undefined }
for (;;) {
  app = await start({
    ...{ dir, shards: 2, logger: quiet, app: supervisor('app', {}, [account, order]) },
    cluster: {
      ...{ name: 'c', member, leaseMs: Number(leaseMs), copies: Number(copies) },
      engine: postgresEngine({ connectionString: url }),
    },
    onProgress: ({ step, detail }) => process.send({ step, detail }),
  }).catch((error) => {
    process.send({ failed: `${error.code}: ${error.message}` })
    process.exit(1)
  })
  process.send({ step: 'owner' })
  await app.closed
  app = undefined
  process.send({ step: 'replaced' })
}
