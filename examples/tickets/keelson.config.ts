/** The shop: `keelson run examples/tickets/keelson.config.ts`. */
import { type ClusterOptions, defineConfig, supervisor, worker } from 'keelson'
import { flows } from 'keelson/flow'
import { postgresEngine } from 'keelson/postgres'
import { httpBank } from '../orders/bank.ts'
import { http } from './http.ts'
import { httpMails, mailQueue } from './mails.ts'
import { orderKind } from './order.ts'
import { report } from './report.ts'
import { showKind } from './show.ts'

const {
  BANK_URL = 'http://127.0.0.1:7071',
  MAIL_URL = 'http://127.0.0.1:7072',
  PORT = '7070',
  HOLD_MS = '600000',
  RETRY_MS = '1000',
  SEGMENT_BYTES = '16777216',
  CLUSTER_URL,
  MEMBER = 'a',
  LISTEN,
  KEELSON_SECRET = '',
} = process.env

const shows = showKind(Number(HOLD_MS))
const mails = mailQueue(httpMails(MAIL_URL), Number(RETRY_MS))
const orders = orderKind({
  shows,
  mails,
  bank: httpBank(BANK_URL),
  // The seats are held for longer than the bank may take.
  payWithinMs: Number(HOLD_MS) * 0.8,
  retryMs: Number(RETRY_MS),
})

/**
 * With a URL of PostgreSQL this is a member of a cluster: its log is there, and not in files. With an
 * address to listen at, the members share the shards.
 */
const log:
  | { readonly cluster: ClusterOptions; readonly shards?: number }
  | { readonly wal: { readonly maxFileSize: number } } =
  CLUSTER_URL === undefined
    ? { wal: { maxFileSize: Number(SEGMENT_BYTES) } }
    : {
        ...(LISTEN && { shards: 12 }),
        cluster: {
          ...{ name: 'tickets', member: MEMBER },
          engine: postgresEngine({ connectionString: CLUSTER_URL }),
          ...(LISTEN && { placement: 'spread', listen: LISTEN, secret: KEELSON_SECRET }),
        },
      }

export default defineConfig({
  dir: './data',
  ...log,
  projections: [report],
  // A night on which everything is killed again and again.
  members: { intensity: 100 },
  app: supervisor('app', { intensity: 100, periodMs: 10_000 }, [
    shows,
    flows({ queues: [mails] }),
    orders,
    worker('http', http, { arg: { orders, shows, port: Number(PORT) } }),
  ]),
})
