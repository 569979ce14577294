/** Entries by number, as an exchange makes them: one trade, one movement of cash, 190 bytes of JSON. */

export const entryOf = (number) => {
  const price = 10_000 + (number % 50)
  const quantity = 1 + (number % 100)
  const [buyer, seller] = [`a${number % 97}`, `a${number % 89}`]
  return {
    id: `${number}`,
    type: 'limit',
    command: { account: buyer, side: 'buy', price, quantity },
    response: { ok: true, filled: quantity, rests: 0 },
    events: [{ type: 'trade', payload: { maker: number - 9, taker: number, price, quantity } }],
    effects: [
      { type: 'fill', payload: { buyer, seller, cash: price * quantity, goods: quantity } },
    ],
  }
}
