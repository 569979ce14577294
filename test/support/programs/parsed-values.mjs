// Workflows, a queue, an entity and a part of the store whose values schemas parse. Each parse is a line of the file `DIR.parses`:
// of what, and the text. A parsed value is no text, so that a schema would refuse it.
import { appendFileSync } from 'node:fs'
import { call, entity, noReply, reply, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { z } from 'zod'
import { dir, serving } from './serving.mjs'

const patiently = { timeoutMs: 60_000 }
const note = (of, text) => appendFileSync(`${dir}.parses`, `${of} ${text}\n`)

const parsed = (of) =>
  z
    .string()
    .regex(/^\d+$/)
    .transform((text) => {
      note(of, text)
      return { made: Number(text) }
    })

const made = z.object({ made: z.number() })

const order = workflow(
  'order',
  async (ctx, input) => {
    const updates = []
    ctx.onUpdate('change', (change) => {
      updates.push(change)
      return change
    })
    const signal = await ctx.waitFor('go')
    return { input, signal, updates }
  },
  {
    input: parsed('input'),
    signals: { go: parsed('signal') },
    updates: {
      change: {
        input: parsed('update'),
        output: made.transform((answer) => {
          note('answer', answer.made)
          return [answer.made]
        }),
      },
    },
    output: z
      .object({ input: made, signal: made, updates: z.array(made) })
      .transform(({ input, signal, updates }) => {
        note('output', input.made)
        return [input, signal, ...updates].map(({ made }) => made)
      }),
  },
)

const jobs = queue('jobs', (input) => ({ got: input }), {
  input: parsed('job'),
  unique: '1d',
  keep: { results: '1d' },
})

const account = entity('account', {
  messages: { calls: { pay: parsed('call') }, casts: { told: parsed('cast') } },
  init: () => [],
  calls: {
    pay: (state, { made }, context) => {
      // To one of a few actors that all send to.
      context.cast(context.app.entity('account').ref(`all-${made % 3}`), 'told', String(made))
      return reply(made, [...state, made])
    },
  },
  casts: { told: (state, { made }) => noReply([...state, made]) },
})

await serving(
  { app: supervisor('app', {}, [account, flows({ workflows: [order], queues: [jobs] })]) },
  (app) => {
    const run = (id) => flow(app).handle(order, id)
    const typed = app.store.typed('typed/', parsed('value'))
    return {
      start: ([text]) =>
        flow(app)
          .start(order, text, { id: text })
          .then(() => true),
      update: ([id, text]) => run(id).update('change', text, { id: text, ...patiently }),
      signal: ([id, text]) =>
        run(id)
          .signal('go', text, { id: text })
          .then(() => true),
      result: ([id]) => run(id).result(patiently),
      run: async ([id]) => {
        const { input, output } = await flow(app).read('get', order, id)
        return { input, output }
      },
      add: ([text]) =>
        flow(app)
          .add(jobs, text, { unique: text })
          .then(({ id }) => id),
      jobResult: ([id]) => flow(app).job(jobs, id).result(patiently),
      pay: ([id, text]) =>
        call(app.entity(account).ref(id), 'pay', text, { ...patiently, id: text }),
      account: ([id]) => app.entity(account).load(id),
      put: ([text]) => typed.put(text, text).then(() => true),
      value: ([text]) => app.store.load(`typed/${text}`),
    }
  },
)
