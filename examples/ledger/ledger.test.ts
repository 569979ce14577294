/** The ledger on virtual time: payments over power cuts, and the books after them. */
import { call } from 'keelson'
import { flow } from 'keelson/flow'
import { startSimulated } from 'keelson/testing'
import { expect, onTestFinished, test } from 'vitest'
import { accounts, payments, tree } from './ledger.ts'

const open = async () => {
  const simulation = await startSimulated({ app: tree })
  onTestFinished(() => simulation.close())
  const ref = (name: string) => simulation.app.entity(accounts).ref(name)
  for (const name of ['ada', 'bob']) await simulation.during(call(ref(name), 'open', 100_00))
  const books = () =>
    simulation.app
      .entity(accounts)
      .list()
      .entries.map(({ id, state }) => [id, state?.cents])
  const entries = (name: string) =>
    simulation.app
      .entity(accounts)
      .rows(name)
      .range()
      .entries.map(([key, value]) => [key, (value as { cents: number }).cents])
  return { simulation, books, entries }
}

test('a payment moves money once, though the power goes after each step', {
  tags: ['slow'],
}, async () => {
  const { simulation, books, entries } = await open()
  const payment = { from: 'ada', to: 'bob', cents: 30_00 }
  const ran = await simulation.run(payments, payment, { id: 'p1', crashAfter: () => true })
  expect(ran).toMatchObject({ status: 'completed', powerCuts: 2 })
  expect(books()).toEqual([
    ['ada', 70_00],
    ['bob', 130_00],
  ])
  expect(entries('ada')).toEqual([['entry/p1', -30_00]])
  expect(entries('bob')).toEqual([['entry/p1', 30_00]])
})

test('a payment to an account that is not open is reversed', async () => {
  const { simulation, books, entries } = await open()
  const payment = { from: 'ada', to: 'nobody', cents: 30_00 }
  const ran = await simulation.run(payments, payment, { id: 'p1', crashAfter: () => true })
  expect(ran.error?.message).toBe('nobody is not open')
  expect(books()).toEqual([
    ['ada', 100_00],
    ['bob', 100_00],
  ])
  expect(entries('ada')).toEqual([
    ['entry/p1', -30_00],
    ['reversal/p1', 30_00],
  ])
})

test('an entry that is asked for again is there once, and none follows its reversal', async () => {
  const { simulation, books, entries } = await open()
  const ada = simulation.app.entity(accounts).ref('ada')
  const book = (payment: string) => simulation.during(call(ada, 'book', { payment, cents: -10_00 }))
  expect([await book('p1'), await book('p1')]).toEqual(['booked', 'booked'])
  expect(books()[0]).toEqual(['ada', 90_00])
  await simulation.during(call(ada, 'reverse', 'p2'))
  expect(await book('p2')).toBe('refused')
  expect(entries('ada')).toEqual([
    ['entry/p1', -10_00],
    ['reversal/p2', 0],
  ])
})

test('an account never has less than nothing, and a repeated request pays once', async () => {
  const { simulation, books } = await open()
  const payment = { from: 'ada', to: 'bob', cents: 60_00 }
  await simulation.run(payments, payment, { id: 'p1' })
  const again = await simulation.during(flow(simulation.app).start(payments, payment, { id: 'p1' }))
  expect(again.repeated).toBe(true)
  const second = await simulation.run(payments, payment, { id: 'p2' })
  expect(second.error?.message).toBe('ada has less than 6000')
  expect(books()).toEqual([
    ['ada', 40_00],
    ['bob', 160_00],
  ])
})
