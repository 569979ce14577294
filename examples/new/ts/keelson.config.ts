// `keelson dev`, `keelson start` and `keelson run` start this, `keelson check` prints it.
import { defineConfig, supervisor } from 'keelson'
import { flows } from 'keelson/flow'
import { http } from './http.ts' //:http
import { order } from './order.ts'
import { stock } from './stock.ts'

export default defineConfig({
  // The data folder, beside this file. It survives `kill -9`; remove it to begin anew. A new one has
  // one shard, and keeps its number: in one process more of them give handlers no second core.
  // `keelson run --members cores` has a process for each core, and begins a new folder with 64.
  dir: './data',
  // The supervision tree. A part that crashes is started again, up to three times in five seconds.
  app: supervisor('app', { strategy: 'one_for_one', intensity: 3, periodMs: 5_000 }, [
    stock,
    flows({ workflows: [order] }),
    http, //:http
  ]),
})
