/**
 * A PostgreSQL server of the bench's own: a new cluster in a folder, reached by a socket in it, `fsync` and
 * `synchronous_commit` on as they are by default. It refuses to run as root, so root starts it as another user.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const packaged = '/usr/lib/postgresql'

const binaries = () => {
  const versions = existsSync(packaged) ? readdirSync(packaged) : []
  const newest = versions.sort((left, right) => Number(right) - Number(left))
  const folders = [...newest.map((version) => join(packaged, version, 'bin'))]
  folders.push(...(process.env.PATH ?? '').split(':'))
  return folders.find((folder) => existsSync(join(folder, 'initdb')))
}

const numberOf = (flag, user) => {
  const { status, stdout } = spawnSync('id', [flag, user], { encoding: 'utf8' })
  return status === 0 ? Number(stdout) : undefined
}

/** Who runs it: the caller, or for root a user without rights; `undefined` where there is none. */
const servant = () => {
  if (process.getuid() !== 0) return { uid: process.getuid(), gid: process.getgid() }
  for (const user of ['postgres', 'nobody']) {
    const uid = numberOf('-u', user)
    if (uid !== undefined) return { uid, gid: numberOf('-g', user) }
  }
  return undefined
}

const settings = (folder) => [
  ...['-D', join(folder, 'data'), '-k', folder],
  ...['-c', 'listen_addresses=', '-c', 'fsync=on', '-c', 'synchronous_commit=on'],
  ...['-c', 'max_connections=300'],
]

const newCluster = {
  program: 'initdb',
  words: ['-U', 'bench', '-A', 'trust', '-E', 'UTF8', '--locale=C'],
}

const copyOf = (primary) => ({
  program: 'pg_basebackup',
  words: ['-h', primary, '-U', 'bench', '-R', '-c', 'fast'],
})

const whenReady = async (server) => {
  for await (const text of server.stderr.setEncoding('utf8'))
    if (/ready to accept (read-only )?connections/.test(text)) return true
  return false
}

/**
 * Starts a server in `folder`. Answers `{ socket, pid, bin, stop }` (`bin`: its programs), or `{ absent }` with the reason.
 * `primary`: the socket of another server, whose standby it becomes.
 */
export const startPostgres = async (folder, { primary } = {}) => {
  const bin = binaries()
  if (bin === undefined) return { absent: 'no initdb here: install the postgresql package' }
  const user = servant()
  if (user === undefined) return { absent: 'nobody to run it as: it refuses to run as root' }
  mkdirSync(folder)
  chownSync(folder, user.uid, user.gid)
  chmodSync(folder, 0o700)
  const how = { ...user, cwd: folder, encoding: 'utf8' }
  const { program, words } = primary === undefined ? newCluster : copyOf(primary)
  const made = spawnSync(join(bin, program), ['-D', join(folder, 'data'), ...words], how)
  if (made.status !== 0)
    return { absent: `${program} failed: ${made.stderr?.trim().split('\n').at(-1)}` }
  const server = spawn(join(bin, 'postgres'), settings(folder), {
    ...how,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(server, 'exit')
  if (!(await whenReady(server))) return { absent: 'the server ended before it was ready' }
  return {
    socket: folder,
    pid: server.pid,
    bin,
    stop: () => {
      server.kill('SIGINT')
      return ended
    },
  }
}
