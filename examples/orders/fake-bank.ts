/** A bank to try the service with: a process of its own that is slow and fails by chance. */
import { createServer, type Server } from 'node:http'

/** What happened under one key: whether the money was taken, and how often the bank was asked. */
export type Charge = { cents: number; isTaken: boolean; isReleased: boolean; asked: number }

export type FakeBankOptions = {
  /** The share of requests that fail, half of them after they took effect; 0.2 by default. */
  readonly failing?: number
  /** The longest time that an answer takes, in ms; 50 by default. */
  readonly slowMs?: number
  /** Numbers from 0 to 1; `Math.random` by default. */
  readonly random?: () => number
}

/** A bank, its ledger by key, and its chance to fail, which may be changed at any time. */
export const fakeBank = ({
  failing = 0.2,
  slowMs = 50,
  random = Math.random,
}: FakeBankOptions = {}): {
  readonly ledger: Map<string, Charge>
  readonly server: Server
  readonly chance: { failing: number }
} => {
  const chance = { failing }
  const ledger = new Map<string, Charge>()
  const at = (key: string): Charge => {
    const charge = ledger.get(key) ?? { cents: 0, isTaken: false, isReleased: false, asked: 0 }
    ledger.set(key, charge)
    charge.asked++
    return charge
  }
  const statusOf = (method: string, key: string, body: string): number => {
    const charge = at(key)
    if (method === 'DELETE') charge.isReleased = true
    else if (charge.isReleased) return 409
    else {
      charge.isTaken = true
      charge.cents = JSON.parse(body).cents
    }
    return 200
  }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const luck = random()
    const key = decodeURIComponent((request.url ?? '').slice('/charges/'.length))
    const isHeard = luck >= chance.failing / 2
    const status = isHeard ? statusOf(request.method ?? '', key, body) : 503
    const isAnswered = luck >= chance.failing
    setTimeout(() => response.writeHead(isAnswered ? status : 503).end(), random() * slowMs)
  })
  return { ledger, server, chance }
}

if (process.argv[1]?.endsWith('fake-bank.ts')) {
  const { server } = fakeBank()
  server.listen(7071, '127.0.0.1', () => console.log('a bank at http://127.0.0.1:7071'))
}
