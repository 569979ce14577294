/**
 * A PostgreSQL server with a synchronous standby, which is promoted when the server is killed, and gets a standby of its own
 * then. Members reach the server through a link each, which may be cut.
 */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { systemClock } from '../../../src/clock.ts'
import { PostgresServer } from './postgres-server.ts'

/** The servers of a cluster, and the links of its members. */
export class PostgresPair {
  readonly #dir: string
  readonly #links: MemberLink[] = []
  #number = 0
  #primary: PostgresServer
  #standby: PostgresServer | undefined

  private constructor(dir: string) {
    this.#dir = dir
    this.#primary = new PostgresServer(this.#folder())
  }

  /** Starts both in `dir`. */
  static async start(dir: string): Promise<PostgresPair> {
    const pair = new PostgresPair(dir)
    await pair.#primary.start(...settings)
    await pair.#query(`alter system set synchronous_standby_names = '*'`)
    await pair.#attach()
    return pair
  }

  /** A link for one member. */
  async link(): Promise<MemberLink> {
    const link = new MemberLink(() => ({ path: this.#primary.socket }))
    this.#links.push(link)
    await link.open()
    return link
  }

  /** Kills the server as the loss of its power would, and starts it again after `ms`. It commits again then. */
  async restart(ms: number): Promise<void> {
    await this.#primary.kill()
    await pause(ms)
    await this.#primary.start(...settings)
    await this.#untilSynced()
  }

  /** The server is lost, and its standby takes its place. */
  async promote(): Promise<void> {
    const lost = this.#primary
    const promoted = this.#standby
    if (!promoted) throw new Error('there is no standby')
    await lost.kill()
    this.#standby = undefined
    this.#primary = promoted
    await this.#query('select pg_promote()')
    await this.#attach()
    rmSync(lost.data, { recursive: true, force: true })
  }

  async stop(): Promise<void> {
    for (const link of this.#links) await link.close()
    await this.#primary.kill()
    await this.#standby?.kill()
  }

  #folder(): string {
    return join(this.#dir, `server-${this.#number++}`)
  }

  /** Gives the server a new standby. */
  async #attach(): Promise<void> {
    const standby = new PostgresServer(this.#folder(), this.#primary)
    this.#standby = standby
    await standby.start(...settings)
    await this.#untilSynced()
  }

  async #untilSynced(): Promise<void> {
    for (;;) {
      const rows = await this.#query(`select 1 from pg_stat_replication where sync_state = 'sync'`)
      if (rows > 0) return
      await pause(20)
    }
  }

  async #query(sql: string): Promise<number> {
    const client = new pg.Client({ connectionString: this.#primary.url })
    await client.connect()
    try {
      const { rowCount } = await client.query(sql)
      if (sql.startsWith('alter')) await client.query('select pg_reload_conf()')
      return rowCount ?? 0
    } finally {
      await client.end()
    }
  }
}

type Place = { readonly path: string } | { readonly host: string; readonly port: number }

// A standby looks for its server again after 5 s by default: most of a round would be that.
const settings = [
  ...['max_wal_senders=10', 'max_connections=200', 'hot_standby=on'],
  'wal_retrieve_retry_interval=500ms',
]

/** The connections that one member has to the present server, or gets from others. It may be cut. */
export class MemberLink {
  readonly #to: () => Place
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #isCut = false

  constructor(to: () => Place) {
    this.#to = to
    this.#server = createServer((near) => this.#connect(near))
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get address(): string {
    const { port } = this.#server.address() as AddressInfo
    return `127.0.0.1:${port}`
  }

  get url(): string {
    return `postgres://keelson@${this.address}/postgres`
  }

  /** Nothing passes any more, and nobody hears of it. */
  cut(): void {
    this.#isCut = true
    for (const pair of this.#pairs) for (const end of pair) end.pause()
  }

  /** The connections that were cut are reset; new ones pass. */
  mend(): void {
    this.#isCut = false
    for (const pair of this.#pairs) for (const end of pair) end.destroy()
  }

  async close(): Promise<void> {
    this.mend()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #connect(near: Socket): void {
    const far = connect(this.#to())
    const pair = [near, far] as const
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const each of pair) each.on('error', end).on('close', end)
    near.on('data', (bytes) => far.write(bytes))
    far.on('data', (bytes) => near.write(bytes))
    if (this.#isCut) for (const each of pair) each.pause()
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void systemClock().after(ms, resolve))
