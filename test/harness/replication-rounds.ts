/**
 * Rounds of trouble for a replica on a real PostgreSQL server: it is stopped, killed, restarted, slowed, cut off, locked, or its
 * disk is full, while entries are appended without a pause. After each round the database has every acknowledged entry once.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, start } from 'keelson'
import { postgres } from 'keelson/postgres'
import { seededRandom } from 'keelson/testing'
import pg from 'pg'
import { PostgresServer } from '../support/worlds/postgres-server.ts'

/** What happens to the server. */
const troubleNames = ['stop', 'kill', 'restart', 'slow', 'cut', 'lock', 'full'] as const
type Trouble = (typeof troubleNames)[number]

/** What happened in all rounds. */
export type ReplicationRounds = {
  readonly rounds: Record<string, number>
  readonly acknowledged: number
  /** Acknowledgements while the server was in trouble. */
  readonly during: number
  readonly lagMax: number
  readonly rssMaxMiB: number
  /** Why no disk was filled. */
  readonly noFullDisk: string | undefined
}

/** The options of the rounds. */
export type ReplicationOptions = {
  readonly rounds: number
  readonly seed: number
  readonly progress: (done: number, facts: ReplicationRounds) => void
}

/** How long a trouble lasts, in ms. A statement of 10 s is scaled to one of them. */
const troubleMs = 1_000

const memoryMaxMiB = 700

const quiet = { error: () => undefined, warn: () => undefined, info: () => undefined }

/** A file system of 400 MB for the cluster, so that it can be filled; `undefined` where none can be mounted. */
const smallDisk = (dir: string): string | undefined => {
  mkdirSync(dir)
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', dir], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : stderr.trim() || 'tmpfs cannot be mounted'
}

class Rounds {
  readonly app: App
  readonly #server: PostgresServer
  readonly #dir: string
  readonly #canFill: boolean
  readonly facts = {
    rounds: {} as Record<string, number>,
    acknowledged: 0,
    during: 0,
    lagMax: 0,
    rssMaxMiB: 0,
    noFullDisk: undefined as string | undefined,
  }
  #isInTrouble = false
  #isWriting = true

