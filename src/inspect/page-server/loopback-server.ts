/** The HTTP server of `keelson observe`, on this machine alone. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KeelsonError } from '../../errors.ts'
import type { PageServer } from './page-server.ts'

/** Slow senders hold no connection for longer, in ms. */
const requestMs = 10_000
const connectionsMax = 64

/** A server that listens. */
export type Listening = { readonly port: number; close(): void }

/** Listens on 127.0.0.1; port 0: a free one. @throws KeelsonError `CONFIG` if it is taken */
export const listenOnLoopback = async (
  port: number,
  serverOf: (port: () => number) => PageServer,
): Promise<Listening> => {
  const bound = (): number => (http.address() as AddressInfo).port
  const http: Server = createServer((request, response) => void page.handle(request, response))
  const page = serverOf(bound)
  http.requestTimeout = http.headersTimeout = requestMs
  http.maxConnections = connectionsMax
  await new Promise<void>((resolve, reject) => {
    http.once('error', ({ message }) =>
      reject(new KeelsonError('CONFIG', `the page cannot be served on port ${port}: ${message}`)),
    )
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
