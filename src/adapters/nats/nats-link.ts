/**
 * The connection of a member to NATS, in requests of JetStream's protocol. A request without an
 * answer may have taken effect. Messages are read at the leader of a stream: a replica may
 * lack the last ones. It is apart from `nats.ts`, because the client is loaded here alone.
 */

import type { Msg, MsgHdrs, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import { plainJson } from '../../bytes/json.ts'
import { realView } from '../../bytes/real-bytes.ts'
import { KeelsonError, reasonText } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'

/** A message of a stream. */
export type StoredMessage = {
  readonly subject: string
  readonly seq: number
  readonly bytes: Uint8Array
  /** By the server's clock, in ms since 1970. */
  readonly time: number
}

/** The demands of a publication on the stream. */
export type Expected = {
  /** The sequence number of the last message. */
  readonly last?: number
  /** That of the last message of the same subject; 0 if there may be none. */
  readonly lastOfSubject?: number
}

/** A stream, as the server describes it. */
export type StreamInfo = {
  readonly config: Readonly<Record<string, unknown>> & { readonly num_replicas: number }
  readonly state: {
    readonly first_seq: number
    readonly subjects?: Readonly<Record<string, number>>
  }
  readonly cluster?: {
    readonly leader?: string
    readonly replicas?: readonly { readonly name: string; readonly offline?: boolean }[]
  }
  readonly total?: number
}

type Answer = {
  readonly error?: { readonly err_code?: number; readonly description?: string }
}

/** JetStream's numbers of errors. */
const [noMessage, noStream, nameInUse] = [10037, 10059, 10058]

/** A demand that the stream did not fulfil: it took no message. */
const unfulfilled = [10070, 10071, 10164]

/** No JetStream for the account, or at the server; replicas of a server that is alone. */
const numbersForPeople = [10039, 10076, 10074]

/** A call without an answer, which may be repeated. */
export const noAnswer = (text: string, cause?: unknown): KeelsonError =>
  new KeelsonError('UNKNOWN_OUTCOME', `NATS gave no answer: ${text}`, { cause })

/** A repeat gets the same, until a person has mended something. */
const refused = (found: string, cause?: unknown): KeelsonError =>
  new KeelsonError('CONFIG', `NATS does not serve this member: ${found}`, {
    details: { path: 'cluster.engine', found },
    cause,
  })

/**
 * The bytes that a server must take in a message: twice those of a piece of a file. An answer to its
 * reader is in base64.
 */
const payloadMin = 512 * 1024

/** @throws KeelsonError `CONFIG` for a server that would take no snapshot */
const refuseSmall = ({ info }: NatsConnection): void => {
  // While the client connects again, it knows none.
  const { max_payload: found = payloadMin } = info ?? {}
  if (found < payloadMin)
    throw refused(`max_payload is ${found}, and must be ${payloadMin} or more`)
}

/** Errors of the client that the same attempt meets again, until a person has mended something. */
const namesForPeople = [
  'AuthorizationError',
  'UserAuthenticationExpiredError',
  'PermissionViolationError',
  'InvalidArgumentError',
  'InvalidSubjectError',
]

const codesForPeople = /^(ERR_(TLS|SSL|OSSL|INVALID)_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/

const troubleOf = (error: unknown): KeelsonError => {
  for (let cause: unknown = error; cause; cause = Object(cause).cause) {
    const { name, code } = Object(cause)
    if (!namesForPeople.includes(name) && !codesForPeople.test(String(code))) continue
    return refused(reasonText(cause), error)
  }
  return noAnswer(reasonText(error), error)
}

/**
 * The pause between pings, as a part of the time that an answer may take. The client leaves a
 * server at the third one, so a machine without power costs no lease.
 */
const pingPart = 1 / 8

/** The connection. It is made when it is needed, and again when the client has given it up. */
export class NatsLink {
  /** Grows with each connection, also when the client has made it again by itself. */
  connections = 0
  #opening: Promise<NatsConnection> | undefined
  #isClosed = false
  #known: KnownServer | undefined
  /** Ends the requests that are on their way. */
  readonly #pending = new Set<(error: KeelsonError) => void>()
  readonly #options: NodeConnectionOptions
  readonly #answerMs: number

  constructor(options: NodeConnectionOptions, answerMs: number) {
    this.#options = options
    this.#answerMs = answerMs
  }

  /** The server that the link was connected to last, and the bytes that it takes in a message. */
  async server(): Promise<KnownServer> {
    const { info } = await this.#opened()
    // While the client connects again, it knows none.
    if (info) this.#known = { name: info.server_name, maxBytes: info.max_payload }
    if (!this.#known) throw noAnswer('the connection was lost')
    return this.#known
  }

  /** Asks JetStream. @throws KeelsonError `UNKNOWN_OUTCOME`, `CONFIG` */
  async ask<T>(what: string, body: object = noOptions, forgiven: readonly number[] = []) {
    const { data } = await this.#request(`$JS.API.${what}`, plainJson(body))
    const answer = answerIn<Answer>(data)
    if (!answer.error) return answer as T
    if (forgiven.includes(answer.error.err_code ?? 0)) return undefined
    const text = `${what}: ${answer.error.description}`
    throw numbersForPeople.includes(answer.error.err_code ?? 0) ? refused(text) : noAnswer(text)
  }

  /**
   * Publishes a message. Resolves with its sequence number when the stream keeps it, and with
   * `undefined` if the stream is not as expected: then it takes no effect.
   */
  async publish(
    subject: string,
    bytes: Uint8Array,
    expected: Expected = noOptions,
  ): Promise<number | undefined> {
    const { data } = await this.#request(subject, bytes, (headers) => {
      const { last, lastOfSubject } = expected
      if (last !== undefined) headers.set('Nats-Expected-Last-Sequence', String(last))
      if (lastOfSubject !== undefined)
        headers.set('Nats-Expected-Last-Subject-Sequence', String(lastOfSubject))
    })
    const { error, seq } = answerIn<Answer & { readonly seq: number }>(data)
    if (!error) return seq
    if (unfulfilled.includes(error.err_code ?? 0)) return undefined
    throw noAnswer(`a message on ${subject}: ${error.description}`)
  }

  /** A message, by a query of `STREAM.MSG.GET`; `undefined` if it, or the stream, is not there. */
  async message(stream: string, query: object): Promise<StoredMessage | undefined> {
    const answer = await this.ask<{ readonly message: SentMessage }>(
      `STREAM.MSG.GET.${stream}`,
      query,
      [noMessage, noStream],
    )
    if (!answer) return undefined
    const { subject, seq, data = '', time } = answer.message
    const bytes = realView(Buffer.from(data, 'base64'))
    return { subject, seq, time: Date.parse(time), bytes }
  }

  /** A stream; `undefined` if it is not there. */
  info(stream: string, query: object = noOptions): Promise<StreamInfo | undefined> {
    return this.ask<StreamInfo>(`STREAM.INFO.${stream}`, query, [noStream])
  }

  /** Makes a stream with so many replicas. One that is there stays as it is. */
  async stream(
    name: string,
    subject: string,
    replicas: number,
    more: object = noOptions,
  ): Promise<void> {
    const wanted = {
      name,
      subjects: [subject],
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      // Nothing here relies on a memory of past messages, which would cost the server room.
      duplicate_window: 100_000_000,
      num_replicas: Math.max(1, replicas),
      ...more,
    }
    if (!(await this.info(name))) await this.ask(`STREAM.CREATE.${name}`, wanted, [nameInUse])
  }

  /** Gives a stream the replicas that it lacks of so many; `undefined` if it is not there. */
  async raised(name: string, replicas: number): Promise<StreamInfo | undefined> {
    const found = await this.info(name)
    if (!found || found.config.num_replicas >= replicas) return found
    return this.ask(`STREAM.UPDATE.${name}`, { ...found.config, num_replicas: replicas })
  }

  /** Removes the messages of a stream that are on subjects of `filter`, and before `seq`. */
  async purge(stream: string, what: { readonly seq?: number; readonly filter?: string }) {
    await this.ask(`STREAM.PURGE.${stream}`, what, [noStream])
  }

  /** Ends the connection, also during requests. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const end of this.#pending) end(noAnswer('the session is closed'))
    const connection = await this.#opening?.catch(() => undefined)
    await connection?.close().catch(() => undefined)
  }

  async #request(subject: string, bytes: string | Uint8Array, put?: (headers: MsgHdrs) => void) {
    const connection = await this.#opened()
    const headers = put && (await loaded()).headers()
    if (headers) put(headers)
    if (this.#isClosed) throw noAnswer('the session is closed')
    return new Promise<Msg>((resolve, reject) => {
      this.#pending.add(reject)
      connection
        .request(subject, bytes, { timeout: this.#answerMs, ...(headers && { headers }) })
        .then(resolve, (error: unknown) => reject(troubleOf(error)))
        .finally(() => this.#pending.delete(reject))
    })
  }

  async #opened(): Promise<NatsConnection> {
    this.#opening ??= this.#connected()
    const opening = this.#opening
    const connection = await opening.catch((error: unknown) => {
      if (this.#opening === opening) this.#opening = undefined
      throw error
    })
    if (this.#isClosed) throw noAnswer('the session is closed')
    refuseSmall(connection)
    if (!connection.isClosed()) return connection
    if (this.#opening === opening) this.#opening = undefined
    return this.#opened()
  }

  async #connected(): Promise<NatsConnection> {
    const { connect } = await loaded()
    const options = {
      name: 'keelson',
      timeout: this.#answerMs,
      reconnectTimeWait: 250,
      maxReconnectAttempts: -1,
      pingInterval: this.#answerMs * pingPart,
      ...this.#options,
    }
    try {
      const connection = await connect(options)
      this.connections++
      void this.#countAgain(connection)
      if (this.#isClosed) await connection.close()
      return connection
    } catch (error) {
      throw troubleOf(error)
    }
  }

  async #countAgain(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) if (type === 'reconnect') this.connections++
  }
}

type KnownServer = { readonly name: string; readonly maxBytes: number }

type SentMessage = {
  readonly subject: string
  readonly seq: number
  readonly data?: string
  readonly time: string
}

const answerIn = <T>(bytes: Uint8Array): T => {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch (error) {
    throw noAnswer('its answer cannot be read', error)
  }
}

/** @throws KeelsonError `CONFIG` if the package is not installed */
const loaded = async () => {
  try {
    return await import('@nats-io/transport-node')
  } catch (error) {
    const message = `a package is missing, \`npm install @nats-io/transport-node\`: ${reasonText(error)}`
    throw new KeelsonError('CONFIG', message, { cause: error })
  }
}
