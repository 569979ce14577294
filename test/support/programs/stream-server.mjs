// Serves durable streams over HTTP, alone or as a member of a folder, and tells its parent the port. It ends with its
// parent. The built package.
import { createServer } from 'node:http'
import { folderEngine, start } from 'keelson'
import { streamHandler } from 'keelson/streams'

const [longPollMs, dir, member, members] = process.argv.slice(2)
const engine = members && folderEngine({ members: members.split(',') })
const app = await start({
  dir,
  ...(engine ? { shards: 16, cluster: { name: 'streams', member, engine } } : {}),
})
const acts = ['read', 'append', 'create', 'close', 'delete', 'fork']
const serve = streamHandler(app, (_, path) => ({ stream: path, acts }), {
  base: '/v1/stream',
  cors: ['*'],
  longPollMs: Number(longPollMs),
})
// A connection that rests is kept: to end it while a request is on its way would fail a client that is slow.
const server = createServer({ keepAliveTimeout: 120_000 }, serve.node)
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.once('disconnect', () => process.exit())
