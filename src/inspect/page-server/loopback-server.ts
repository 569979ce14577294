/** The HTTP server of `keelson observe`, on this machine alone. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock } from '../../clock.ts'
import { KeelsonError, keptError } from '../../errors.ts'
import type { PageServer, PageTerms } from './page-server.ts'

/**
 * Slow senders, and those without the token, hold no connection for longer, in ms, and how often
 * the former is checked.
 */
const strangerMs = 10_000
const checkMs = 1_000

const connectionsMax = 64

/**
 * The most connections over which no request with the token has come. A further one ends the oldest
 * of them, so that other users of the machine cannot keep the page's user out.
 */
const strangersMax = 16

/** A server that listens. */
export type Listening = { readonly port: number; close(): void }

/** Listens on 127.0.0.1; port 0: a free one. @throws KeelsonError `CONFIG` if it is taken */
export const listenOnLoopback = async (
  port: number,
  clock: Clock,
  isAdmitted: (request: IncomingMessage) => boolean,
  serverOf: (terms: Pick<PageTerms, 'port' | 'admits'>) => PageServer,
): Promise<Listening> => {
  const strangers = new Set<Socket>()
  const page = serverOf({
    port: () => bound(),
    admits: (request) => {
      const isOurs = isAdmitted(request)
      if (isOurs) strangers.delete(request.socket)
      return isOurs
    },
  })
  const http: Server = createServer(
    {
      requestTimeout: strangerMs,
      headersTimeout: strangerMs,
      connectionsCheckingInterval: checkMs,
    },
    (request, response) => void page.handle(request, response),
  )
  const bound = (): number => (http.address() as AddressInfo).port
  http.maxConnections = connectionsMax
  http.on('connection', (socket: Socket) => {
    const [oldest] = strangers
    if (oldest && strangers.size === strangersMax) {
      strangers.delete(oldest)
      oldest.destroy()
    }
    strangers.add(socket)
    const end = (): void => void (strangers.has(socket) && socket.destroy())
    const cancel = clock.after(strangerMs, end, { holdsProcess: false })
    socket.once('close', () => {
      cancel()
      strangers.delete(socket)
    })
  })
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error) => {
      const why = keptError(error).message
      reject(new KeelsonError('CONFIG', `the page cannot be served on port ${port}: ${why}`))
    })
    http.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: bound(),
    close: () => {
      page.close()
      http.close()
      http.closeAllConnections()
    },
  }
}
