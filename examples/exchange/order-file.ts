/** The day of a market as a file: one command a line, as JSON, the same for the same seed. */
import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from './matching.ts'

const accounts = 100

/** Whole numbers from `low` to `high`, both included (mulberry32). */
const dice = (seed: number) => {
  let state = seed >>> 0
  return (low: number, high: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return low + (((mixed ^ (mixed >>> 14)) >>> 0) % (high - low + 1))
  }
}

/** Deposits to 100 accounts, and then `count` orders, cancels and withdrawals. */
export function* commandsOf(seed: number, count: number): Generator<Command> {
  const roll = dice(seed)
  for (let number = 1; number <= accounts; number++)
    yield { type: 'deposit', account: `a${number}`, cash: 50_000_000, goods: 5_000 }
  const owners: string[] = []
  let middle = 10_000
  for (let at = 0; at < count; at++) {
    middle = Math.max(1_000, middle + roll(-3, 3))
    const account = `a${roll(1, accounts)}`
    owners.push(account)
    const kind = roll(1, 100)
    const recent = at - roll(1, 300)
    if (kind <= 3) yield { type: 'withdraw', account, cash: roll(1, 20_000) }
    else if (kind <= 30 && recent >= 0) {
      const order = accounts + recent + 1
      yield { type: 'cancel', account: owners[recent] ?? account, order }
    } else {
      const side = roll(0, 1) === 0 ? 'buy' : 'sell'
      const away = roll(-20, 40)
      const price = side === 'buy' ? middle - away : middle + away
      yield { type: 'limit', account, side, price, quantity: roll(1, 100) }
    }
  }
}

/** Writes the commands to `file`. */
export const writeOrders = (file: string, seed: number, count: number): Promise<void> =>
  pipeline(
    Readable.from(commandsOf(seed, count)),
    async function* (commands) {
      for await (const command of commands) yield `${JSON.stringify(command)}\n`
    },
    createWriteStream(file),
  )

/** The commands of `file` behind the first `taken` ones. */
export async function* readOrders(file: string, taken: number): AsyncGenerator<Command> {
  let number = 0
  for await (const line of createInterface({ input: createReadStream(file) }))
    if (++number > taken) yield JSON.parse(line)
}
