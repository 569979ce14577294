// `keelson dev`, `keelson start` and `keelson run` start this, `keelson check` prints it.
import { defineConfig, supervisor } from 'keelson'
import { flows } from 'keelson/flow'
import { http } from './http.ts' //:http
import { order } from './order.ts'
import { stock } from './stock.ts'

export default defineConfig({
  // The data folder, beside this file. It survives `kill -9`; remove it to begin anew.
  dir: './data',
  // One shard is fastest in one process. Keys that would be apart in 64 shards share no batch, so that
  // the folder can get more of them later, for several processes.
  shards: 1,
  shardsPlan: 64,
  // The supervision tree. A part that crashes is started again, up to three times in five seconds.
  app: supervisor('app', { strategy: 'one_for_one', intensity: 3, periodMs: 5_000 }, [
    stock,
    flows({ workflows: [order] }),
    http, //:http
  ]),
})
