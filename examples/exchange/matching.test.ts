/** The market against a model that is too simple to be wrong, and against what must always hold. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { thorough } from '../../test/support/tier.ts'
import { type Command, Market, type Order, type Snapshot } from './matching.ts'
import { commandsOf } from './order-file.ts'

const account = fc.constantFrom('ada', 'bob', 'cyd')
const amount = fc.integer({ min: 1, max: 30 })
const deposits: Command[] = ['ada', 'bob'].map((name) => ({
  ...({ type: 'deposit', account: name, cash: 400, goods: 60 } as const),
}))

/** Commands on few prices, so that they meet. The third account has nothing at first. */
const commands = fc
  .array(
    fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          type: fc.constant('limit' as const),
          account,
          side: fc.constantFrom('buy' as const, 'sell' as const),
          price: fc.integer({ min: 8, max: 12 }),
          quantity: amount,
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          type: fc.constant('cancel' as const),
          account,
          order: fc.integer({ min: 1, max: 40 }),
        }),
      },
      fc.record({ type: fc.constant('withdraw' as const), account, cash: amount }),
      fc.record({ type: fc.constant('deposit' as const), account, cash: amount, goods: amount }),
    ),
    { maxLength: 60 },
  )
  .map((list): Command[] => [...deposits, ...list])

const runs = { numRuns: thorough(150, 20_000) }

const best = (orders: Snapshot['orders'], side: 'buy' | 'sell') => {
  const prices = orders.filter((order) => order.side === side).map(({ price }) => price)
  return side === 'buy' ? Math.max(...prices) : Math.min(...prices)
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0)

/** Cash and goods in the market: free ones, and those that resting orders hold. */
const heldIn = ({ accounts, orders }: Snapshot) => ({
  cash: sumOf([
    ...accounts.map(([, cash]) => cash),
    ...orders.map(({ side, price, left }) => (side === 'buy' ? price * left : 0)),
  ]),
  goods: sumOf([
    ...accounts.map(([, , goods]) => goods),
    ...orders.map(({ side, left }) => (side === 'sell' ? left : 0)),
  ]),
})

describe('a market', () => {
  test('keeps all cash and goods, and lets no balance fall below zero', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const market = new Market()
        const due = { cash: 0, goods: 0 }
        for (const command of list) {
          const { effects } = market.take(command)
          if (command.type === 'deposit') {
            due.cash += command.cash
            due.goods += command.goods
          }
          for (const { type, payload } of effects)
            if (type === 'withdrawal') due.cash -= payload.cash
          const snapshot = market.snapshot()
          expect(heldIn(snapshot)).toEqual(due)
          for (const [, cash, goods] of snapshot.accounts)
            expect(Math.min(cash, goods)).toBeGreaterThanOrEqual(0)
        }
      }),
      runs,
    )
  })

  test('never leaves a bid at or above an ask', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const market = new Market()
        for (const command of list) {
          market.take(command)
          const { orders } = market.snapshot()
          expect(best(orders, 'buy')).toBeLessThan(best(orders, 'sell'))
        }
      }),
      runs,
    )
  })

  test('fills the best price first and the oldest order of a price first, as a sorted list does', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const market = new Market()
        const model: Order[] = []
        list.forEach((command, index) => {
          const { answer, trades } = market.take(command)
          const number = index + 1
          expect([number, trades]).toEqual([number, answer.ok ? naive(model, command, number) : []])
          expect(market.snapshot().orders).toEqual(model)
        })
      }),
      runs,
    )
  })

  test('goes on from its snapshot as if it had never stopped', () => {
    fc.assert(
      fc.property(commands, fc.nat(60), (list, cut) => {
        const first = new Market()
        for (const command of list.slice(0, cut)) first.take(command)
        const second = Market.from(JSON.parse(JSON.stringify(first.snapshot())))
        const rest = list.slice(cut)
        expect(rest.map((each) => second.take(each))).toEqual(rest.map((each) => first.take(each)))
        expect(second.snapshot()).toEqual(first.snapshot())
      }),
      runs,
    )
  })

  test('refuses what an account cannot pay, and changes nothing then', () => {
    const market = new Market()
    market.take({ type: 'deposit', account: 'ada', cash: 100, goods: 1 })
    market.take({ type: 'limit', account: 'ada', side: 'sell', price: 9, quantity: 1 })
    const before = market.snapshot()
    const why = (command: Command) => market.take(command).answer
    const limit = { type: 'limit', account: 'ada', price: 10 } as const
    expect([
      why({ ...limit, side: 'buy', quantity: 11 }),
      why({ ...limit, side: 'sell', quantity: 1 }),
      why({ type: 'withdraw', account: 'ada', cash: 101 }),
      why({ type: 'cancel', account: 'ada', order: 9 }),
      why({ type: 'withdraw', account: 'bob', cash: 1 }),
    ]).toEqual(
      ['cash', 'goods', 'cash']
        .map((what) => ({ ok: false, why: `not enough ${what}` }))
        .concat(['order', 'account'].map((what) => ({ ok: false, why: `no such ${what}` }))),
    )
    expect(market.snapshot()).toEqual({ ...before, taken: before.taken + 5 })
  })
})

/** The trades of an accepted command, by sorting the orders again for each of them. */
const naive = (orders: Order[], command: Command, number: number) => {
  const removed = (gone: number) =>
    void orders.splice(
      orders.findIndex((order) => order.number === gone),
      1,
    )
  if (command.type === 'cancel') removed(command.order)
  if (command.type !== 'limit') return []
  const { side, account, price, quantity } = command
  const sign = side === 'buy' ? 1 : -1
  const trades = []
  let left = quantity
  while (left > 0) {
    const [maker] = orders
      .filter((order) => order.side !== side && (price - order.price) * sign >= 0)
      .sort((a, b) => (a.price - b.price) * sign || a.number - b.number)
    if (!maker) break
    const size = Math.min(left, maker.left)
    trades.push({ maker: maker.number, taker: number, price: maker.price, quantity: size })
    left -= size
    maker.left -= size
    if (maker.left === 0) removed(maker.number)
  }
  if (left > 0) orders.push({ number, account, side, price, left })
  return trades
}

test('an order file is the same for the same seed, and most of its orders trade', () => {
  const market = new Market()
  const outcomes = [...commandsOf(7, 2_000)].map((command) => market.take(command))
  expect([...commandsOf(7, 2_000)]).toEqual([...commandsOf(7, 2_000)])
  expect([...commandsOf(7, 2_000)]).not.toEqual([...commandsOf(8, 2_000)])
  const trades = outcomes.flatMap((outcome) => outcome.trades)
  expect(trades.length).toBeGreaterThan(500)
  expect(outcomes.filter(({ answer }) => !answer.ok).length).toBeLessThan(800)
})
