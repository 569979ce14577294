// A service in DIR with work for an operator: the actor visit/1 with two alarms, runs that wait for
// a signal or have failed, and a dead job. When `bank` is written to its input, the bank answers.
import { createInterface } from 'node:readline'
import { call, entity, noReply, ok, reply, start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'

const [dir] = process.argv.slice(2)
const bank = { isAway: true }
const charge = () => {
  if (bank.isAway) throw new Error('the bank is away')
}

const visit = {
  init: () => ok({ heard: [] }),
  calls: {
    plan: (state, _, context) => {
      context.setAlarm('remind', { inMs: 3_600_000 })
      context.setAlarm('forget', { inMs: 7_200_000 })
      return reply('planned', state)
    },
  },
  alarms: {
    remind: ({ heard }) => noReply({ heard: [...heard, 'reminded'] }),
    forget: ({ heard }) => noReply({ heard: [...heard, 'forgotten'] }),
  },
}

const approval = workflow('approval', async (ctx) => ({
  by: await ctx.waitFor('approve', { timeout: '3d' }),
}))
const payment = workflow('payment', (ctx) => ctx.step('charge', charge, { retry: { max: 1 } }))
const receipts = queue('receipts', charge, { retry: { max: 1 } })
const parts = flows({ workflows: [approval, payment], queues: [receipts] })

const app = await start({
  ...{ dir, attach: true },
  logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
  app: supervisor('app', {}, [entity('visit', visit), parts]),
})
await call(app.entity('visit').ref('1'), 'plan')
await flow(app).start(approval, undefined, { id: 'signalled' })
await flow(app).start(approval, undefined, { id: 'cancelled' })
const failed = await flow(app).start(payment, undefined, { id: 'failed' })
await failed.result().catch(() => undefined)
await flow(app).add(receipts, { to: 'ada' })

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'bank') bank.isAway = false
  console.log(`done: ${line}`)
})
console.log('ready')
