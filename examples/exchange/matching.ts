/**
 * A market for one good: limit orders in price-time priority, balances in whole cents and units.
 * It is deterministic and does nothing outside: equal commands give equal fills and balances.
 */

export type Side = 'buy' | 'sell'

/** A client's command. Cash is in cents; all numbers are whole. */
export type Command =
  | {
      readonly type: 'deposit'
      readonly account: string
      readonly cash: number
      readonly goods: number
    }
  | { readonly type: 'withdraw'; readonly account: string; readonly cash: number }
  | {
      readonly type: 'limit'
      readonly account: string
      readonly side: Side
      readonly price: number
      readonly quantity: number
    }
  | { readonly type: 'cancel'; readonly account: string; readonly order: number }

/** What everybody may see of a trade. The price is that of `maker`, the order that rested. */
export type Trade = {
  readonly maker: number
  readonly taker: number
  readonly price: number
  readonly quantity: number
}

/** How a command moved cash and goods between accounts, or out of the market. Not public. */
export type Effects = {
  fill: { buyer: string; seller: string; cash: number; goods: number }
  withdrawal: { account: string; cash: number }
}
export type Effect = {
  readonly [Type in keyof Effects]: { readonly type: Type; readonly payload: Effects[Type] }
}[keyof Effects]

export type Refusal = 'no such account' | 'no such order' | 'not enough cash' | 'not enough goods'

/** The answer to a command. `filled` and `rests`: quantities of a limit order. */
export type Answer =
  | { readonly ok: true; readonly filled?: number; readonly rests?: number }
  | { readonly ok: false; readonly why: Refusal }

/** All that a command did. A refused one did nothing. */
export type Outcome = {
  readonly answer: Answer
  readonly trades: readonly Trade[]
  readonly effects: readonly Effect[]
}

/** An order that rests in a book. Its number is that of its command. */
export type Order = {
  readonly number: number
  readonly account: string
  readonly side: Side
  readonly price: number
  left: number
}

type Account = { cash: number; goods: number }

/** The whole state of a market as plain data. Orders are in the order of their numbers. */
export type Snapshot = {
  /** Commands taken, so also the number of the last one. */
  readonly taken: number
  readonly accounts: readonly (readonly [name: string, cash: number, goods: number])[]
  readonly orders: readonly Readonly<Order>[]
}

/** One side of the book: orders by price, and in their order within a price. */
class Book {
  readonly #sign: 1 | -1
  /** Prices with orders, the best one last. */
  readonly #prices: number[] = []
  readonly #levels = new Map<number, Map<number, Order>>()

  constructor(side: Side) {
    this.#sign = side === 'buy' ? 1 : -1
  }

  /** The order that trades first. */
  get best(): Order | undefined {
    const price = this.#prices.at(-1)
    return price === undefined ? undefined : this.#levels.get(price)?.values().next().value
  }

  add(order: Order): void {
    let level = this.#levels.get(order.price)
    if (!level) {
      level = new Map()
      this.#levels.set(order.price, level)
      this.#prices.splice(this.#placeOf(order.price), 0, order.price)
    }
    level.set(order.number, order)
  }

  remove({ price, number }: Order): void {
    const level = this.#levels.get(price)
    level?.delete(number)
    if (level?.size !== 0) return
    this.#levels.delete(price)
    this.#prices.splice(this.#placeOf(price), 1)
  }

