/** The service: `keelson run examples/exchange/keelson.config.ts`. It prints the answers as lines. */
import { defineConfig, supervisor, worker } from 'keelson'
import { exchange } from './exchange.ts'
import { gateway } from './gateway.ts'
import { replicaAt } from './replica.ts'
import { tape } from './tape.ts'

const { ORDERS = 'orders.jsonl', TAPE = 'tape.jsonl', REPLICA, IN_FLIGHT = '256' } = process.env

const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const day = {
  file: ORDERS,
  inFlight: Number(IN_FLIGHT),
  answered: (number: number, answer: unknown) => say({ number, answer }),
  closed: (snapshot: unknown) => say({ snapshot }),
}

export default defineConfig({
  dir: './data',
  wal: { commitments: true },
  journal: { replay: 'required' },
  replication: REPLICA ? replicaAt(REPLICA) : [],
  // The auditor reads the log from its begin.
  retention: { log: '30d' },
  app: supervisor('app', { strategy: 'rest_for_one' }, [
    worker('tape', tape, { arg: TAPE }),
    worker('exchange', exchange, { arg: { saveEvery: 25_000 } }),
    worker('gateway', gateway, { arg: day }),
  ]),
})
