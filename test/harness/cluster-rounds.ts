/**
 * Rounds of trouble for two members of a cluster on a PostgreSQL server with a synchronous standby: the owner is killed, stopped
 * for longer than its lease, or cut off from the engine; the engine is killed; its standby is promoted. Clients write and read
 * keys, pay money into accounts and pay orders all the time. After each round each history is linearizable, each account has
 * what was paid in, and each order was charged once.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from 'keelson/testing'
import { systemClock } from '../../src/clock.ts'
import { type RegisterOperation, registerFault } from '../support/models/register-history.ts'
import { type MemberLink, PostgresPair } from '../support/worlds/postgres-pair.ts'

const program = 'test/support/programs/cluster-member.mjs'

/** The troubles of a round, and how often each comes. */
const troubles = {
  'killed owner': 4,
  'stopped owner': 4,
  'cut owner': 4,
  'killed standby': 1,
  'killed engine': 2,
  promotion: 1,
}
/** A kind of trouble. */
export type Trouble = keyof typeof troubles

/** The names of the troubles. */
export const troubleNames = Object.keys(troubles) as Trouble[]

/** What happened in all rounds. */
export type ClusterRounds = {
  /** For each round with this trouble, the longest time between two acknowledgements, in ms. */
  readonly gaps: Readonly<Record<string, readonly number[]>>
  readonly acknowledged: number
  readonly charges: number
}

/** The options of the rounds. */
export type ClusterOptions = {
  readonly rounds: number
  readonly seed: number
  readonly leaseMs: number
  /** The trouble of each round. Without it, each round draws one. */
  readonly trouble?: Trouble | undefined
  readonly progress: (done: number, facts: ClusterRounds) => void
}

const clock = systemClock()
const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve))
const now = (): number => performance.now()

type Answer = { readonly value?: unknown; readonly code?: string }

/** A client waits for so long for an answer. Then it knows nothing. */
const answerMs = 4_000

/** One member: its process, which is started again after it was killed. */
class Member {
  readonly name: string
  isOwner = false
  failure: string | undefined
  #child: ChildProcess | undefined
  #number = 0
  readonly #pending = new Map<number, (answer: Answer) => void>()
  readonly #words: readonly string[]

  constructor(name: string, words: readonly string[]) {
    this.name = name
    this.#words = words
  }

  start(): void {
    const child = fork(program, [this.name, ...this.#words], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    child.on('message', (told: Answer & { number?: number; step?: string; failed?: string }) => {
      if (told.failed !== undefined) this.failure = told.failed
      if (told.step !== undefined) this.isOwner = told.step === 'owner'
      if (told.number === undefined) return
      this.#pending.get(told.number)?.(told)
      this.#pending.delete(told.number)
    })
    child.on('exit', () => {
      if (this.#child !== child) return
      this.isOwner = false
      for (const answer of this.#pending.values()) answer({ code: 'UNKNOWN' })
      this.#pending.clear()
    })
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  ask(what: string, ...words: readonly unknown[]): Promise<Answer> {
    const number = ++this.#number
    return new Promise((resolve) => {
      const settled = clock.after(answerMs, () => {
        this.#pending.delete(number)
        resolve({ code: 'UNKNOWN' })
      })
      this.#pending.set(number, (answer) => {
        settled()
        resolve(answer)
      })
      this.#child?.send({ number, what, words }, (error) => {
        if (error) this.#pending.get(number)?.({ code: 'UNKNOWN' })
      })
    })
  }
}

/** The bank of the orders: which keys it has charged for each. */
class Bank {
  readonly charged = new Map<string, Set<string>>()
  readonly #server = createServer((request, response) => {
    const what = new URL(request.url ?? '', 'http://bank').searchParams
    const order = what.get('order') ?? ''
    const keys = this.charged.get(order) ?? new Set()
    this.charged.set(order, keys.add(what.get('key') ?? ''))
    // Slow enough that an owner may be struck in between.
    clock.after(20, () => response.end())
  })

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

