/**
 * The instance that the page's bench looks at: that of the prompt's with keys, runs and dead jobs, and
 * if it is troubled with durable actors of which a tenth fail, a tenth are parked and a hundredth hang.
 */
import { call, entity, ok, reply } from 'keelson'
import { flow, queue, workflow } from 'keelson/flow'
import { startLarge } from '../prompt/instance.mjs'

const away = () => {
  throw new Error('the bank is away')
}

/** Its tries are an hour apart, so that a window has none. */
const payment = {
  init: () => ok({ status: 'new' }),
  calls: { pay: (_, way) => reply(way, { status: way }, { continue: [way] }) },
  continues: { fails: away, parks: away, hangs: () => new Promise(() => undefined) },
  retry: { baseMs: 3_600_000, maxMs: 3_600_000, continues: { parks: { max: 1 } } },
}
const payments = entity('payment', payment, { idleMs: 3_600_000 })

const refunds = queue('refunds', away, { retry: { max: 1 } })
const shipment = workflow('shipment', async (ctx, at) => {
  await ctx.step('pack', () => at)
  if (at % 10 === 0) await ctx.step('charge', away, { retry: { max: 1 } })
})

/** So many runs and keys, and dead jobs. */
const runsMax = 1_000
const deadMax = 100

/** Resolves once `isReached` is true. */
const until = async (isReached) => {
  while (!isReached()) await new Promise((resolve) => setTimeout(resolve, 50))
}

/** Pays so many payments in one way. */
const pay = async (app, way, count) => {
  for (let at = 0; at < count; at += 1_000) {
    const calls = Array.from({ length: Math.min(1_000, count - at) }, (_, more) =>
      call(app.entity(payments).ref(`${way}-${at + more}`), 'pay', way),
    )
    await Promise.all(calls)
  }
}

/** Starts it with so many entities. `close` ends it and removes its folder. */
export const startObserved = async (rows, { isTroubled }) => {
  const parts = { kinds: [payments], queues: [refunds], workflows: [shipment] }
  const started = await startLarge(rows, parts)
  const { app } = started
  const { store } = app
  await Promise.all(Array.from({ length: runsMax }, (_, at) => store.put(`key/${at}`, { at })))
  for (let at = 0; at < runsMax; at++) await flow(app).start(shipment, at, { id: `${at}` })
  await flow(app).addMany(
    refunds,
    Array.from({ length: deadMax }, (_, at) => ({ at })),
  )
  await until(() => flow(app).dead(refunds, { limit: 1 }).entries.length > 0)
  if (isTroubled) {
    await pay(app, 'fails', rows / 10)
    await pay(app, 'parks', rows / 10)
    await pay(app, 'hangs', rows / 100)
    await until(() => {
      const { failing, parked } = app.health().actors
      return failing.count >= rows / 10 && parked.count >= rows / 10
    })
  }
  await app.control.flushAll()
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  return started
}
