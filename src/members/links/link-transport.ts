/**
 * The port to what carries links: connections between two members, each a stream of bytes in both
 * directions. `unix-transport.ts` carries them over sockets in a folder. The tests have one with
 * loss, delay and cuts on a virtual clock.
 */

/** The reports of a connection to its link. */
export interface ConnectionReader {
  /** The next bytes. They are not kept beyond the call. */
  bytes(bytes: Buffer): void
  /** The connection has ended, for whatever reason. Nothing comes after that. */
  ended(): void
}

/** One connection to another member. */
export interface LinkConnection {
  /** Begins to report. Called once; nothing is lost before. */
  open(reader: ConnectionReader): void
  /**
   * Hands bytes over. `taken` is called later, when the system has taken them all, and never after
   * the end. There is one write at a time.
   */
  write(bytes: Buffer, taken: () => void): void
  /** Ends the connection. Bytes that were handed over may be lost. */
  close(): void
}

/** The connections of one member. */
export interface LinkTransport {
  /**
   * Lets other members connect until `signal` aborts. Resolves when they can. Rejects with the
   * error of the system.
   */
  listen(signal: AbortSignal, onConnection: (connection: LinkConnection) => void): Promise<void>
  /** Connects to a member. Rejects if it does not listen. */
  connect(member: string): Promise<LinkConnection>
}