/** All of it. */
class World {
  readonly facts = {
    gaps: {} as Record<string, number[]>,
    acknowledged: 0,
    charges: 0,
  }
  readonly #pair: PostgresPair
  readonly #bank: Bank
  readonly #members: readonly (Member & { readonly link: MemberLink })[]
  readonly #random: () => number
  readonly #leaseMs: number
  readonly #trouble: Trouble | undefined
  readonly #paidIn = new Map<string, number>()
  #number = 0
  #isRunning = false
  #acknowledgedAt = 0
  #gap = 0
  #histories = new Map<string, RegisterOperation[]>()
  #orders: string[] = []

  constructor(
    pair: PostgresPair,
    bank: Bank,
    members: readonly (Member & { readonly link: MemberLink })[],
    { seed, leaseMs, trouble }: ClusterOptions,
  ) {
    this.#pair = pair
    this.#bank = bank
    this.#members = members
    this.#random = seededRandom(seed)
    this.#leaseMs = leaseMs
    this.#trouble = trouble
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)] as T
  }

  /** A member that says that it owns: two may say so, one of which is wrong. */
  #owner(): (Member & { readonly link: MemberLink }) | undefined {
    return this.#pick(this.#members.filter(({ isOwner }) => isOwner))
  }

  async round(number: number): Promise<void> {
    this.#histories = new Map()
    this.#orders = []
    this.#isRunning = true
    this.#gap = 0
    this.#acknowledgedAt = now()
    const trouble = this.#trouble ?? this.#drawn()
    const clients = Array.from({ length: 6 }, () => this.#client(number))
    try {
      await this.#untilOwned()
      await pause(300 + this.#random() * 400)
      await this.#carryOut(trouble)
      await this.#untilOwned()
      await pause(300)
    } finally {
      this.#isRunning = false
      await Promise.all(clients)
    }
    this.facts.gaps[trouble] = [...(this.facts.gaps[trouble] ?? []), this.#gap]
    await this.#check(number)
  }

  #drawn(): Trouble {
    return this.#pick(Object.entries(troubles).flatMap(([name, count]) => Array(count).fill(name)))
  }

  async #carryOut(trouble: Trouble): Promise<void> {
    const owner = this.#owner() ?? this.#pick(this.#members)
    const other = this.#members.find((each) => each !== owner) ?? owner
    const longMs = this.#leaseMs * (0.5 + 2.5 * this.#random())
    if (trouble === 'killed engine') return this.#pair.restart(longMs / 2)
    if (trouble === 'promotion') return this.#pair.promote()
    if (trouble === 'killed standby' || trouble === 'killed owner') {
      const killed = trouble === 'killed owner' ? owner : other
      await killed.kill()
      await pause(longMs * this.#random())
      killed.start()
      return
    }
    if (trouble === 'stopped owner') {
      owner.signal('SIGSTOP')
      await pause(longMs + this.#leaseMs / 2)
      owner.signal('SIGCONT')
      return
    }
    owner.link.cut()
    await pause(longMs)
    owner.link.mend()
  }

  /** Waits until there is a member that serves. */
  async #untilOwned(): Promise<void> {
    const until = now() + 60_000 + 10 * this.#leaseMs
    for (;;) {
      const answer = await this.#owner()?.ask('get', 'k')
      if (answer && answer.code === undefined) return
      this.#refuseFailed()
      if (now() > until) throw new Error('no member owns the instance any more')
      await pause(20)
    }
  }

  #refuseFailed(): void {
    const failed = this.#members.find(({ failure }) => failure !== undefined)
    if (failed) throw new Error(`the member ${failed.name} has failed: ${failed.failure}`)
  }

  async #client(round: number): Promise<void> {
    while (this.#isRunning) {
      const kind = this.#random()
      if (kind < 0.35) await this.#write(`${round}-${this.#pick(['a', 'b', 'c'])}`)
      else if (kind < 0.7) await this.#read(`${round}-${this.#pick(['a', 'b', 'c'])}`)
      else if (kind < 0.85) await this.#payIn(`${this.#pick([1, 2, 3, 4])}`)
      else await this.#order()
      await pause(5)
    }
  }

  #noted(): void {
    const at = now()
    this.#gap = Math.max(this.#gap, at - this.#acknowledgedAt)
    this.#acknowledgedAt = at
    this.facts.acknowledged += 1
  }

  #note(key: string, operation: RegisterOperation): void {
    const history = this.#histories.get(key) ?? []
    this.#histories.set(key, history)
    history.push(operation)
  }

  async #write(key: string): Promise<void> {
    const owner = this.#owner()
    if (!owner) return pause(10)
    const value = `v${++this.#number}`
    const begin = now()
    const { code } = await owner.ask('put', key, value)
    if (code === 'NOT_SUBMITTED' || code === 'BUSY') return
    if (code === undefined) this.#noted()
    this.#note(key, {
      kind: 'write',
      value,
      begin,
      end: code === undefined ? now() : Number.POSITIVE_INFINITY,
    })
  }

  async #read(key: string): Promise<void> {
    const owner = this.#owner()
    if (!owner) return pause(10)
    const begin = now()
    const { code, value } = await owner.ask('get', key)
    if (code === undefined)
      this.#note(key, { kind: 'read', value: value as string | undefined, begin, end: now() })
  }

  /** Repeats a call with an id until it is answered. */
  async #untilAnswered(what: string, ...words: readonly unknown[]): Promise<unknown> {
    const id = `c${++this.#number}`
    for (;;) {
      const answer = await this.#owner()?.ask(what, ...words, id)
      if (answer && answer.code === undefined) {
        this.#noted()
        return answer.value
      }
      this.#refuseFailed()
      await pause(20)
    }
  }

  async #payIn(account: string): Promise<void> {
    const cents = 1 + Math.floor(this.#random() * 100)
    this.#paidIn.set(account, (this.#paidIn.get(account) ?? 0) + cents)
    await this.#untilAnswered('deposit', account, cents)
  }

  async #order(): Promise<void> {
    const order = `o${++this.#number}`
    this.#orders.push(order)
    await this.#untilAnswered('pay', order)
  }

  async #check(round: number): Promise<void> {
    for (const [key, history] of this.#histories) {
      const fault = registerFault(history)
      if (fault) throw new Error(`round ${round}, key ${key}: ${fault}: ${JSON.stringify(history)}`)
    }
    for (const [account, cents] of this.#paidIn) {
      const total = await this.#untilAnswered('total', account)
      if (total !== cents)
        throw new Error(`round ${round}: account ${account} has ${total}, and not ${cents}`)
    }
    for (const order of this.#orders) {
      const until = now() + 30_000
      while ((await this.#untilAnswered('status', order)) !== 'paid') {
        if (now() > until) throw new Error(`round ${round}: the order ${order} is not paid`)
        await pause(20)
      }
      const keys = this.#bank.charged.get(order)?.size ?? 0
      if (keys !== 1)
        throw new Error(`round ${round}: the order ${order} was charged under ${keys} keys`)
      this.facts.charges += 1
    }
  }
}

/** Carries out the rounds. @throws Error with the promise that was broken */
export const clusterRounds = async (options: ClusterOptions): Promise<ClusterRounds> => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-cluster-'))
  const bank = new Bank()
  const members: (Member & { readonly link: MemberLink })[] = []
  let pair: PostgresPair | undefined
  try {
    const url = await bank.open()
    pair = await PostgresPair.start(dir)
    for (const name of ['a', 'b']) {
      const link = await pair.link()
      const words = [join(dir, name), link.url, String(options.leaseMs), '2', url]
      const member = Object.assign(new Member(name, words), { link })
      members.push(member)
      member.start()
    }
    const world = new World(pair, bank, members, options)
    for (let number = 1; number <= options.rounds; number++) {
      await world.round(number)
      options.progress(number, world.facts)
    }
    return world.facts
  } finally {
    await Promise.all(members.map((member) => member.kill()))
    await pair?.stop()
    bank.close()
    rmSync(dir, { recursive: true, force: true })
  }
}
