/**
 * The night on which a sale opens: clients place orders over HTTP while the shop is killed, its
 * storage actors die and its disk is full. At the end the books must agree. The bank and the mail
 * provider live in this process: they are what the shop cannot take back.
 */
import { randomBytes } from 'node:crypto'
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
import { Clients } from './clients.ts'
import { fakeMails } from './fake-mails.ts'
import { Shop } from './houses.ts'
import { Machines } from './machines.ts'
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
  /**
   * Three machines share the shards, whose logs are in this PostgreSQL: the member of one of them is
   * killed each time. In the middle of the night all change to the build in the folder `upgrade`, one
   * after another: to the same one by default.
   */
  readonly spread?: { readonly url: string; readonly upgrade?: string | undefined }
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

const listening = async (server: Server): Promise<string> => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The package that has this example. */
const root = join(import.meta.dirname, '../..')

/** Ports that nothing listens on. */
const freePorts = async (count: number): Promise<readonly string[]> => {
  const servers = Array.from({ length: count }, () => fakeMails().server)
  const urls = await Promise.all(servers.map(listening))
  for (const server of servers) server.close()
  return urls.map((url) => new URL(url).port)
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

/** A member is killed each time. In the middle all of them change to another build, one after another. */
const troubleOfMachines = async (machines: Machines, options: RushOptions): Promise<void> => {
  const { kills, killEveryMs, spread, random = Math.random, progress = () => {} } = options
  for (let at = 0; at < kills; at++) {
    await pause(killEveryMs)
    if (at === Math.floor(kills / 2)) {
      await machines.upgrade(spread?.upgrade ?? root)
      progress('the members have changed to another build, one after another')
    } else {
      await machines.kill(random)
      progress(`kill -9 ${at + 1} of ${kills}`)
    }
  }
}

/** What lives through the night, and what happens to it. */
type House = {
  start(): Promise<void>
  trouble(): Promise<void>
  /** One process serves from now on, which has the report of all. */
  beOne(): Promise<void>
  end(): Promise<void>
  endAll(): Promise<void>
}

const shopOf = (options: RushOptions, env: NodeJS.ProcessEnv): House => {
  const { dir, cluster, members } = options
  const member = (name: string) => ({
    dir: `${dir}-${name}`,
    env: { ...env, MEMBER: name, CLUSTER_URL: cluster },
  })
  const shop = cluster ? new Shop(member('a'), member('b')) : new Shop({ dir, env, members })
  return {
    start: () => shop.start(),
    trouble: () => (members === undefined ? trouble : troubleOfMembers)(shop, options),
    beOne: async () => {
      if (members !== undefined) await shop.leaveMembers()
    },
    end: () => shop.end('SIGTERM'),
    endAll: () => shop.endAll(),
  }
}

const machinesOf = (
  options: RushOptions & { readonly spread: NonNullable<RushOptions['spread']> },
  env: NodeJS.ProcessEnv,
  ports: readonly string[],
  links: readonly string[],
): House => {
  const { dir, spread } = options
  const machines = new Machines(root)
  const secret = randomBytes(32).toString('hex')
  const all = ['a', 'b', 'c'].map((member, at) => ({
    dir: `${dir}-${member}`,
    env: {
      ...{ ...env, MEMBER: member, CLUSTER_URL: spread.url, PORT: ports[at] },
      ...{ LISTEN: `127.0.0.1:${links[at]}`, KEELSON_SECRET: secret },
    },
  }))
  return {
    start: () => machines.start(all),
    trouble: () => troubleOfMachines(machines, options),
    beOne: () => machines.leaveFirst(),
    end: () => machines.endAll('SIGTERM'),
    endAll: () => machines.endAll(),
  }
}

/** Lives through one night. The shop's books are compared until every order has come to its end. */
export const rush = async (options: RushOptions): Promise<Night> => {
  const { clients: count, shows, random = Math.random, progress = () => {} } = options
  const bank = fakeBank({ failing: 0.3, slowMs: 100, random })
  const mails = fakeMails({ failing: 0.3, random })
  const { members, spread } = options
  const [first = '', ...others] = await freePorts(spread ? 6 : 1)
  const ports = spread ? [first, ...others.slice(0, 2)] : [first]
  const env = {
    ...process.env,
    BANK_URL: await listening(bank.server),
    MAIL_URL: await listening(mails.server),
    PORT: first,
    HOLD_MS: '30000',
    RETRY_MS: '300',
    // Small ones, so that a full disk is felt at once: the log has the space of its segment already.
    SEGMENT_BYTES: String(128 * 1024),
  }
  const house = spread
    ? machinesOf({ ...options, spread }, env, ports, others.slice(2))
    : shopOf(options, env)
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const clients = new Clients(urls, random)
  try {
    await house.start()
    const load = Array.from({ length: count }, (_, at) => clients.shop(`client-${at}`, shows))
    await house.trouble()
    clients.isOver = true
    await Promise.all(load)
    progress(`${clients.accepted.size} orders were accepted`)
    // Twice the time of a hold: no order, and no mail, may need longer.
    if (members !== undefined || spread) {
      for (let tries = 60; tries > 0 && unended(await ordersOf(clients)).length > 0; tries--)
        await pause(1_000)
      await house.beOne()
      clients.urls = urls.slice(0, 1)
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
    await house.end()
    const sold = [...books.states.values()].filter((state) => state === 'sold').length
    const longestMs = Math.round(clients.longestMs)
    return { accepted: clients.accepted.size, sold, faults, longestMs }
  } finally {
    clients.isOver = clients.haveLeft = true
    await house.endAll()
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
      spread: { type: 'string' },
      upgrade: { type: 'string' },
    },
  })
  const dir = join(mkdtempSync(join(tmpdir(), 'keelson-tickets-')), 'shop')
  const { accepted, sold, faults, longestMs } = await rush({
    ...{ dir, clients: 50, shows: 10, progress: console.log },
    ...{ kills: Number(values.kills), killEveryMs: Number(values.every) },
    ...(values.cluster !== undefined && { cluster: values.cluster }),
    ...(values.members !== undefined && { members: Number(values.members) }),
    ...(values.spread !== undefined && {
      spread: { url: values.spread, upgrade: values.upgrade },
    }),
  })
  for (const fault of faults) console.log(`wrong: ${fault}`)
  console.log(
    `${accepted} orders accepted, ${sold} sold, ${accepted - sold} refused or unpaid, ${faults.length} faults; the longest wait for an answer was ${longestMs} ms`,
  )
  process.exitCode = faults.length > 0 ? 1 : 0
}
