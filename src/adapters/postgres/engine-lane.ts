/**
 * One connection of a member to its cluster's server. It is made when it is needed, and again after
 * it was lost; work is done in the order in which it came. A failure of the connection is no answer:
 * the work may have taken effect.
 */
import { SerialQueue } from '../../bytes/serial-queue.ts'
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Columns, type Database, inTransaction, numberIn } from './database.ts'
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

/** How long a server and a member wait for each other, in ms. */
type Limits = {
  /** For the lock of a row, and for the rest of a transaction that holds one. */
  readonly lockMs: number
  /** For a sign of life of its machine. */
  readonly linkMs: number
  /** The member waits for a sign of life of the server. Only the server ends the wait for a standby. */
  readonly answerMs: number
}

/** Below a lease: the locks of a member that has stopped must not outlast it. */
const limitsOf = (leaseMs: number): Limits => ({
  lockMs: Math.min(5_000, Math.round(leaseMs / 5)),
  linkMs: Math.round(0.8 * leaseMs),
  answerMs: Math.min(10_000, leaseMs),
})

/** The options of a connection. */
export type LaneOptions = {
  readonly config: Readonly<Record<string, unknown>>
  readonly copies: number
  readonly leaseMs: number
  /** For much that is read: `PgDatabase.read` instead of statements that are sent together. */
  readonly reads?: boolean
}

/** The connection for one sort of work. */
export class EngineLane {
  #opening: Promise<PgDatabase> | undefined
  readonly #turns = new SerialQueue()
  #warning: string | undefined
  #isClosed = false
  /** So much work was asked for. */
  #asked = 0
  /** Work up to this one waited for a connection that could not be made, for this reason. */
  #unreached: { readonly upTo: number; readonly why: unknown } | undefined
  /** Cuts the connection that is being made. */
  #connecting: AbortController | undefined
  readonly #config: Readonly<Record<string, unknown>>
  readonly #copies: number
  readonly #limits: Limits
  readonly #reads: boolean

  constructor({ config, copies, leaseMs, reads = false }: LaneOptions) {
    this.#config = config
    this.#reads = reads
    this.#copies = copies
    this.#limits = limitsOf(leaseMs)
  }

  /**
   * Does `work` on the connection. If that cannot be made, no work that waits is done: its callers ask
   * again, and a server that is back would otherwise do what nobody waits for before their renewals.
   * @throws KeelsonError what `work` decides; `CONFIG` if the server does not keep what it
   * acknowledges, or refuses what only a person can mend; otherwise `UNKNOWN_OUTCOME`
   */
  run<T>(work: (database: PgDatabase) => Promise<T>): Promise<T> {
    const number = ++this.#asked
    return this.#turns.run(() => this.#answer(work, number))
  }

