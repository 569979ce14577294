/**
 * A pooler of server processes between clients and a PostgreSQL server, as pgbouncer is one. By transaction, a client has a
 * process from a request to the end of its transaction. By session, it keeps the process. It greets clients itself.
 */
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

/** Messages of PostgreSQL's protocol: a letter, a length, and the rest. */
const messagesIn = (bytes: Buffer): { readonly messages: Buffer[]; readonly rest: Buffer } => {
  const messages: Buffer[] = []
  let at = 0
  while (bytes.length >= at + 5) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (bytes.length < end) break
    messages.push(bytes.subarray(at, end))
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}

const letterOf = (message: Buffer): string => String.fromCharCode(message[0] ?? 0)

/** AuthenticationOk, BackendKeyData with a number of the pooler's own, ReadyForQuery. */
const greeting = Buffer.from('R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x01Z\0\0\0\x05I')

/** A server process that is free or has a client. */
type Process = { readonly socket: Socket; client: Socket | undefined; rest: Buffer }

/** The pooler, on a socket in a folder. */
export class PostgresPooler {
  readonly folder: string
  readonly #target: string
  readonly #bySession: boolean
  readonly #server: Server
  readonly #free: Process[] = []
  readonly #sockets = new Set<Socket>()

  constructor(folder: string, target: string, mode: 'session' | 'transaction') {
    this.folder = folder
    this.#target = target
    this.#bySession = mode === 'session'
    mkdirSync(folder)
    this.#server = createServer((client) => this.#serve(client))
  }

  async listen(): Promise<void> {
    this.#server.listen(join(this.folder, '.s.PGSQL.5432'))
    await once(this.#server, 'listening')
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(client: Socket): void {
    this.#sockets.add(client.on('error', () => undefined))
    let startup: Buffer | undefined
    let process: Promise<Process> | undefined
    client.on('data', (bytes: Buffer) => {
      if (!startup) {
        startup = bytes
        client.write(greeting)
        return
      }
      if (letterOf(bytes) === 'X') return
      process ??= this.#taken(client, startup)
      void process.then((taken) => {
        taken.socket.write(bytes)
        if (!this.#bySession) onFree.set(taken, () => (process = undefined))
      })
    })
    client.on('close', () => void process?.then((taken) => this.#release(taken)))
  }

  async #taken(client: Socket, startup: Buffer): Promise<Process> {
    const process = this.#free.pop() ?? (await this.#made(startup))
    process.client = client
    return process
  }

  async #made(startup: Buffer): Promise<Process> {
    const socket = connect(this.#target)
    this.#sockets.add(socket.on('error', () => undefined))
    const made: Process = { socket, client: undefined, rest: Buffer.alloc(0) }
    socket.write(startup)
    await new Promise<void>((resolve) => {
      socket.on('data', (bytes: Buffer) => {
        const { messages, rest } = messagesIn(Buffer.concat([made.rest, bytes]))
        made.rest = rest
        for (const message of messages) {
          made.client?.write(message)
          // ReadyForQuery, and no transaction.
          if (letterOf(message) !== 'Z' || message[5] !== 'I'.charCodeAt(0)) continue
          if (made.client && !this.#bySession) this.#release(made)
          resolve()
        }
      })
    })
    return made
  }

  #release(process: Process): void {
    process.client = undefined
    onFree.get(process)?.()
    onFree.delete(process)
    this.#free.push(process)
  }
}

/** The clients forget a process that is free again. */
const onFree = new WeakMap<Process, () => void>()
