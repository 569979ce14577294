/** Compiled, never run: what the handle of a kind lets be sought, and what it refuses. */
import { type App, type DurableServer, type EntityHandle, entity, reply } from '../../src/index.ts'

type Status = 'placed' | 'paid'
type Order = { readonly status: Status; readonly total: number }
type Fields = {
  readonly status: Status | undefined
  readonly total: number
  readonly gift: boolean
}
type Messages = { calls: { place: (total: number) => void } }

declare const orders: EntityHandle<Messages, Order, Fields>
declare const loose: EntityHandle
declare const app: App
declare const init: () => Order

const calls: DurableServer<Messages, Order>['calls'] = {
  place: (state) => reply(undefined, state),
}
const index = ({ status, total }: Order) => ({ status, total })
/** The fields of its index are its third type. */
const named: DurableServer<Messages, Order, { readonly status: Status; readonly total: number }> = {
  ...{ init, calls, index },
}
const unnamed: DurableServer<Messages, Order> = { init, calls, index }

/** Whether two types are one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles for `true` only. */
const isTrue = <T extends true>(..._types: T[]): void => undefined

export const uses = async (): Promise<void> => {
  const page = orders.list({ where: { status: 'placed' }, order: 'desc', prefix: 'eu-' })
  const state = page.entries[0]?.state
  isTrue<Same<typeof state, Order | undefined>>()
  orders.list({ where: { total: { gte: 5, lt: 9 } }, limit: 5, states: false })
  orders.list({ where: { status: { gt: 'paid' } } })
  orders.list({ where: { gift: true } })
  orders.list({ where: { status: 'paid', total: 5 } })
  orders.list({ where: { total: { gte: 5 }, gift: false, status: 'paid' }, order: 'desc' })
  await orders.page({ where: { status: 'paid', gift: true } })
  loose.list({ where: { anything: 1, other: null } })
  for await (const turn of orders.watch({ where: { status: 'paid', total: { gte: 5 } } })) {
    const left: true | undefined = turn.left
    isTrue<Same<typeof turn.state, Order | undefined>>()
    void left
  }
  app.entity('order').watch({ where: { anything: 0 } })
  const statuses = await orders.counts('status')
  isTrue<Same<typeof statuses, Map<Status, number>>>()
  const totals = await orders.counts('total')
  isTrue<Same<typeof totals, Map<number, number>>>()
  const at: number | undefined = (await orders.alarms({ before: 5 }))[0]?.at
  loose.list({ where: { anything: at ?? 0 } })
  app.entity('order').list({ where: { anything: 0 } })
  app.entity(entity('order', named)).list({ where: { status: 'paid' } })
  app.entity(entity('order', unnamed)).list({ prefix: 'eu-' })
}

export const misuses = async (): Promise<void> => {
  // @ts-expect-error: no such field
  orders.list({ where: { state: 'placed' } })
  // @ts-expect-error: a field with a slip in its name
  app.entity(entity('order', named)).list({ where: { statuss: 'paid' } })
  // @ts-expect-error: the server names no fields
  app.entity(entity('order', unnamed)).list({ where: { status: 'paid' } })
  // @ts-expect-error: not a value of the field
  orders.list({ where: { status: 'gone' } })
  // @ts-expect-error: a text for a number
  orders.list({ where: { total: '5' } })
  // @ts-expect-error: a text as the bound of numbers
  orders.list({ where: { total: { gte: '5' } } })
  // @ts-expect-error: booleans have no bounds
  orders.list({ where: { gift: { gte: true } } })
  // @ts-expect-error: no condition
  orders.list({ where: {} })
  // @ts-expect-error: no such field, beside one that there is
  orders.list({ where: { status: 'paid', state: 'placed' } })
  // @ts-expect-error: not a value of the second field
  orders.list({ where: { status: 'paid', total: '5' } })
  // @ts-expect-error: booleans have no bounds, in the second field too
  orders.list({ where: { status: 'paid', gift: { gte: true } } })
  // @ts-expect-error: no such field of a watch
  orders.watch({ where: { state: 'placed' } })
  // @ts-expect-error: not a value of the field of a watch
  orders.watch({ where: { status: 'gone' } })
  // @ts-expect-error: the server names no fields, for a watch neither
  app.entity(entity('order', unnamed)).watch({ where: { status: 'paid' } })
  // @ts-expect-error: no such order
  orders.list({ order: 'down' })
  // @ts-expect-error: no such field
  await orders.counts('state')
  // @ts-expect-error: a Date is not a time in ms
  await orders.alarms({ before: new Date() })
}
