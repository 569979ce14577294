/**
 * The night on which a sale opens: clients place orders over HTTP while the shop is killed, its
 * storage actors die and its disk is full. At the end the books must agree. The bank and the mail
 * provider live in this process: they are what the shop cannot take back.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { fakeBank } from '../orders/fake-bank.ts'
import { audit, type Books, unended } from './audit.ts'
import { fakeMails } from './fake-mails.ts'
import { type House, Shop } from './houses.ts'
import type { Placed } from './order.ts'
import type { Show } from './show.ts'

export type RushOptions = {
  /** The shop's data folder. */
  readonly dir: string
  readonly clients: number
  readonly shows: number
  /** How often the shop is killed with `kill -9`. */
  readonly kills: number
  /** From one kill to the next, in ms. */
  readonly killEveryMs: number
  /** A file system of its own that has `dir`, filled for a while between the kills. */
  readonly smallDisk?: string
  readonly fullMs?: number
  /** Two members share the shop, whose log is in this PostgreSQL: the owner is killed each time. */
  readonly cluster?: string
  /** So many members share the folder: one of them is killed each time, and all restart in the middle of the night. */
  readonly members?: number
  readonly random?: () => number
  readonly progress?: (line: string) => void
}

export type Night = {
  readonly accepted: number
  readonly sold: number
  readonly faults: string[]
  /** The longest time from a request to its answer, over all repeats, in ms. */
  readonly longestMs: number
}

const storageActors = ['wal_writer(0)', 'applier(0)', 'blob_store(0)', 'batcher(0)']
const seatsOfShow = 60

const listening = async (server: Server): Promise<string> => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The clients of the night, and what they know. */
class Clients {
  readonly accepted = new Map<string, Placed>()
  /** No order is placed any more. */
  isOver = false
  /** Nothing is asked any more. */
  haveLeft = false
  longestMs = 0
  readonly #url: string
  readonly #random: () => number

  constructor(url: string, random: () => number) {
    this.#url = url
    this.#random = random
  }

  /**
   * One request, repeated until it is answered, also when the night is over: the shop may have taken
   * the order.
   */
  async #ask(path: string, body: unknown): Promise<number | undefined> {
    const began = performance.now()
    while (!this.haveLeft) {
      const status = await fetch(this.#url + path, { method: 'PUT', body: JSON.stringify(body) })
        .then(async (response) => {
          await response.text()
          return response.status
        })
        // The shop was killed: nobody knows what the request did.
        .catch(() => 503)
      if (status !== 503) {
        this.longestMs = Math.max(this.longestMs, performance.now() - began)
        return status
      }
      await pause(50)
    }
    return undefined
  }

