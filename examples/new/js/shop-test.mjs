// @ts-check
// `npm test`. The whole instance runs on a disk in memory and on virtual time, so three days and a
// power cut take no time at all.
import assert from 'node:assert/strict'
import test from 'node:test'
import { call, supervisor } from 'keelson'
import { flow, flows } from 'keelson/flow'
import { startSimulated } from 'keelson/testing'
import { order } from './order.mjs'
import { stock } from './stock.mjs'

const tea = { item: 'tea', count: 2 }

/** An instance with five packets of tea, two of which are ordered. @param {import('node:test').TestContext} t */
const shop = async (t) => {
  const app = supervisor('app', {}, [stock, flows({ workflows: [order] })])
  const simulation = await startSimulated({ app })
  t.after(() => simulation.close())
  const inStock = () => simulation.app.entity(stock).ref('tea')
  await simulation.during(call(inStock(), 'add', 5))
  await simulation.during(flow(simulation.app).start(order, tea, { id: '7' }))
  return { simulation, left: () => simulation.during(call(inStock(), 'left')) }
}

test('an order that is paid is sold, also after a power cut', async (t) => {
  const { simulation, left } = await shop(t)

  await simulation.powerCut()
  await simulation.start()
  const run = flow(simulation.app).handle(order, '7')
  await simulation.during(run.signal('paid', { by: 'card' }))

  assert.equal(await simulation.during(run.result()), 'sold')
  assert.equal(await left(), 3)
})

test('an order that is not paid gives its items back', async (t) => {
  const { simulation, left } = await shop(t)

  await simulation.advance(4 * 24 * 60 * 60 * 1_000)

  assert.equal(flow(simulation.app).get(order, '7')?.status, 'failed')
  assert.equal(await left(), 5)
})
