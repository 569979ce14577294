// A member of a folder that lets `keelson mcp` look at it, with a secret in all that it has. `plant` makes a fault of each sort in
// this process or in shards that it has.
import { call, cast, entity, reply, supervisor, worker } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { member, serving } from './serving.mjs'

const canary = 'CANARY7'
const secrets = { login: 'ada', password: canary }

const account = entity('account', {
  init: () => ({ login: '', password: '' }),
  calls: {
    open: () => reply(undefined, secrets),
    fail: () => {
      throw Object.assign(new Error(`card refused at ${member}`), { card: canary, state: secrets })
    },
  },
})

/** In memory, at each member. */
const mailer = {
  init: () => secrets,
  casts: {
    send: () => {
      throw new Error(`no mailbox at ${member}, password=${canary}`)
    },
  },
}

const payment = workflow('payment', async (ctx, input) => {
  await ctx.attributes({ customer: input.login, accessToken: canary })
  await ctx.step(
    'charge',
    () => {
      throw new Error(`charge refused, token=${canary}`, { cause: new Error('no route to bank') })
    },
    { retry: { max: 1 } },
  )
})

const mails = queue(
  'mails',
  () => {
    throw new Error(`job refused with secret: ${canary}`)
  },
  { retry: { max: 1 } },
)

const heard = (app, event) =>
  new Promise((resolve) => {
    const once = (found) => {
      app.system.events.off(event, once)
      resolve(found)
    }
    app.system.events.on(event, once)
  })

await serving(
  {
    attach: true,
    app: supervisor('app', { intensity: 1_000 }, [
      worker('mailer', mailer),
      account,
      flows({ workflows: [payment], queues: [mails] }),
    ]),
  },
  (app) => {
    const shards = new Set(
      app
        .health()
        .shards.filter(({ phase }) => phase === 'open')
        .map(({ shard }) => shard),
    )
    /** The first number whose entity of this kind is in a shard of this member. */
    const own = (kind) => {
      for (let at = 1; ; at++) if (shards.has(app.store.shardOf(`{${kind}/${at}}`))) return `${at}`
    }
    return {
      plant: async () => {
        const [id, run] = [own('account'), own('$flow-payment')]
        await call(app.entity(account).ref(id), 'open')
        await call(app.entity(account).ref(id), 'fail').catch(() => undefined)
        const paying = await flow(app).start(payment, secrets, { id: run })
        await paying.result().catch(() => undefined)
        for (let time = 0; time < 3; time++) {
          const restarted = heard(app, 'process.restarted')
          cast(app.system.to('mailer'), 'send')
          await restarted
        }
        const job = await flow(app).add(mails, secrets)
        await flow(app)
          .job(mails, job.id)
          .result()
          .catch(() => undefined)
        app.system.logger.warn(`a login has failed at ${member}`, secrets)
        app.system.logger.warn(`retry with apiKey=${canary}`)
        return { id, run, job: job.id }
      },
      pid: () => app.system.processes().find(({ name }) => name === 'mailer')?.pid,
    }
  },
)
