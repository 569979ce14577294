// A service of two members with an actor, runs and jobs in each shard: one of the members is stopped, and the other is asked.
import { defineConfig, entity, reply, supervisor } from 'keelson'
import { flows, queue, schedule, workflow } from 'keelson/flow'

const counter = entity('counter', {
  init: () => ({ count: 0 }),
  calls: { add: (state) => reply(state.count + 1, { count: state.count + 1 }) },
  casts: {},
})
const order = workflow('order', (ctx) => ctx.sleep('pause', '1h'))
const mails = queue('mails', () => undefined)
const tick = schedule('tick', '0 0 1 1 *', order)

export default defineConfig({
  shards: 4,
  members: { stuckMs: 3_600_000 },
  app: supervisor('app', {}, [
    counter,
    flows({ workflows: [order], queues: [mails], schedules: [tick] }),
  ]),
})
