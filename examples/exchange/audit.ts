/** The audit of a day: what the journal of a folder says, beside what the clients were told. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type EventPayload, type StoredEntry, start } from 'keelson'
import { readEventPayload } from 'keelson/journal'
import type { Evening } from './day.ts'
import type { Events } from './exchange.ts'
import type { Command, Effects, Snapshot } from './matching.ts'

export type Audit = {
  readonly entries: number
  readonly trades: number
  /** A hash of everything that the entries say. */
  readonly digest: string
  readonly faults: readonly string[]
}

/** Audits the folder of a day that has ended. @throws KeelsonError as `start` does */
export const audit = async (dir: string, { answers, snapshot }: Evening): Promise<Audit> => {
  const hash = createHash('sha256')
  const balances = new Balances()
  const faults: string[] = []
  let [entries, trades] = [0, 0]
  const app = await start({ dir })
  for await (const entry of app.journal.typed<Events, Effects>().entries()) {
    const { id, command, response, events, effects } = entry
    entries++
    trades += events.length
    hash.update(id).update(command).update(response)
    for (const { type, payload } of [...events, ...effects]) hash.update(type).update(payload)
    const told = answers.get(Number(id))
    if (told !== undefined && told !== JSON.stringify(readValue(response)))
      faults.push(`command ${id} was answered ${told}, and the journal has another answer`)
    balances.add(entry)
  }
  await app.close()
  for (const number of answers.keys())
    if (number > entries) faults.push(`command ${number} was answered and is not in the journal`)
  if (!isDeepStrictEqual(balances.byAccount, holdings(snapshot)))
    faults.push('the balances do not follow from the deposits and the side effects')
  return { entries, trades, digest: hash.digest('hex'), faults }
}

const readValue = <T>(payload: EventPayload<T>): T => readEventPayload(payload).value

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
