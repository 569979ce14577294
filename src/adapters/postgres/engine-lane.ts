/**
 * One connection of a member to its cluster's server. It is made when it is needed, and again after
 * it was lost; work is done in the order in which it came. A failure of the connection is no answer:
 * the work may have taken effect.
 */
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Columns, type Database, inTransaction, numberIn } from './database.ts'
import { troubleIn, troubleText } from './engine-trouble.ts'
import { connectPg, type PgDatabase } from './pg-database.ts'

/** A call without an answer, which may be repeated. */
const noAnswer = (cause: unknown): KeelsonError =>
  new KeelsonError('UNKNOWN_OUTCOME', `the server gave no answer: ${troubleText(cause)}`, { cause })

/** A repeat gets the same, until a person has mended what is wrong. */
const refusal = (cause: unknown): KeelsonError => {
  const found = troubleText(cause)
  const details = { path: 'cluster.engine', expected: 'a server that serves this member', found }
  const message = `the server does not serve this member: ${found}`
  return new KeelsonError('CONFIG', message, { details, cause })
}

/** A statement waits for so long for the lock of a row, in ms: less than for an answer. */
const lockMs = 5_000

/** The connection for one sort of work. */
export class EngineLane {
  #opening: Promise<Database> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #warning: string | undefined
  #isClosed = false
  /** Cuts the connection that is being made. */
  #connecting: AbortController | undefined
  readonly #config: Readonly<Record<string, unknown>>
  readonly #copies: number
  readonly #answerMs: number

  constructor(config: Readonly<Record<string, unknown>>, copies: number, answerMs: number) {
    this.#config = config
    this.#copies = copies
    this.#answerMs = answerMs
  }

  /**
   * Does `work` on the connection. @throws KeelsonError what `work` decides; `CONFIG` if the server
   * does not keep what it acknowledges, or refuses what only a person can mend; otherwise
   * `UNKNOWN_OUTCOME`
   */
  run<T>(work: (database: Database) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => this.#answer(work))
    this.#last = done.catch(() => undefined)
    return done
  }

