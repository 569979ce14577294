/**
 * A relay between a member and its PostgreSQL server that counts the messages of the member's protocol, and stops after a given
 * one: nothing more is passed in either direction, and every connection stays open, as after the loss of a network.
 */
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

/** The relay of one member. */
export class StoppingRelay {
  readonly #folder: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** So many messages pass yet. */
  #left = Number.POSITIVE_INFINITY
  #stopped: () => void = () => undefined

  /** Makes the relay in `folder`, which must not exist. `target`: the socket of the server. */
  constructor(folder: string, target: string) {
    this.#folder = folder
    mkdirSync(folder)
    this.#server = createServer((member) => this.#relay(member, connect(target)))
  }

  async listen(): Promise<void> {
    this.#server.listen(join(this.#folder, '.s.PGSQL.5432'))
    await once(this.#server, 'listening')
  }

  /** Where the member finds the server. */
  get url(): string {
    return `postgres://keelson@localhost/postgres?host=${encodeURIComponent(this.#folder)}`
  }

  /** Stops after `count` messages from now. Resolves then. */
  stopAfter(count: number): Promise<void> {
    this.#left = count
    return new Promise((resolve) => {
      this.#stopped = resolve
    })
  }

  /** Ends all connections, and passes what comes later. */
  heal(): void {
    this.#left = Number.POSITIVE_INFINITY
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.heal()
    this.#server.close()
  }

  #relay(member: Socket, server: Socket): void {
    let held = Buffer.alloc(0)
    // The first message of a connection has no type.
    let typeBytes = 0
    for (const socket of [member, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        // A server does not hear of the end of a member behind a lost network.
        if (this.#left > 0) for (const other of [member, server]) other.destroy()
      })
    }
    member.on('data', (bytes) => {
      held = Buffer.concat([held, bytes])
      for (;;) {
        if (held.length < typeBytes + 4) return
        const length = typeBytes + held.readInt32BE(typeBytes)
        if (held.length < length) return
        if (this.#left > 0) server.write(held.subarray(0, length))
        held = held.subarray(length)
        typeBytes = 1
        if (--this.#left === 0) this.#stopped()
      }
    })
    server.on('data', (bytes) => {
      if (this.#left > 0) member.write(bytes)
    })
  }
}
