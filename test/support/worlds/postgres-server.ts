/**
 * A PostgreSQL server of a test's own: a new cluster in a folder, reached by a socket in it. It refuses to run as root, so
 * root starts it as another user. It can be stopped, killed and started again.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

const packaged = '/usr/lib/postgresql'

/** The folder of the programs of PostgreSQL. */
export const binaries = (): string | undefined => {
  const versions = existsSync(packaged) ? readdirSync(packaged) : []
  const newest = versions.sort((left, right) => Number(right) - Number(left))
  const folders = newest.map((version) => join(packaged, version, 'bin'))
  folders.push(...(process.env.PATH ?? '').split(':'))
  return folders.find((folder) => existsSync(join(folder, 'initdb')))
}

const numberOf = (flag: string, user: string): number | undefined => {
  const { status, stdout } = spawnSync('id', [flag, user], { encoding: 'utf8' })
  return status === 0 ? Number(stdout) : undefined
}

/** Who runs it: the caller, or for root a user without rights. */
export const servant = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (process.getuid?.() !== 0)
    return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  for (const user of ['postgres', 'nobody']) {
    const [uid, gid] = [numberOf('-u', user), numberOf('-g', user)]
    if (uid !== undefined && gid !== undefined) return { uid, gid }
  }
  return undefined
}

/** Why there can be no server here; `undefined` if there can. */
export const noPostgres = (): string | undefined => {
  if (binaries() === undefined) return 'no initdb here: install the postgresql package'
  return servant() ? undefined : 'nobody to run PostgreSQL as: it refuses to run as root'
}

/** A server of a test. */
export class PostgresServer {
  readonly #folder: string
  #process: ChildProcess | undefined

  /** Makes the cluster in `folder`, which must not exist: a new one, or a standby of `primary`. */
  constructor(folder: string, primary?: PostgresServer) {
    this.#folder = folder
    const user = servant()
    // Its user must come as far as the folder.
    chmodSync(dirname(folder), 0o755)
    mkdirSync(folder)
    if (user) chownSync(folder, user.uid, user.gid)
    chmodSync(folder, 0o700)
    if (primary) this.#run('pg_basebackup', '-D', this.data, '-d', primary.url, '-R', '-c', 'fast')
    else
      this.#run(
        'initdb',
        ...['-D', this.data, '-U', 'keelson', '-A', 'trust', '-E', 'UTF8'],
        '--locale=C',
        '-N',
      )
  }

  #run(program: string, ...words: readonly string[]): void {
    const options = { ...servant(), cwd: this.#folder, encoding: 'utf8' as const }
    const ran = spawnSync(join(binaries() ?? '', program), words, options)
    if (ran.status !== 0) throw new Error(`${program} failed: ${ran.stderr}`)
  }

  /** The file of the socket that it takes connections at. */
  get socket(): string {
    return join(this.#folder, '.s.PGSQL.5432')
  }

  /** The folder of the cluster. */
  get data(): string {
    return join(this.#folder, 'data')
  }

  /** Where clients find it. */
  get url(): string {
    return `postgres://keelson@localhost/postgres?host=${encodeURIComponent(this.#folder)}`
  }

  /** Starts it; resolves when it takes connections. `settings`: those of the server. */
  async start(...settings: readonly string[]): Promise<void> {
    const words = ['-D', this.data, '-k', this.#folder, '-c', 'listen_addresses=']
    for (const setting of settings) words.push('-c', setting)
    const server = spawn(join(binaries() ?? '', 'postgres'), words, {
      ...servant(),
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = server
    let told = ''
    await new Promise<void>((resolve, reject) => {
      // It is read to its end: a server that cannot write to it stands still.
      server.stderr.setEncoding('utf8').on('data', (text: string) => {
        told = `${told}${text}`.slice(-10_000)
        // A standby takes connections that only read.
        if (/ready to accept (?:read-only )?connections/.test(told)) resolve()
      })
      server.once('exit', () => reject(new Error(`the server ended before it was ready: ${told}`)))
    })
  }

  /**
   * Starts a receiver of the server's log that syncs what it gets. The server takes it for a standby.
   */
  standby(): PostgresStandby {
    const into = join(this.#folder, 'received')
    mkdirSync(into)
    const user = servant()
    if (user) chownSync(into, user.uid, user.gid)
    const words = ['-D', into, '-d', this.url, '--synchronous', '--no-loop']
    const options = { ...user, cwd: this.#folder, stdio: 'ignore' as const }
    return new PostgresStandby(spawn(join(binaries() ?? '', 'pg_receivewal'), words, options))
  }

  /** Stops it as an operator does: connections are cut, everything is written. */
  stop(): Promise<void> {
    return this.#end('SIGINT')
  }

  /** Kills it with all its processes, as the loss of power to it would. */
  async kill(): Promise<void> {
    await this.#end('SIGQUIT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#process
    this.#process = undefined
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill(signal)
    await ended
  }
}

/** A standby of a server: its process. */
export class PostgresStandby {
  readonly #process: ChildProcess

  constructor(process: ChildProcess) {
    this.#process = process
  }

  /** It keeps its connection, and says nothing. */
  pause(): void {
    this.#process.kill('SIGSTOP')
  }

  resume(): void {
    this.#process.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }
}
