/** Compiled, never run: how the keys and values of a table flow, and what is refused. */
import {
  type Context,
  type GenServer,
  noReply,
  type Ref,
  type System,
  Table,
  type TableHeir,
  type TableTransfer,
} from '../../src/runtime/index.ts'

type Price = { readonly cents: number }

declare const system: System
declare const context: Context<TableHeir<string, Price>>
declare const heir: Ref<TableHeir<string, Price>>
declare const stranger: Ref<{ casts: { stop: () => void } }>
declare const keeper: Ref

const name = Table.name<string, Price>('prices')

/** A server that a table may pass to. */
export const server: GenServer<TableHeir<string, Price>, number> = {
  init: () => 0,
  infos: { table: (cents, { table }) => noReply(cents + (table.get('tea')?.cents ?? 0)) },
}

export const uses = (): void => {
  const prices: Table<string, Price> = Table.create(context, { name, heir, heirData: 1 })
  prices.insert(context, 'tea', { cents: 300 })
  const cents: number | undefined = prices.get('tea')?.cents
  const found: Table<string, Price> | undefined = Table.named(system, name)
  const claimed: Table<string, Price> = Table.claim(context, name, { keeper })
  for (const [key, { cents: each }] of prices) void [key.length, each]
  const counts = Table.create<readonly [string, number], number>(context, { protection: 'public' })
  const sum: number = counts.updateCounter(system, ['seen', 1], { by: 2 })
  prices.giveAway(context, heir, 'data')
  const told = (transfer: TableTransfer<string, Price>): Price | undefined =>
    transfer.table.take(context, 'tea')
  const shown: string = prices.toJSON()
  void [cents, found, claimed, sum, told, shown]
}

export const misuses = (prices: Table<string, Price>): void => {
  // @ts-expect-error: writing needs to know who writes
  prices.insert('tea', { cents: 300 })
  // @ts-expect-error: a value of another kind
  prices.insert(context, 'tea', 300)
  // @ts-expect-error: a key of another kind
  prices.get(1)
  // @ts-expect-error: the values are no numbers
  prices.updateCounter(context, 'tea')
  // @ts-expect-error: code outside of processes owns nothing
  Table.create(system)
  // @ts-expect-error: this process does not understand the info `table`
  prices.giveAway(context, stranger)
  // @ts-expect-error: no such protection
  Table.create(context, { protection: 'secret' })
}
