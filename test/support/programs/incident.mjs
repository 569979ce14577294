// A service in DIR with faults: a worker in a crash loop, order 99 whose row cannot be migrated, a
// projection that is held, order 23 whose step never ends, and order 17 whose bank is away. Of its
// input it takes `bank`: the bank answers again, and `disk`: the disk of DIR is filled.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { call, entity, noReply, ok, reply, start, supervisor, worker } from 'keelson'

const [dir] = process.argv.slice(2)
const bank = { isAway: true }

const order = {
  init: () => ok(undefined),
  calls: {
    place: (_, customer) =>
      reply('placed', { status: 'placed', customer }, { continue: ['charge'] }),
    ship: (state) => reply('ships', { ...state, status: 'ships' }, { continue: ['ship'] }),
  },
  continues: {
    charge: (state) => {
      if (state.customer === 'ada' && bank.isAway) throw new Error('the bank is away')
      return noReply({ ...state, status: 'paid' })
    },
    ship: () => new Promise(() => undefined),
  },
  retry: { baseMs: 250, jitter: 0 },
  index: (state) => ({ status: state?.status }),
}

const migrated = {
  ...order,
  version: 2,
  migrate: (state) => {
    if (!state.customer) throw new TypeError('an order without a customer')
    return state
  },
}

const gateway = {
  init: (_, context) => {
    context.sendAfter(100, 'poll')
    return {}
  },
  infos: {
    poll: () => {
      throw new Error('connect ECONNREFUSED 10.0.0.7:5672')
    },
  },
}

const logger = { info: () => undefined, warn: () => undefined, error: () => undefined }
const before = await start({ dir, logger, app: supervisor('app', {}, [entity('order', order)]) })
await call(before.entity('order').ref('99'), 'place')
await before.close()

const children = [entity('order', migrated), worker('gateway', gateway)]
const app = await start({
  ...{ dir, logger, attach: true, wal: { maxFileSize: 1024 * 1024 } },
  app: supervisor('app', { intensity: 1_000_000 }, children),
})
const ref = (id) => app.entity('order').ref(id)
await call(ref('17'), 'place', 'ada')
await call(ref('23'), 'place', 'bob')
await call(ref('23'), 'ship')
await call(ref('99'), 'ship').catch(() => undefined)
await app.control.suspend(0, { flush: false })
await app.store.put('more', 1)

const fill = async () => {
  try {
    for (let at = 0; ; at++)
      writeFileSync(join(dirname(dir), `full-${at}`), Buffer.alloc(1024 * 1024))
  } catch {
    // The rest is for the log.
  }
  for (;;) await app.store.put('more', 'x'.repeat(8_000))
}

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'bank') bank.isAway = false
  if (line === 'disk') void fill().catch(({ code }) => console.log(code))
})
console.log('ready')