  /** Where `price` is in the list, or belongs. */
  #placeOf(price: number): number {
    let [low, high] = [0, this.#prices.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (((this.#prices[middle] ?? 0) - price) * this.#sign < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

const done: Outcome = { answer: { ok: true }, trades: [], effects: [] }
const refused = (why: Refusal): Outcome => ({ ...done, answer: { ok: false, why } })

/** A market. Its account balances are free: what an order may need is taken out while it rests. */
export class Market {
  #taken = 0
  readonly #accounts = new Map<string, Account>()
  readonly #orders = new Map<number, Order>()
  readonly #books = { buy: new Book('buy'), sell: new Book('sell') }

  /** A market as it was when `snapshot` was made. */
  static from({ taken, accounts, orders }: Snapshot): Market {
    const market = new Market()
    market.#taken = taken
    for (const [name, cash, goods] of accounts) market.#accounts.set(name, { cash, goods })
    for (const order of orders) market.#rest({ ...order })
    return market
  }

  snapshot(): Snapshot {
    return {
      taken: this.#taken,
      accounts: [...this.#accounts].map(([name, { cash, goods }]) => [name, cash, goods] as const),
      orders: [...this.#orders.values()].map((order) => ({ ...order })),
    }
  }

  /** Commands taken, so also the number of the last one. */
  get taken(): number {
    return this.#taken
  }

  take(command: Command): Outcome {
    this.#taken++
    const account = this.#accounts.get(command.account)
    if (command.type === 'deposit') return this.#deposit(command, account)
    if (!account) return refused('no such account')
    if (command.type === 'limit') return this.#limit(command, account)
    if (command.type === 'cancel') return this.#cancel(command, account)
    return this.#withdraw(command, account)
  }

  #deposit(command: Command & { type: 'deposit' }, account: Account | undefined): Outcome {
    const { cash, goods } = account ?? { cash: 0, goods: 0 }
    const sum = { cash: cash + command.cash, goods: goods + command.goods }
    this.#accounts.set(command.account, sum)
    return done
  }

  #withdraw({ account: name, cash }: Command & { type: 'withdraw' }, account: Account): Outcome {
    if (account.cash < cash) return refused('not enough cash')
    account.cash -= cash
    return { ...done, effects: [{ type: 'withdrawal', payload: { account: name, cash } }] }
  }

  #cancel(
    { account: name, order: number }: Command & { type: 'cancel' },
    account: Account,
  ): Outcome {
    const order = this.#orders.get(number)
    if (order?.account !== name) return refused('no such order')
    if (order.side === 'buy') account.cash += order.price * order.left
    else account.goods += order.left
    this.#remove(order)
    return done
  }

  #limit(
    { account: name, side, price, quantity }: Command & { type: 'limit' },
    account: Account,
  ): Outcome {
    if (side === 'buy' && account.cash < price * quantity) return refused('not enough cash')
    if (side === 'sell' && account.goods < quantity) return refused('not enough goods')
    if (side === 'buy') account.cash -= price * quantity
    else account.goods -= quantity
    const taker: Order = { number: this.#taken, account: name, side, price, left: quantity }
    const trades: Trade[] = []
    const effects: Effect[] = []
    for (let maker = this.#match(taker); maker; maker = this.#match(taker)) {
      const size = Math.min(maker.left, taker.left)
      trades.push({ maker: maker.number, taker: taker.number, price: maker.price, quantity: size })
      effects.push(this.#trade(maker, taker, size))
    }
    if (taker.left > 0) this.#rest(taker)
    return {
      answer: { ok: true, filled: quantity - taker.left, rests: taker.left },
      trades,
      effects,
    }
  }

  /** The order that `taker` trades with next, if one does. */
  #match({ side, price, left }: Order): Order | undefined {
    const maker = left > 0 ? this.#books[side === 'buy' ? 'sell' : 'buy'].best : undefined
    if (!maker) return undefined
    return (side === 'buy' ? maker.price <= price : maker.price >= price) ? maker : undefined
  }

  /** Moves cash and goods. A buyer that trades below its limit gets the difference back. */
  #trade(maker: Order, taker: Order, goods: number): Effect {
    const [bid, ask] = taker.side === 'buy' ? [taker, maker] : [maker, taker]
    const cash = maker.price * goods
    const buyer = this.#accounts.get(bid.account) as Account
    const seller = this.#accounts.get(ask.account) as Account
    buyer.goods += goods
    buyer.cash += bid.price * goods - cash
    seller.cash += cash
    maker.left -= goods
    taker.left -= goods
    if (maker.left === 0) this.#remove(maker)
    return { type: 'fill', payload: { buyer: bid.account, seller: ask.account, cash, goods } }
  }

  #rest(order: Order): void {
    this.#orders.set(order.number, order)
    this.#books[order.side].add(order)
  }

  #remove(order: Order): void {
    this.#orders.delete(order.number)
    this.#books[order.side].remove(order)
  }
}
