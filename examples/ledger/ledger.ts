/**
 * A payment ledger: accounts, and payments that move money between them. An account has an entry for
 * each payment, and no entry is ever changed. A payment that cannot end is reversed.
 */
import { call, type DurableServer, entity, ok, reply, supervisor } from 'keelson'
import { type Ctx, flows, workflow } from 'keelson/flow'

export type Payment = { readonly from: string; readonly to: string; readonly cents: number }
export type Entry = { readonly payment: string; readonly cents: number }
export type Account = { readonly cents: number }

export type Messages = {
  calls: {
    /** Opens the account with this money, once. */
    open: (cents: number) => void
    /** Writes the entry of a payment, once. Refused: the account is not open, or has too little. */
    book: (entry: Entry) => 'booked' | 'refused'
    /** Takes back what this payment has booked or will book, once. */
    reverse: (payment: string) => void
  }
}

const entryKey = (payment: string): string => `entry/${payment}`
const reversalKey = (payment: string): string => `reversal/${payment}`

const account: DurableServer<Messages, Account | undefined> = {
  init: () => ok(undefined),
  calls: {
    open: (state, cents) => reply(undefined, state ?? { cents }),
    book: (state, entry, { rows }) => {
      const { payment, cents } = entry
      if (rows.get(entryKey(payment))) return reply('booked', state)
      const isReversed = rows.get(reversalKey(payment)) !== undefined
      if (!state || isReversed || state.cents + cents < 0) return reply('refused', state)
      rows.put(entryKey(payment), entry)
      return reply('booked', { cents: state.cents + cents })
    },
    reverse: (state, payment, { rows }) => {
      if (rows.get(reversalKey(payment))) return reply(undefined, state)
      const cents = 0 - ((rows.get(entryKey(payment)) as Entry | undefined)?.cents ?? 0)
      rows.put(reversalKey(payment), { payment, cents })
      return reply(undefined, state && { cents: state.cents + cents })
    },
  },
}

export const accounts = entity('account', account)

/**
 * A payment: out of one account, into the other. If the second refuses, the first gets it back. One
 * that gives no answer is asked until it does: after a reversal it might have taken the money.
 */
const pay = async (ctx: Ctx, { from, to, cents }: Payment): Promise<void> => {
  const { id } = ctx
  const out = await ctx.step(
    'out',
    ({ app }) => call(app.entity(accounts).ref(from), 'book', { payment: id, cents: -cents }),
    { undo: ({ app }) => call(app.entity(accounts).ref(from), 'reverse', id) },
  )
  if (out === 'refused') throw new Error(`${from} has less than ${cents}`)
  const into = await ctx.step('into', ({ app }) =>
    call(app.entity(accounts).ref(to), 'book', { payment: id, cents }),
  )
  if (into === 'refused') throw new Error(`${to} is not open`)
}
export const payments = workflow('payment', pay, { stepDefaults: { retry: { max: Infinity } } })

export const tree = supervisor('app', {}, [accounts, flows({ workflows: [payments] })])
