/** The entity of the lives of members: an account whose turns leave marks in the log, and that charges a bank in a step. */
import {
  cast,
  type DurableServer,
  entity,
  type GenServer,
  name,
  noReply,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { markOf } from '../models/member-claims.ts'

/** An account after its turns. */
export type Account = { readonly last: number; readonly count: number; readonly paid: number }

export type AccountMessages = {
  calls: { add: (number: number) => Account; read: () => Account }
  continues: { charge: (number: number) => void }
}

type ToldMessages = { casts: { told: (number: number) => void } }
const toldName = name<ToldMessages>('told')

/** What the world sees of accounts. */
export type AccountWorld = {
  /** The bank is asked to charge. */
  readonly charges: (number: number, key: string) => void
  /** How long the bank takes, in ms. */
  readonly bankMs: () => number
}

/** The account that was never added to. */
export const emptyAccount: Account = { last: 0, count: 0, paid: 0 }

/** The kind of accounts. */
export const accounts = ({ charges, bankMs }: AccountWorld) => {
  const server: DurableServer<AccountMessages, Account> = {
    init: () => emptyAccount,
    calls: {
      add: (account, number, context) => {
        const next = { ...account, last: number, count: account.count + 1 }
        context.writes.put(`{account/${context.id}}:${number % 3}`, markOf('add', number))
        cast(context.to(toldName), 'told', number)
        return reply(next, next, { continue: ['charge', number] })
      },
      read: (account) => reply(account, account),
    },
    continues: {
      charge: async (account, number, context) => {
        charges(number, context.step)
        const { clock } = context.system
        await new Promise<void>((resolve) => clock.after(bankMs(), resolve))
        context.writes.put(`{account/${context.id}}:paid`, markOf('paid', number))
        return noReply({ ...account, paid: account.paid + 1 })
      },
    },
  }
  return entity('account', server, { idleMs: 200 })
}

/** The tree of a member's instance. `told` hears of each message of a turn. */
export const accountTree = (kind: ReturnType<typeof accounts>, told: (number: number) => void) => {
  const hears: GenServer<ToldMessages, null> = {
    init: () => null,
    casts: {
      told: (state, number) => {
        told(number)
        return noReply(state)
      },
    },
  }
  return supervisor('app', {}, [worker('told', hears), kind])
}
