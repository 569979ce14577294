/** `keelson run --members` of a service whose worker answers on a port that all members share. */
import { get } from 'node:http'
import { tempFolder } from '../temp-folder.ts'
import { commandHere } from './command-here.ts'
import { treeWith, write } from './command-project.ts'
import { type RunningCommand, startKeelson } from './keelson-command.ts'

/** A worker that answers on a port with its process, until it ends. It says which port it got. */
export const web = `import { createServer } from 'node:http'
  import { once } from 'node:events'
  export const server = {
    init: async (_, context) => {
      context.trapExit(true)
      const answer = JSON.stringify({ title: process.title, pid: process.pid })
      const http = createServer((_, response) => response.end(answer))
      http.listen(0, '127.0.0.1')
      await once(http, 'listening')
      console.log('port ' + http.address().port)
      return http
    },
    calls: {}, casts: {},
    terminate: (http) => new Promise((resolve) => http.close(resolve)),
  }`

/** A folder with the configuration of a service of four shards that has this worker. */
export const folderWith = (worker: string, options = {}): string => {
  const dir = tempFolder()
  write(dir, 'worker.mjs', worker)
  const { app } = JSON.parse(treeWith('./worker.mjs'))
  write(dir, 'service.json', JSON.stringify({ app, shards: 4, ...options }))
  return dir
}

/** Starts the service with so many members; resolves when all are ready. */
export const startMembers = async (dir: string, count: number): Promise<RunningCommand> => {
  const words = ['run', 'service.json', '--dir', 'd', '--members', String(count)]
  const service = startKeelson(words, dir, {}, 'ignore')
  await service.says('ready: ')
  return service
}

type Answer = { readonly title: string; readonly pid: number }

/** What the member says that gets a new connection. */
export const answerAt = (port: number): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part))
      response.on('error', reject)
      response.on('end', () => resolve(JSON.parse(text)))
    })
    request.on('error', reject)
  })

/** The port that the members share. */
export const portOf = (service: RunningCommand): number =>
  Number(/port (\d+)/.exec(service.printed())?.[1])

/** The process of each member, when so many have answered on the port that all share. */
export const processes = async (
  service: RunningCommand,
  count: number,
): Promise<Map<string, number>> => {
  const port = portOf(service)
  const found = new Map<string, number>()
  while (found.size < count) {
    const { title, pid } = await answerAt(port)
    found.set(title, pid)
  }
  return found
}

/** The states of the shards, as `keelson doctor` reports them. */
export const shardStates = async (dir: string): Promise<string[]> => {
  const { output } = await commandHere(['doctor', 'd'], dir)
  return [...output.matchAll(/^shard \d {2}(\w+)/gm)].map(([, state = '']) => state)
}

/** Each shard was closed in order. */
export const allClean = ['clean', 'clean', 'clean', 'clean']