  /** Places one order after another, for seats that stand side by side. */
  async shop(name: string, shows: number): Promise<void> {
    for (let at = 0; !this.isOver; at++) {
      const first = Math.floor(this.#random() * seatsOfShow)
      const count = 1 + Math.floor(this.#random() * 4)
      const seats = Array.from({ length: count }, (_, next) => `seat-${first + next}`)
      const placed = { show: `show-${Math.floor(this.#random() * shows)}`, seats }
      const status = await this.#ask(`/orders/${name}-${at}`, placed)
      if (status === 202) this.accepted.set(`${name}-${at}`, placed)
      await pause(200 + this.#random() * 800)
    }
  }

  /** What the shop shows, asked for again while the member that had the connection ends. */
  async look(path: string): Promise<unknown> {
    for (let tries = 100; ; tries--) {
      const response = await fetch(this.#url + path).catch((error) => {
        if (tries === 0) throw error
      })
      if (response && (response.status !== 503 || tries === 0)) return response.json()
      await pause(50)
    }
  }
}

/** Fills the file system of `dir` for a while, and gives the space back. */
const fillDisk = async (dir: string, ms: number): Promise<void> => {
  const ballast = join(dir, 'ballast')
  const { bavail, bsize } = statfsSync(dir)
  try {
    writeFileSync(ballast, Buffer.alloc(bavail * bsize))
  } catch {
    // Full, which is what it is for.
  }
  await pause(ms)
  rmSync(ballast, { force: true })
}

/** The state of each order. */
const ordersOf = async (clients: Clients): Promise<Pick<Books, 'accepted' | 'states'>> => {
  const states = new Map<string, string | undefined>()
  for (const id of clients.accepted.keys()) {
    const { value } = (await clients.look(`/orders/${id}`)) as { value?: unknown }
    states.set(id, typeof value === 'object' ? JSON.stringify(value) : (value as string))
  }
  return { accepted: clients.accepted, states }
}

/** What everybody's books say now. */
const booksOf = async (
  clients: Clients,
  shows: number,
): Promise<Omit<Books, 'ledger' | 'mails'>> => {
  const halls = new Map<string, Show>()
  for (let at = 0; at < shows; at++)
    halls.set(`show-${at}`, (await clients.look(`/shows/show-${at}`)) as Show)
  const report = (await clients.look('/report')) as Record<string, unknown>
  return { ...(await ordersOf(clients)), shows: halls, report }
}

/** Kills, deaths of storage actors and a full disk, in turn. */
const trouble = async (shop: Shop, options: RushOptions): Promise<void> => {
  const { kills, killEveryMs, smallDisk, fullMs = 10_000, progress = () => {} } = options
  for (let at = 0; at < kills; at++) {
    await pause(killEveryMs / 2)
    const actor = storageActors[at % storageActors.length]
    await shop.say(`await kill('${actor}')`)
    progress(`${actor} was killed`)
    if (smallDisk && at === Math.floor(kills / 2)) {
      progress(`the disk is full for ${fullMs / 1_000} s`)
      await fillDisk(smallDisk, fullMs)
    }
    await pause(killEveryMs / 2)
    await shop.end('SIGKILL')
    progress(`kill -9 ${at + 1} of ${kills}`)
    await shop.start()
  }
}

/** A member is killed each time. In the middle the members restart, one after another. */
const troubleOfMembers = async (shop: Shop, options: RushOptions): Promise<void> => {
  const { kills, killEveryMs, random = Math.random, progress = () => {} } = options
  for (let at = 0; at < kills; at++) {
    await pause(killEveryMs)
    if (at === Math.floor(kills / 2)) {
      shop.restartMembers()
      progress('the members restart one after another')
    } else {
      shop.killMember(random)
      progress(`kill -9 ${at + 1} of ${kills}`)
    }
  }
}

/** Lives through one night. The shop's books are compared until every order has come to its end. */
export const rush = async (options: RushOptions): Promise<Night> => {
  const { dir, clients: count, shows, random = Math.random, progress = () => {} } = options
  const bank = fakeBank({ failing: 0.3, slowMs: 100, random })
  const mails = fakeMails({ failing: 0.3, random })
  const free = fakeMails().server
  const url = await listening(free)
  free.close()
  const env = {
    ...process.env,
    BANK_URL: await listening(bank.server),
    MAIL_URL: await listening(mails.server),
    PORT: new URL(url).port,
    HOLD_MS: '30000',
    RETRY_MS: '300',
    // Small ones, so that a full disk is felt at once: the log has the space of its segment already.
    SEGMENT_BYTES: String(128 * 1024),
  }
  const { cluster, members } = options
  const member = (name: string): House => ({
    dir: `${dir}-${name}`,
    env: { ...env, MEMBER: name, CLUSTER_URL: cluster },
  })
  const shop = cluster ? new Shop(member('a'), member('b')) : new Shop({ dir, env, members })
  const clients = new Clients(url, random)
  try {
    await shop.start()
    const load = Array.from({ length: count }, (_, at) => clients.shop(`client-${at}`, shows))
    await (members === undefined ? trouble : troubleOfMembers)(shop, options)
    clients.isOver = true
    await Promise.all(load)
    progress(`${clients.accepted.size} orders were accepted`)
    // Twice the time of a hold: no order, and no mail, may need longer.
    if (members !== undefined) {
      for (let tries = 60; tries > 0 && unended(await ordersOf(clients)).length > 0; tries--)
        await pause(1_000)
      // One process opens what the members have left, and has the report of all.
      await shop.leaveMembers()
    }
    const faultsNow = async () => {
      const books = await booksOf(clients, shows)
      return { books, faults: audit({ ...books, ledger: bank.ledger, mails: mails.sent }) }
    }
    let { books, faults } = await faultsNow()
    for (let tries = 60; tries > 0 && faults.length > 0; tries--) {
      await pause(1_000)
      ;({ books, faults } = await faultsNow())
    }
    await shop.end('SIGTERM')
    const sold = [...books.states.values()].filter((state) => state === 'sold').length
    const longestMs = Math.round(clients.longestMs)
    return { accepted: clients.accepted.size, sold, faults, longestMs }
  } finally {
    clients.isOver = clients.haveLeft = true
    await shop.endAll()
    for (const { server } of [bank, mails]) {
      server.closeAllConnections()
      server.close()
    }
  }
}

if (process.argv[1]?.endsWith('rush.ts')) {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '5' },
      every: { type: 'string', default: '4000' },
      cluster: { type: 'string' },
      members: { type: 'string' },
    },
  })
  const dir = join(mkdtempSync(join(tmpdir(), 'keelson-tickets-')), 'shop')
  const { accepted, sold, faults, longestMs } = await rush({
    ...{ dir, clients: 50, shows: 10, progress: console.log },
    ...{ kills: Number(values.kills), killEveryMs: Number(values.every) },
    ...(values.cluster !== undefined && { cluster: values.cluster }),
    ...(values.members !== undefined && { members: Number(values.members) }),
  })
  for (const fault of faults) console.log(`wrong: ${fault}`)
  console.log(
    `${accepted} orders accepted, ${sold} sold, ${accepted - sold} refused or unpaid, ${faults.length} faults; the longest wait for an answer was ${longestMs} ms`,
  )
  process.exitCode = faults.length > 0 ? 1 : 0
}