  /** Ends the connection, also during work. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#connecting?.abort()
    await this.#drop()
  }

  async #answer<T>(work: (database: Database) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw noAnswer('the session is closed')
    try {
      const database = await this.#opened()
      this.#warning = undefined
      const decided = await work(database).then(
        (value) => ({ value }),
        (error: unknown) => {
          if (isKeelsonError(error)) return { error }
          throw error
        },
      )
      if (this.#warning !== undefined) throw new Error(this.#warning)
      if ('error' in decided) throw decided.error
      return decided.value
    } catch (error) {
      if (isKeelsonError(error)) throw error
      await this.#drop()
      throw troubleIn(error) === 'person' ? refusal(error) : noAnswer(error)
    }
  }

  #opened(): Promise<Database> {
    this.#opening ??= this.#connected().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #connected(): Promise<Database> {
    const connecting = new AbortController()
    this.#connecting = connecting
    const bounds = { answerMs: this.#answerMs, signal: connecting.signal }
    const database = await connectPg(this.#config, {
      ...bounds,
      onNotice: (code, text) => {
        // 00000 is a notice. A warning may say that the wait for a standby was cancelled: then the
        // commit is there, and may be lost with this server.
        if (!code.startsWith('00')) this.#warning = text
      },
    })
    try {
      for (const setting of settings) await database.query(`set ${setting}`)
      await refusePooler(database, () => connectPg(this.#config, bounds))
      await refuseUnsafe(database, this.#copies)
      if (this.#copies > 0) await waitForStandbys(database, this.#copies)
      return database
    } catch (error) {
      await database.close()
      throw error
    } finally {
      this.#connecting = undefined
    }
  }

  async #drop(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    const database = await opening?.catch(() => undefined)
    await database?.close()
  }
}

/**
 * Settings that a role or a database may have otherwise. Nothing is cancelled: a cancelled wait for a
 * standby shows a commit that the standby does not have. A wait for a lock ends, as who waits has
 * done nothing: a server whose standby is away would have one more connection with each attempt,
 * until it has no room for the standby.
 */
const settings = [
  'statement_timeout = 0',
  `lock_timeout = ${lockMs}`,
  'idle_in_transaction_session_timeout = 0',
  'synchronous_commit = on',
  `default_transaction_isolation = 'read committed'`,
]

/**
 * Refuses a pooler that hands out server processes by transaction: settings and prepared statements
 * of the connection would be on another process then. `connect` makes a second connection, which
 * takes a process for a moment. @throws KeelsonError `CONFIG`
 */
const refusePooler = async (
  database: PgDatabase,
  connect: () => Promise<Database>,
): Promise<void> => {
  const pid = await pidOf(database)
  // A pooler greets with another number.
  if (pid === database.greetedPid) return
  const other = await connect()
  try {
    const isKept = await inTransaction(
      other,
      async () => (await pidOf(other)) !== pid && (await pidOf(database)) === pid,
    )
    if (isKept) return
  } finally {
    await other.close()
  }
  const expected = 'the server itself, or a pooler by session'
  throw configError('connectionString', expected, 'a pooler that mixes connections by transaction')
}

const pidOf = async (database: Database): Promise<number> => {
  const [row = {}] = await database.query('select pg_backend_pid() as pid')
  return numberIn(row, 'pid')
}

/** Refuses a server that may lose what it acknowledges. @throws KeelsonError `CONFIG` */
const refuseUnsafe = async (database: Database, copies: number): Promise<void> => {
  const [server = {}] = await database.query(
    `select current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
       current_setting('synchronous_standby_names') as standbys, pg_is_in_recovery() as follows`,
  )
  // A standby that waits for its promotion answers later.
  if (server.follows === true) throw new Error('the server is a standby')
  if (server.fsync !== 'on') throw unsafe('fsync is off', server)
  if (server.pages !== 'on') throw unsafe('full_page_writes is off', server)
  const awaited = awaitedIn(String(server.standbys))
  if (awaited < copies - 1)
    throw unsafe(
      `a commit waits for ${awaited} standbys (synchronous_standby_names), and copies is ${copies}`,
      server,
    )
}

/** For how many standbys a commit waits, by `synchronous_standby_names`. */
const awaitedIn = (names: string): number => {
  if (names.trim() === '') return 0
  // `FIRST 2 (a, b)`, `ANY 2 (a, b)`, `2 (a, b)`; a bare list waits for one.
  const count = /^\s*(?:first|any)?\s*(\d+)\s*\(/i.exec(names)?.[1]
  return count === undefined ? 1 : Number(count)
}

/**
 * Without its standbys the server answers no commit, and a commit would hold the connection until
 * they are there. So there is no answer before.
 */
const waitForStandbys = async (database: Database, copies: number): Promise<void> => {
  const [found = {}] = await database.query(
    `select count(*) filter (where sync_state in ('sync', 'quorum')) as standbys,
       count(*) filter (where sync_state is null) as hidden,
       current_setting('synchronous_standby_names') as names from pg_stat_replication`,
  )
  const names = String(found.names)
  const awaited = Math.max(copies - 1, awaitedIn(names))
  const standbys = numberIn(found, 'standbys')
  // A user who may not see them is believed, unless the number of copies depends on it.
  if (standbys + (copies > 1 ? 0 : numberIn(found, 'hidden')) >= awaited) return
  const hint = 'the user needs the role pg_monitor to see them'
  const wanted = `synchronous_standby_names is ${names}`
  throw new Error(`it has ${standbys} synchronous standbys of ${awaited} (${wanted}; ${hint})`)
}

const unsafe = (what: string, details: Columns): KeelsonError =>
  new KeelsonError('CONFIG', `the server may lose what it acknowledges: ${what}`, { details })
