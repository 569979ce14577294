// @ts-check
import { call } from 'keelson'
import { workflow } from 'keelson/flow'
import { stock } from './stock.mjs'

/**
 * @typedef {{ item: string, count: number }} Order
 * @typedef {{ paid: { by: string } }} Signals
 */

/**
 * A workflow: a function that goes on after a crash where it was. It acts in steps, whose outcomes
 * are recorded. A step that a crash has cut off runs again under the same `key`, and with the `key`
 * as its id a call counts once.
 */
export const order = workflow(
  'order',
  /** @param {import('keelson/flow').Ctx<Signals>} ctx @param {Order} order */
  async (ctx, { item, count }) => {
    /** @param {{ app: import('keelson').AppContext, key: string }} step */
    const reserve = ({ app, key }) => call(app.entity(stock).ref(item), 'take', count, { id: key })
    const isReserved = await ctx.step('reserve', reserve, {
      // Runs if the order does not complete. The same call with the same id answers as it did.
      undo: async (step) => {
        if (!(await reserve(step))) return
        const id = `${step.key}/undo`
        await call(step.app.entity(stock).ref(item), 'add', count, { id })
      },
    })
    if (!isReserved) return 'sold out'
    const payment = await ctx.waitFor('paid', { timeout: '3d' })
    if (payment === undefined) throw new Error('it was not paid within three days')
    return 'sold'
  },
)
