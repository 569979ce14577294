// A service whose members each answer on a socket of their own, in the folder SOCKETS: a store, accounts, and transfers
// between accounts that end by a step. Each account has the keys of what it took, in their order.
import { call, defineConfig, entity, noReply, reply, supervisor, worker } from 'keelson'
import { deskOf } from './members/desk.mjs'

const { KEELSON_MEMBER: member = 'alone', SHARDS, STUCK_MS, SPREAD } = process.env
const patiently = { timeoutMs: 60_000 }

const account = entity('account', {
  init: () => ({ cents: 0, keys: [] }),
  calls: {
    add: ({ cents, keys }, { more, key }) =>
      reply(cents + more, { cents: cents + more, keys: [...keys, key] }),
    read: (state) => reply(state, state),
  },
})

const transfer = entity('transfer', {
  retry: { baseMs: 50, maxMs: 500 },
  init: () => ({ status: 'new' }),
  calls: {
    begin: (state, what) =>
      state.status === 'new'
        ? reply('under way', { status: 'under way' }, { continue: ['carryOut', what] })
        : reply(state.status, state),
    status: (state) => reply(state.status, state),
  },
  continues: {
    carryOut: async (_, { from, to, cents }, { app, id, step }) => {
      const add = (name, more, key) =>
        call(app.entity(account).ref(name), 'add', { more, key }, { ...patiently, id: key })
      await add(from, -cents, `${id} out of ${step}`)
      await add(to, cents, `${id} into ${step}`)
      return noReply({ status: 'done' })
    },
  },
})

const serve = (app) => ({
  put: ([key, value]) => app.store.put(key, value).then(({ position }) => position),
  stale: ([key, atLeast]) => app.store.loadStale(key, atLeast ? { atLeast } : {}),
  load: ([key]) => app.store.load(key),
  swap: ([key, from, to]) => app.store.compareAndSet(key, from, to),
  add: ([name, more, key]) =>
    call(app.entity(account).ref(name), 'add', { more, key }, { ...patiently, id: key }),
  read: ([name]) => call(app.entity(account).ref(name), 'read', undefined, patiently),
  transfer: ([key, what]) =>
    call(app.entity(transfer).ref(key), 'begin', what, { ...patiently, id: key }),
  status: ([key]) => call(app.entity(transfer).ref(key), 'status', undefined, patiently),
  shards: () =>
    app
      .health()
      .shards.filter(({ phase }) => phase === 'open')
      .map(({ shard }) => shard),
})

const desk = deskOf(serve, member)

/** The members share a folder, or with SPREAD, the option as JSON, the shards of an engine. */
const cluster = async () => {
  if (!SPREAD) return { members: { stuckMs: Number(STUCK_MS), intensity: 1_000_000 } }
  const { connectionString, ...more } = JSON.parse(SPREAD)
  const { postgresEngine } = await import('keelson/postgres')
  return { cluster: { ...more, engine: postgresEngine({ connectionString }) } }
}

export default defineConfig({
  dir: './data',
  shards: Number(SHARDS),
  ...(await cluster()),
  app: supervisor('app', {}, [account, transfer, worker('desk', desk)]),
})
