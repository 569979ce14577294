// A member of a folder that takes orders over HTTP, and writes each span to its file when it has ended. An order is an entity,
// which starts a run, which adds a job. The built package. Arguments: its name, the folder, and the file.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { call, entity, folderEngine, noReply, reply, start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { inTraceOf, tracing } from 'keelson/otel'

const [member, dir, file] = process.argv.slice(2)

const exporter = {
  export: (spans, done) => {
    for (const span of spans) {
      const { traceId, spanId } = span.spanContext()
      const parent = span.parentSpanContext?.spanId
      const line = { name: span.name, traceId, spanId, parent, member, pid: process.pid }
      appendFileSync(file, `${JSON.stringify(line)}\n`)
      process.send?.({ span: line })
    }
    done({ code: 0 })
  },
  shutdown: async () => undefined,
}
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const tracerProvider = new BasicTracerProvider({
  spanProcessors: [new SimpleSpanProcessor(exporter)],
})
const http = tracerProvider.getTracer('http')

const mails = queue('mails', () => undefined)
const delivery = workflow('delivery', async (ctx, id) => {
  await ctx.step('pack', () => id)
  await ctx.sleep('pause', '2s')
  await ctx.step('send', ({ app }) =>
    flow(app)
      .add(mails, id)
      .then(() => undefined),
  )
})
const order = {
  init: () => 'new',
  calls: { place: (_, id) => reply(id, 'placed', { continue: ['deliver', id] }) },
  continues: {
    deliver: async (state, id, own) => {
      await flow(own.app).start(delivery, id, { id })
      return noReply(state)
    },
  },
}

const app = await start({
  ...{ dir, shards: 4 },
  app: supervisor('app', {}, [
    entity('order', order),
    flows({ workflows: [delivery], queues: [mails] }),
  ]),
  cluster: { name: 'c', member, engine: folderEngine({ members: ['a', 'b'] }) },
  logger: { error: console.error, warn: () => undefined, info: () => undefined },
})
tracing(app, { tracerProvider })

/** An id whose order and run other members have. */
const idElsewhere = () => {
  const own = new Set(
    app.health().shards.flatMap(({ shard, phase }) => (phase === 'open' ? [shard] : [])),
  )
  for (let id = 1; id < 1_000; id++)
    if (['order', '$flow-delivery'].every((kind) => !own.has(app.store.shardOf(`{${kind}/${id}}`))))
      return String(id)
  throw new Error(`${member} has every shard`)
}

const server = createServer((request, response) => {
  inTraceOf(request.headers, () =>
    http.startActiveSpan('POST /order', async (span) => {
      try {
        const id = idElsewhere()
        await call(app.entity('order').ref(id), 'place', id)
        response.end(id)
      } catch (error) {
        response.writeHead(500).end(String(error))
      }
      span.end()
    }),
  )
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }))
process.on('disconnect', () => process.exit())
