// @ts-check
// `keelson start` and `keelson run` start this, `keelson check` prints it.
import { defineConfig, supervisor } from 'keelson'
import { flows } from 'keelson/flow'
import { order } from './order.mjs'
import { stock } from './stock.mjs'

export default defineConfig({
  // The data folder, beside this file. It survives `kill -9`; remove it to begin anew.
  dir: './data',
  // The supervision tree. A part that crashes is started again, up to three times in five seconds.
  app: supervisor('app', { strategy: 'one_for_one', intensity: 3, periodMs: 5_000 }, [
    stock,
    flows({ workflows: [order] }),
  ]),
})
