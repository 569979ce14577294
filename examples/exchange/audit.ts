/** The audit of a day: what the journal of a folder says, beside what the clients were told. */
import { isDeepStrictEqual } from 'node:util'
import { type EventPayload, type StoredEntry, start } from 'keelson'
import { readEventPayload } from 'keelson/journal'
import type { Evening } from './day.ts'
import { Digest } from './digest.ts'
import type { Events } from './exchange.ts'
import type { Command, Effects, Snapshot } from './matching.ts'
import type { Place } from './replica.ts'

export type Audit = {
  readonly trades: number
  /** Where the last fill is. */
  readonly fill: Place
  /** Of all entries. */
  readonly digest: Digest
  readonly faults: readonly string[]
}

/** Audits the folder of a day that has ended. @throws KeelsonError as `start` does */
export const audit = async (dir: string, { answers, snapshot }: Evening): Promise<Audit> => {
  const digest = new Digest()
  const balances = new Balances()
  const faults: string[] = []
  let trades = 0
  let fill: Place = { lsn: 0, index: 0 }
  const app = await start({ dir })
  for await (const entry of app.journal.typed<Events, Effects>().entries()) {
    const { id, type, events, effects } = entry
    const [command, response] = [readValue(entry.command), readValue(entry.response)]
    digest.add({ id, type, command, response, events: listOf(events), effects: listOf(effects) })
    trades += events.length
    if (events.length > 0) fill = entry
    const told = answers.get(Number(id))
    if (told !== undefined && told !== JSON.stringify(response))
      faults.push(`command ${id} was answered ${told}, and the journal has another answer`)
    balances.add(entry)
  }
  await app.close()
  for (const number of answers.keys())
    if (number > digest.entries)
      faults.push(`command ${number} was answered and is not in the journal`)
  if (!isDeepStrictEqual(balances.byAccount, holdings(snapshot)))
    faults.push('the balances do not follow from the deposits and the side effects')
  return { trades, fill, digest, faults }
}

const readValue = <T>(payload: EventPayload<T>): T => readEventPayload(payload).value

const listOf = (list: readonly { type: string; payload: EventPayload }[]) =>
  list.map(({ type, payload }) => ({ type, ...readEventPayload(payload) }))

/** Cash and goods by account, from deposits and side effects: no rule of the market is needed. */
class Balances {
  readonly byAccount = new Map<string, { cash: number; goods: number }>()

  add({ command, effects }: StoredEntry<Events, Effects>): void {
    const deposit = readValue(command) as Command
    if (deposit.type === 'deposit') this.#move(deposit.account, deposit.cash, deposit.goods)
    for (const effect of effects) {
      if (effect.type === 'withdrawal') {
        const { account, cash } = readValue(effect.payload)
        this.#move(account, -cash, 0)
      } else {
        const { buyer, seller, cash, goods } = readValue(effect.payload)
        this.#move(buyer, -cash, goods)
        this.#move(seller, cash, -goods)
      }
    }
  }

  #move(account: string, cash: number, goods: number): void {
    const before = this.byAccount.get(account) ?? { cash: 0, goods: 0 }
    this.byAccount.set(account, { cash: before.cash + cash, goods: before.goods + goods })
  }
}

/** What each account has: its free balance, and what its resting orders hold. */
const holdings = ({ accounts, orders }: Snapshot) => {
  const byAccount = new Map(accounts.map(([name, cash, goods]) => [name, { cash, goods }]))
  for (const { account, side, price, left } of orders) {
    const owner = byAccount.get(account)
    if (!owner) continue
    if (side === 'buy') owner.cash += price * left
    else owner.goods += left
  }
  return byAccount
}
