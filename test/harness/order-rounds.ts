/**
 * `kill -9` of the service of `examples/orders`, again and again, while clients place and cancel
 * orders and repeat what was not answered. The bank lives in this process: its ledger says what was
 * charged.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Charge, fakeBank } from '../../examples/orders/fake-bank.ts'
import { seededRandom, systemClock } from '../../src/clock.ts'
import type { StrikeOptions, Strikes } from './kill-rounds.ts'

const program = ['dist/inspect/cli/cli.js', 'run', 'examples/orders/keelson.config.ts']
const clients = 16
/** Kills of one folder, before all of its orders must come to their end. */
const killsOfFolder = 25
const payWithinMs = 1_500
/** From the last kill until every order must have come to its end. */
const patienceMs = 90_000

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => systemClock().after(ms, resolve))

const free = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

type Request = { readonly method: string; readonly body?: string }

/** The orders of one folder, as their clients know them, and the service that is killed. */
class Orders {
  readonly tried = new Set<string>()
  readonly placed = new Set<string>()
  readonly cancelled = new Set<string>()
  /** Answers that make no sense. */
  readonly wrong: string[] = []
  isOver = false
  answers = 0
  #child: ChildProcess | undefined
  #errors = ''
  readonly #url: string
  readonly #env: NodeJS.ProcessEnv
  readonly #dir: string

  constructor(dir: string, port: number, bankUrl: string) {
    this.#dir = dir
    this.#url = `http://127.0.0.1:${port}`
    this.#env = {
      ...process.env,
      BANK_URL: bankUrl,
      PORT: String(port),
      PAY_WITHIN_MS: String(payWithinMs),
    }
  }

  /** Runs the service; resolves when it says that it is ready. @throws Error if it ends before. */
  begin(): { readonly ready: Promise<void>; readonly kill: () => Promise<void> } {
    const child = spawn(process.execPath, [...program, '--dir', this.#dir], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    this.#errors = ''
    child.stderr?.on('data', (text) => {
      this.#errors += text
    })
    const exited = once(child, 'exit')
    let isKilled = false
    const ready = new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve())
      void exited.then(() => {
        if (isKilled) return resolve()
        reject(new Error(`the service ended by itself: ${this.#errors}`))
      })
    })
    const kill = async (): Promise<void> => {
      if (child.exitCode !== null) throw new Error(`the service ended by itself: ${this.#errors}`)
      isKilled = true
      child.kill('SIGKILL')
      await exited
    }
    return { ready, kill }
  }

  /** Ends a service that still runs. */
  end(): void {
    this.#child?.kill('SIGKILL')
  }

  /** One request, repeated until it is answered; `undefined` when the run is over before. */
  async ask(path: string, { method, body }: Request): Promise<[number, unknown] | undefined> {
    for (;;) {
      try {
        const response = await fetch(`${this.#url}${path}`, {
          method,
          ...(body && { body }),
        })
        const answer = await response.json()
        if (response.status !== 503) {
          this.answers++
          return [response.status, answer]
        }
      } catch {
        // It was killed: nobody knows what the request did.
      }
      if (this.isOver) return undefined
      await pause(20)
    }
  }

  /** A client: it places orders, and cancels some of them. */
  async client(name: string, random: () => number): Promise<void> {
    for (let at = 0; !this.isOver; at++) {
      const id = `${name}-${at}`
      this.tried.add(id)
      const body = JSON.stringify({ cents: 1 + Math.floor(random() * 10_000) })
      const answer = await this.ask(`/orders/${id}`, { method: 'POST', body })
      if (!answer) return
      if (answer[0] === 201) this.placed.add(id)
      else this.wrong.push(`${id} was answered ${JSON.stringify(answer)}`)
      if (random() > 0.15) continue
      const ended = await this.ask(`/orders/${id}`, { method: 'DELETE' })
      if ((ended?.[1] as { accepted?: boolean })?.accepted) this.cancelled.add(id)
    }
  }

  /** What is not as it must be in the end. */
  async unsettled(charges: Map<string, Charge[]>): Promise<string[]> {
    const faults = [...this.wrong]
    for (const id of this.tried) {
      const [, order] = (await this.ask(`/orders/${id}`, { method: 'GET' })) ?? []
      const status = (order as { status?: string })?.status
      const all = charges.get(id) ?? []
      const standing = all.filter(({ isTaken, isReleased }) => isTaken && !isReleased).length
      const fault =
        (all.length > 1 && `the bank knows ${all.length} keys of it`) ||
        (status === undefined && this.placed.has(id) && 'it was acknowledged and is lost') ||
        (status === undefined && all.length > 0 && 'it is not there, and the bank was asked') ||
        (status && !isEnd(status) && `it is ${status}`) ||
        (status === 'completed' && this.cancelled.has(id) && 'it was cancelled and is paid') ||
        ((status === 'completed') !== (standing === 1) &&
          `it is ${status}, charged ${standing} times`)
      if (fault) faults.push(`${id}: ${fault}`)
    }
    return faults
  }
}