  constructor(app: App, server: PostgresServer, dir: string, noFullDisk: string | undefined) {
    this.app = app
    this.#server = server
    this.#dir = dir
    this.#canFill = noFullDisk === undefined
    this.facts.noFullDisk = noFullDisk
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.app.system.clock.after(ms, resolve))
  }

  /** Appends entries without a pause, 8 at a time, until `stop`. */
  async write(): Promise<void> {
    const one = async (): Promise<void> => {
      while (this.#isWriting) {
        const id = `entry-${this.facts.acknowledged}-${Math.floor(this.app.system.clock.random() * 1e9)}`
        await this.app.journal.append({ id, type: 'order', command: { text: 'x'.repeat(200) } })
        this.acknowledged.push(id)
        this.facts.acknowledged += 1
        if (this.#isInTrouble) this.facts.during += 1
        const { rss } = process.memoryUsage()
        this.facts.rssMaxMiB = Math.max(this.facts.rssMaxMiB, Math.round(rss / 1024 / 1024))
        const lag = this.app.health().replication[0]?.shards[0]?.lag.records ?? 0
        this.facts.lagMax = Math.max(this.facts.lagMax, lag)
        await this.wait(2)
      }
    }
    await Promise.all(Array.from({ length: 8 }, one))
  }

  stop(): void {
    this.#isWriting = false
  }

  /** Ids that were acknowledged since the last check. */
  acknowledged: string[] = []

  async query(
    sql: string,
    ...values: readonly unknown[]
  ): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.#server.url, application_name: 'look' })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return (await client.query(sql, [...values])).rows
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  async round(trouble: Trouble): Promise<void> {
    const { facts } = this
    const before = facts.during
    this.#isInTrouble = true
    await this.#make(trouble)
    this.#isInTrouble = false
    if (facts.during === before) throw new Error(`${trouble}: no acknowledgement meanwhile`)
    await this.#check(trouble)
    facts.rounds[trouble] = (facts.rounds[trouble] ?? 0) + 1
    if (facts.rssMaxMiB > memoryMaxMiB)
      throw new Error(`${trouble}: the process took ${facts.rssMaxMiB} MiB`)
  }

  get troubles(): readonly Trouble[] {
    return troubleNames.filter((name) => name !== 'full' || this.#canFill)
  }

  async #make(trouble: Trouble): Promise<void> {
    const server = this.#server
    switch (trouble) {
      case 'stop':
        await server.stop()
        await this.wait(troubleMs)
        return server.start()
      case 'kill':
        await server.kill()
        await this.wait(troubleMs)
        return server.start()
      case 'restart':
        await server.stop()
        return server.start()
      case 'slow':
        await this.query(
          `create or replace function keelson.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(${troubleMs / 2_000}); return null; end $$`,
        )
        await this.query(
          'create trigger slowly after insert on keelson.frames for each statement execute function keelson.slowly()',
        )
        await this.wait(2 * troubleMs)
        await this.query('drop trigger slowly on keelson.frames')
        return
      case 'cut':
        // In the middle of chunks: wherever the follower is.
        for (let at = 0; at < 10; at++) {
          await this.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keelson'`,
          )
          await this.wait(troubleMs / 10)
        }
        return
      case 'lock':
        await this.query(
          `begin; lock table keelson.frames in access exclusive mode; select pg_sleep(${troubleMs / 1_000}); commit`,
        )
        return
      case 'full': {
        this.#fillUp()
        await this.wait(2 * troubleMs)
        rmSync(join(this.#dir, 'ballast'))
        // A server that finds no room for its own log ends.
        await server.stop()
        return server.start()
      }
    }
  }

  #fillUp(): void {
    const file = openSync(join(this.#dir, 'ballast'), 'w')
    try {
      const piece = Buffer.alloc(1024 * 1024)
      for (;;) writeSync(file, piece)
    } catch {
      // It is full.
    } finally {
      closeSync(file)
    }
  }

  /** Everything acknowledged until now is there, once, when the follower has caught up; the lag has shrunk. */
  async #check(trouble: Trouble): Promise<void> {
    const ids = this.acknowledged
    this.acknowledged = []
    const target = this.app.health().shards[0]?.appliedLsn ?? 0
    const until = this.app.system.clock.monotonic() + 60_000
    while ((this.app.health().replication[0]?.shards[0]?.lsn ?? 0) < target) {
      if (this.app.system.clock.monotonic() > until)
        throw new Error(
          `${trouble}: not caught up: ${JSON.stringify(this.app.health().replication)}`,
        )
      await this.wait(20)
    }
    const rows = await this.query('select id from keelson.journal where id = any($1::text[])', ids)
    if (rows.length !== ids.length)
      throw new Error(`${trouble}: ${ids.length} acknowledged, ${rows.length} in the database`)
  }

  /** At the end: no entry that nothing acknowledged, and none twice; frames without a gap that DATA would leave. */
  async end(): Promise<void> {
    const [journal] = await this.query(
      'select count(*)::int as count, count(distinct id)::int as ids from keelson.journal',
    )
    const { acknowledged } = this.facts
    if (journal?.count !== acknowledged || journal.ids !== acknowledged)
      throw new Error(`${acknowledged} acknowledged, ${JSON.stringify(journal)} in the database`)
  }
}

/** Runs rounds, each with another trouble. */
export const replicationRounds = async ({
  rounds,
  seed,
  progress,
}: ReplicationOptions): Promise<ReplicationRounds> => {
  const random = seededRandom(seed)
  const dir = mkdtempSync(join(tmpdir(), 'keelson-'))
  // The server's user must come as far as its folder.
  chmodSync(dir, 0o755)
  const disk = join(dir, 'disk')
  const noFullDisk = smallDisk(disk)
  let server: PostgresServer | undefined
  try {
    server = new PostgresServer(join(disk, 'server'))
    await server.start()
    const client = postgres({ connectionString: server.url })
    const app = await start({
      dir: join(dir, 'data'),
      logger: quiet,
      replication: [{ client, required: true }],
    })
    try {
      // From here on the schema is there.
      await app.store.put('first', 1, { ack: 'replicated' })
      const all = new Rounds(app, server, disk, noFullDisk)
      const writing = all.write()
      for (let round = 0; round < rounds; round++) {
        // Each kind in turn, in an order that the seed shuffles.
        const { troubles } = all
        const trouble = troubles[
          (round + Math.floor(random() * troubles.length)) % troubles.length
        ] as Trouble
        await Promise.race([all.round(trouble), writing])
        progress(round + 1, all.facts)
      }
      all.stop()
      await writing
      await app.store.put('last', 1, { ack: 'replicated' })
      await all.end()
      return all.facts
    } finally {
      await app.close()
    }
  } finally {
    await server?.stop()
    if (noFullDisk === undefined) execFileSync('umount', ['-l', disk])
    rmSync(dir, { recursive: true })
  }
}
