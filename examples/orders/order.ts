/** An order: paid, or cancelled. It survives crashes, and the bank is asked under one key. */
import { type Ctx, workflow } from 'keelson/flow'
import type { Bank } from './bank.ts'

export type Order = { readonly cents: number }

/** Orders. One that is not paid within `payWithinMs` is cancelled. They are kept for ten years. */
export const orderWorkflow = (bank: Bank, payWithinMs: number) =>
  workflow(
    'order',
    (ctx: Ctx, { cents }: Order) =>
      ctx.step('charge', ({ key, signal }) => bank.charge(key, cents, signal), {
        retry: { max: Number.POSITIVE_INFINITY },
        // The bank may have the charge already: a try whose answer was lost counts.
        undo: ({ key }) => bank.release(key),
      }),
    { deadline: payWithinMs, keep: { completed: '3650d', cancelled: '3650d' } },
  )

export type Orders = ReturnType<typeof orderWorkflow>