  /**
   * As `run`, for answers that a member relies on. After the commit of each statement the server is
   * asked whether it still keeps what it acknowledges: a reload of its configuration may have ended
   * the wait for a standby. @throws KeelsonError as `run`; `CONFIG` also then
   */
  change<T>(work: (database: Pick<Database, 'query'>) => Promise<T>): Promise<T> {
    return this.run((database) =>
      work({
        query: async (sql, parameters, name) => {
          // Sent together: it costs no round trip.
          const [rows, [server = {}]] = await Promise.all([
            database.query(sql, parameters, name),
            database.query(keptSql, [], 'kept'),
          ])
          refuseUnsafe(server, this.#copies)
          return rows
        },
      }),
    )
  }

  /** Ends the connection after the work that was asked for. The next work makes it again. Never rejects. */
  rest(): Promise<void> {
    return this.#turns.run(() => this.#drop())
  }

  /** Ends the connection, also during work. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#connecting?.abort()
    await this.#drop()
  }

  async #answer<T>(work: (database: PgDatabase) => Promise<T>, number: number): Promise<T> {
    if (this.#isClosed) throw noAnswer('the session is closed')
    let database: PgDatabase | undefined
    try {
      if (this.#unreached && number <= this.#unreached.upTo) throw this.#unreached.why
      database = await this.#opened()
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
      if (isKeelsonError(error) && error.code !== 'CONFIG') throw error
      if (database && isLocked(error)) await freeLocks(database, this.#limits)
      // The next connection is made to a server that keeps what it acknowledges.
      await this.#drop()
      if (isKeelsonError(error)) throw error
      throw troubleIn(error) === 'person' ? refusal(error) : noAnswer(error)
    }
  }

  #opened(): Promise<PgDatabase> {
    this.#opening ??= this.#connected().catch((error: unknown) => {
      this.#opening = undefined
      this.#unreached = { upTo: this.#asked, why: error }
      throw error
    })
    return this.#opening
  }

  async #connected(): Promise<PgDatabase> {
    const connecting = new AbortController()
    this.#connecting = connecting
    const bounds = { answerMs: this.#limits.answerMs, signal: connecting.signal }
    const database = await connectPg(this.#config, {
      ...bounds,
      isPipelined: !this.#reads,
      onNotice: (code, text) => {
        // 00000 is a notice. A warning may say that the wait for a standby was cancelled: then the
        // commit is there, and may be lost with this server.
        if (!code.startsWith('00')) this.#warning = text
      },
    })
    try {
      await database.query(`select ${settings(this.#limits).join()}`)
      await refusePooler(database, () => connectPg(this.#config, bounds))
      const [server = {}] = await database.query(keptSql)
      // A standby that waits for its promotion answers later.
      if (server.follows === true) throw new Error('the server is a standby')
      refuseUnsafe(server, this.#copies)
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
 * until it has no room for the standby. So does the wait for a member whose machine is gone.
 */
const settings = ({ lockMs, linkMs }: Limits): readonly string[] =>
  Object.entries({
    statement_timeout: 0,
    lock_timeout: lockMs,
    idle_in_transaction_session_timeout: lockMs,
    tcp_user_timeout: linkMs,
    tcp_keepalives_idle: 1,
    tcp_keepalives_interval: 1,
    tcp_keepalives_count: Math.max(1, Math.floor(linkMs / 1_000) - 1),
    synchronous_commit: 'on',
    default_transaction_isolation: 'read committed',
  }).map(([name, value]) => `set_config('${name}', '${value}', false)`)

const isLocked = (error: unknown): boolean => Object(error).code === '55P03'

/**
 * Ends sessions that hold a lock while they wait for their member. A change is one statement, which
 * ends with the message after it: a member that stops between these two would hold the lock for as
 * long as its connection is there, and no limit of the server is for that. No commit is cancelled:
 * who waits for a standby does not wait for its member.
 */
const freeLocks = async (database: Database, { lockMs }: Limits): Promise<void> => {
  await database
    .query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where wait_event = 'ClientRead' and backend_xid is not null and usename = current_user
         and xact_start < clock_timestamp() - $1 * interval '1 millisecond' and pid in (
           select pid from pg_locks join pg_class on pg_class.oid = relation
           join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'keelson_cluster')`,
      [lockMs / 2],
    )
    .catch(() => undefined)
}

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

/** Asks a server for the settings that its acknowledgements depend on. */
const keptSql = `select current_setting('fsync') as fsync,
  current_setting('full_page_writes') as pages, current_setting('synchronous_commit') as waits,
  current_setting('synchronous_standby_names') as standbys, pg_is_in_recovery() as follows`

/** Refuses a server that may lose what it acknowledges. @throws KeelsonError `CONFIG` */
const refuseUnsafe = (server: Columns, copies: number): void => {
  if (server.fsync !== 'on') throw unsafe('fsync is off', server)
  if (server.waits !== 'on') throw unsafe(`synchronous_commit is ${server.waits}`, server)
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

/**
 * Some failures may pass by themselves, also one that is in no table below; others only a person can
 * mend: a wrong password, database, right or certificate. `person`: the same attempt fails until the
 * server or the configuration is changed.
 */
export type Trouble = 'passes' | 'person'

/** SQLSTATEs that need a person: of two characters a whole class, of five a single one. */
const statesForPeople = [
  '0A', // a feature that the server does not have
  '28', // the user, the password, pg_hba.conf
  '3D', // the database
  '42', // rights, and tables that are not as they should be
  '26000', // a prepared statement that is gone: a pooler has changed the server process
  '53400', // a limit of the configuration
  'F0000', // the server's own configuration
]

/** Of those classes, failures that pass: another member has made the same at the same moment. */
const statesThatPass = ['42P04', '42P06', '42P07', '42710']

/** Codes of Node for an address, a socket or a file that cannot be used. */
const codesForPeople = [
  'EACCES',
  'EPERM',
  'EISDIR',
  'EINVAL',
  'EAFNOSUPPORT',
  'ERR_SOCKET_BAD_PORT',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_INVALID_URL',
]

/** Codes of Node and OpenSSL for a certificate, a key, or a server without a common protocol. */
const tlsForPeople =
  /^(ERR_(TLS|SSL|OSSL)_|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_(CA|PURPOSE)$|PATH_LENGTH_|HOSTNAME_)/

/** Of those codes, the ones that a broken connection gives, too. */
const tlsThatPasses = /TIMEOUT|EOF|BAD_RECORD_MAC|INTERNAL_ERROR/

/** `pg` gives these errors no code. */
const messagesForPeople = /^(The server does not support SSL|SASL: |SECURITY WARNING)/

/** Whether a failure may pass. */
export const troubleIn = (failure: unknown): Trouble => {
  const { code, syscall, message } = Object(failure) as Record<string, unknown>
  if (typeof code !== 'string')
    return typeof message === 'string' && messagesForPeople.test(message) ? 'person' : 'passes'
  if (statesThatPass.includes(code)) return 'passes'
  if (/^[0-9A-Z]{5}$/.test(code) && isStateForPeople(code)) return 'person'
  if (tlsForPeople.test(code)) return tlsThatPasses.test(code) ? 'passes' : 'person'
  // A socket that is not there comes with its server. A file with a certificate does not.
  if (code === 'ENOENT') return syscall === 'connect' ? 'passes' : 'person'
  return codesForPeople.includes(code) ? 'person' : 'passes'
}

const isStateForPeople = (state: string): boolean =>
  statesForPeople.includes(state) || statesForPeople.includes(state.slice(0, 2))

/** A failure in words: one line, with the code. */
export const troubleText = (failure: unknown): string => {
  const { code, message, errors } = Object(failure) as Record<string, unknown>
  // Of a name with several addresses each has failed, and the whole has no message.
  const texts = Array.isArray(errors) && !message ? errors.map(troubleText) : undefined
  if (texts) return [...new Set(texts)].join('; ')
  const text = typeof message === 'string' && message !== '' ? message : String(failure)
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text
}