/** An order ends paid or cancelled. */
const isEnd = (status: string): boolean => status === 'completed' || status === 'cancelled'

/** The charges of each order. A key is `flow/order/ID/BIRTH/ROUND/charge`. */
const byOrder = (ledger: ReadonlyMap<string, Charge>): Map<string, Charge[]> => {
  const found = new Map<string, Charge[]>()
  for (const [key, charge] of ledger) {
    const id = key.split('/')[2] ?? key
    found.set(id, [...(found.get(id) ?? []), charge])
  }
  return found
}

/** Waits until all orders have come to their end. @throws Error with those that have not. */
const settle = async (orders: Orders, ledger: ReadonlyMap<string, Charge>): Promise<void> => {
  const clock = systemClock()
  for (const since = clock.monotonic(); ; await pause(250)) {
    const faults = await orders.unsettled(byOrder(ledger))
    if (faults.length === 0) return
    if (clock.monotonic() - since > patienceMs)
      throw new Error(`${faults.length} orders are wrong: ${faults.slice(0, 5).join('; ')}`)
  }
}

/** Kills of one folder, under load, and what its orders came to. */
const strikeFolder = async (kills: number, random: () => number, sum: Strikes): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-orders-'))
  const bank = fakeBank({ failing: 0.4, slowMs: 20, random })
  bank.server.listen(0, '127.0.0.1')
  await once(bank.server, 'listening')
  const bankUrl = `http://127.0.0.1:${(bank.server.address() as AddressInfo).port}`
  const orders = new Orders(dir, await free(), bankUrl)
  const load = Array.from({ length: clients }, (_, at) => orders.client(`c${at}`, random))
  try {
    for (let at = 0; at < kills; at++) {
      const { ready, kill } = orders.begin()
      // Some kills strike while it starts; the first one strikes orders.
      if (at === 0 || random() < 0.85) await ready
      await pause(Math.floor(random() * 1_000) + (at === 0 ? 500 : 0))
      await kill()
      sum.strikes++
    }
    const last = orders.begin()
    await last.ready
    orders.isOver = true
    // The longest pause between two tries is shorter than the patience.
    bank.chance.failing = 0
    await Promise.all(load)
    await settle(orders, bank.ledger)
    await last.kill()
    sum.rounds++
    sum.promised += orders.placed.size
  } finally {
    orders.isOver = true
    orders.end()
    bank.server.closeAllConnections()
    bank.server.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

/**
 * Rounds of `kill -9` of the service. A round is one kill; 25 of them strike one folder.
 * @throws Error with the seed, when an order is lost, charged twice or never ended
 */
export const orderRounds = async ({ rounds, seed, progress }: StrikeOptions): Promise<Strikes> => {
  const random = seededRandom(seed)
  const sum: Strikes = { rounds: 0, strikes: 0, promised: 0, torn: 0 }
  while (sum.strikes < rounds) {
    await strikeFolder(Math.min(killsOfFolder, rounds - sum.strikes), random, sum).catch(
      (cause) => {
        throw new Error(`seed ${seed}, strike ${sum.strikes}: ${String(cause)}`, { cause })
      },
    )
    progress?.(sum)
  }
  return sum
}
