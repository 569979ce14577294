/**
 * A Redis server of the bench's own, in a folder and reached by a socket in it. Every command is synced before it is answered
 * (`appendfsync always`), as a log's writes are.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const settings = (folder, socket) => [
  ...['--port', '0', '--unixsocket', socket, '--dir', folder],
  ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
]

const whenReady = async (server) => {
  for await (const text of server.stdout.setEncoding('utf8'))
    if (/ready to accept connections/i.test(text)) return true
  return false
}

/** Starts a server in `folder`. Answers `{ socket, pid, stop }`, or `{ absent }` with the reason. */
export const startRedis = async (folder) => {
  if (spawnSync('redis-server', ['--version']).status !== 0)
    return { absent: 'no redis-server here: install the redis-server package' }
  mkdirSync(folder)
  const socket = join(folder, 'redis.sock')
  const server = spawn('redis-server', settings(folder, socket), {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(server, 'exit')
  if (!(await whenReady(server))) return { absent: 'the server ended before it was ready' }
  server.stdout.destroy()
  return {
    socket,
    pid: server.pid,
    stop: () => {
      server.kill('SIGINT')
      return ended
    },
  }
}
