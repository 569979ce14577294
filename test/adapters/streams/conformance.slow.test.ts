/**
 * The public suite of the Durable Streams protocol, unchanged: against one process, and against members
 * of a folder of which each connection finds another one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { afterAll, beforeAll, describe } from 'vitest'
import { folderOfSuite } from '../../support/temp-folder.ts'

/** Long-polls without a message end after so long. */
const longPollMs = 1_000

const program = new URL('../../support/programs/stream-server.mjs', import.meta.url)

const served = async (dir: string, ...member: readonly string[]) => {
  const child = fork(program, [`${longPollMs}`, dir, ...member])
  const [port] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended with ${code}`))),
  ])
  return { child, port: port as number }
}

/** Connections to one port after another. */
const spreading = async (ports: readonly number[]): Promise<Server> => {
  let at = 0
  const server = createServer((socket) => {
    const other = connect(ports[at++ % ports.length] as number, '127.0.0.1')
    socket.pipe(other).pipe(socket)
    socket.on('error', () => other.destroy())
    other.on('error', () => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

describe.each([
  ['one process', 1],
  ['four members of a folder', 4],
])('%s', (_, count) => {
  const target = { baseUrl: '', longPollTimeoutMs: longPollMs }
  const dir = folderOfSuite()
  const children: ChildProcess[] = []
  let server: Server | undefined

  beforeAll(async () => {
    const names = ['a', 'b', 'c', 'd'].slice(0, count)
    const member = (name: string) => (count > 1 ? [name, names.join()] : [])
    const members = await Promise.all(names.map((name) => served(dir(), ...member(name))))
    children.push(...members.map(({ child }) => child))
    server = await spreading(members.map(({ port }) => port))
    target.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  afterAll(async () => {
    const ends = children.map((child) => once(child, 'exit'))
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(ends)
    server?.close()
  })

  runConformanceTests(target)
})
