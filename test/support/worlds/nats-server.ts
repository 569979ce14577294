/**
 * NATS servers of a test's own, with JetStream in a folder. One can be stopped, killed and started again; a relay can lose an
 * answer of it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

/** Why there can be no server here; `undefined` if there can. */
export const noNats = (): string | undefined =>
  spawnSync('nats-server', ['--version']).status === 0
    ? undefined
    : 'no nats-server here: install the nats-server package'

/** A port that nobody has. It is none of those that the system hands out to clients by itself. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const server = createServer().listen(randomInt(10_000, 30_000), '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    return port
  }
}

/** A server of a test. `more`: further lines of its configuration. */
export class NatsServer {
  readonly #folder: string
  readonly #more: string
  readonly name: string
  readonly port: number
  #process: ChildProcess | undefined

  constructor(folder: string, port: number, more = '', name = 'one') {
    this.#folder = folder
    this.#more = more
    this.port = port
    this.name = name
    mkdirSync(folder)
  }

  /** Where clients find it. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`
  }

  /** Starts it; resolves when it takes connections. */
  async start(): Promise<void> {
    const file = join(this.#folder, 'server.conf')
    writeFileSync(
      file,
      `listen: "127.0.0.1:${this.port}"\nserver_name: ${this.name}\njetstream { store_dir: "${this.#folder}" }\n${this.#more}\n`,
    )
    const server = spawn('nats-server', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = server
    let told = ''
    await new Promise<void>((resolve, reject) => {
      server.stderr.setEncoding('utf8').on('data', (text: string) => {
        told = `${told}${text}`.slice(-10_000)
        if (told.includes('Server is ready')) resolve()
      })
      server.once('exit', () => reject(new Error(`the server ended before it was ready: ${told}`)))
    })
  }

  /** Stops it as an operator does. */
  stop(): Promise<void> {
    return this.#end('SIGINT')
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** It keeps its connections, and does nothing from now on. */
  pause(): void {
    const { pid } = this.#process ?? {}
    this.#process?.kill('SIGSTOP')
    while (!spawnSync('ps', ['-o', 'stat=', '-p', `${pid}`]).stdout.includes('T'));
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
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

/** Relays connections to a server, and swallows the answer to the next group or file when it is told to. */
export class NatsRelay {
  #loses = false
  readonly #server: Server
  readonly #clients = new Set<Socket>()

  constructor(target: NatsServer) {
    this.#server = createServer((client) => {
      const upstream = connect(target.port, '127.0.0.1')
      let isCut = false
      this.#clients.add(client)
      client.on('error', () => undefined)
      upstream.on('error', () => undefined)
      client.on('data', (bytes) => {
        isCut ||=
          this.#loses && /HPUB keelson\.\S+\.(log|files\.file)\./.test(bytes.toString('latin1'))
        upstream.write(bytes)
      })
      upstream.on('data', (bytes) => {
        if (!isCut) return void client.write(bytes)
        this.#loses = false
        client.destroy()
      })
      client.on('close', () => {
        this.#clients.delete(client)
        upstream.end()
      })
      upstream.on('close', () => void client.destroy())
    })
  }

  /** Where clients find it. */
  get url(): string {
    return `nats://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  loseNext(): void {
    this.#loses = true
  }

  close(): void {
    this.#server.close()
    for (const client of this.#clients) client.destroy()
  }
}
