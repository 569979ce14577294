import { type AppContext, call } from 'keelson'
import { type Ctx, workflow } from 'keelson/flow'
import { stock } from './stock.ts'

export type Order = { readonly item: string; readonly count: number }
type Signals = { paid: { readonly by: string } }
type Step = { readonly app: AppContext; readonly key: string }

/**
 * A workflow: a function that goes on after a crash where it was. It acts in steps, whose outcomes
 * are recorded. A step that a crash has cut off runs again under the same `key`, and with the `key`
 * as its id a call counts once.
 */
export const order = workflow('order', async (ctx: Ctx<Signals>, { item, count }: Order) => {
  const reserve = ({ app, key }: Step) =>
    call(app.entity(stock).ref(item), 'take', count, { id: key })
  const isReserved = await ctx.step('reserve', reserve, {
    // Runs if the order does not complete. The same call with the same id answers as it did.
    undo: async (step) => {
      if (!(await reserve(step))) return
      await call(step.app.entity(stock).ref(item), 'add', count, { id: `${step.key}/undo` })
    },
  })
  if (!isReserved) return 'sold out'
  const payment = await ctx.waitFor('paid', { timeout: '3d' })
  if (payment === undefined) throw new Error('it was not paid within three days')
  return 'sold'
})
