/** The report: how much of each show is sold, kept up to date from the sales in the store. */
import { projection } from 'keelson'
import type { Sale } from './show.ts'

/** Rows `SHOW/seats` and `SHOW/cents`. */
export const report = projection('report', {
  version: 1,
  project: (change) => {
    const { kind, key } = change
    if (kind !== 'value' || !key.startsWith('sale:')) return []
    // Only now: a value of another key may be too large for a projection.
    const { before, after } = change
    const counted = (sale: Sale | undefined, sign: 1 | -1) =>
      sale
        ? [
            { kind: 'add' as const, key: `${sale.show}/seats`, by: sign * sale.seats },
            { kind: 'add' as const, key: `${sale.show}/cents`, by: sign * sale.cents },
          ]
        : []
    return [...counted(before as Sale | undefined, -1), ...counted(after as Sale | undefined, 1)]
  },
})
