// The server of examples/agent as a member of a folder. It tells its parent the port, and then the argument and the key of each call
// of a tool. It ends with its parent. Run by jiti: the example is in TypeScript.
import { setTimeout as pause } from 'node:timers/promises'
import { folderEngine, start, supervisor } from 'keelson'
import { flows } from 'keelson/flow'
import { agentOf } from '../../../examples/agent/agent.ts'
import { serverOf } from '../../../examples/agent/http.ts'

const [dir, member, members] = process.argv.slice(2)
const toolOf = (answer) => async (arg, key) => {
  process.send({ arg, key })
  await pause(100)
  return answer
}
const agent = agentOf({ weather: toolOf('it is sunny'), delete: toolOf('it is gone') })
const app = await start({
  dir,
  app: supervisor('app', {}, [flows({ workflows: [agent] })]),
  shards: 16,
  cluster: { name: 'agents', member, engine: folderEngine({ members: members.split(',') }) },
})
const server = serverOf(app, agent, '')
// A connection that rests is kept: to end it while a request is on its way would fail a client that is slow.
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
process.once('disconnect', () => process.exit())
