/** A server of durable streams as a process: Keelson, or the reference server on files. It tells its parent the port, and its memory. */
import { memoryUsage } from 'node:process'

const openers = {
  keelson: async (dir) => {
    const { createServer } = await import('node:http')
    const { start } = await import('keelson')
    const { streamHandler } = await import('keelson/streams')
    const app = await start({ dir })
    const acts = ['read', 'append', 'create', 'close', 'delete']
    const serve = streamHandler(app, (_, path) => ({ stream: path, acts }), { base: '/v1/stream' })
    const server = createServer(serve.node)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return server.address().port
  },
  reference: async (dataDir) => {
    const { createRequire } = await import('node:module')
    const peers = createRequire(new URL('../peers/', import.meta.url))
    const { DurableStreamTestServer } = await import(peers.resolve('@durable-streams/server'))
    const server = new DurableStreamTestServer({ port: 0, dataDir, compression: false })
    return Number(new URL(await server.start()).port)
  },
}

/** After a collection: what is held, and no garbage. */
const held = () => {
  globalThis.gc()
  const { rss, heapUsed, external } = memoryUsage()
  return { rss, held: heapUsed + external, cpu: process.cpuUsage() }
}

const [name, dir] = process.argv.slice(2)
process.on('message', () => process.send(held()))
process.once('disconnect', () => process.exit())
process.send({ port: await openers[name](dir) })
