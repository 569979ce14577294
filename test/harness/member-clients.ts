/**
 * Clients of members that share a folder, two at each member, for one round: they write, read and swap keys, read copies of
 * keys, pay into accounts and transfer money. What they were answered is judged when the round is over.
 */
import { systemClock } from '../../src/clock.ts'
import { type RegisterOperation, registerFault } from '../support/models/register-history.ts'
import { type PlacedRead, type PlacedWrite, staleFault } from '../support/models/stale-history.ts'
import type { Answer, MemberLine } from '../support/worlds/member-service.ts'
import { RoundClients } from './round-clients.ts'

const clock = systemClock()
const now = (): number => performance.now()

/** Resolves after so many ms. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(ms, resolve))

const accounts = ['1', '2', '3', '4', '5', '6']
/** A transfer is done within this time after its round, in ms. */
const patienceMs = 60_000

/**
 * What may happen to members: they end in order, one or all at once, are killed while writes are at them, or lose the engine
 * that has their shards, and those with it. Then they may refuse everything, and only what they have answered is judged.
 */
export type Trouble = 'ends' | 'all end' | 'kills' | 'engine'

type Position = { readonly shard: number; readonly lsn: number }

/** A write, and its position once it is acknowledged. */
type Placed = PlacedWrite & { position?: Position | undefined }

type Account = { readonly cents: number; readonly keys: readonly string[] }

/** What a service has answered in one round. */
export class MemberClients extends RoundClients {
  readonly #trouble: Trouble
  readonly #histories = new Map<string, RegisterOperation[]>()
  /** The writes and the stale reads of each key that is only written and read. */
  readonly #placed = new Map<string, { readonly writes: Placed[]; readonly reads: PlacedRead[] }>()
  readonly #swapped = new Map<string, string>()
  readonly #paid = new Map<string, Map<string, number>>()
  readonly #transfers = new Map<string, number>()
  /** Refusals that only a member that closes may give. */
  readonly #refused: { readonly line: MemberLine; readonly pid: unknown; readonly text: string }[] =
    []

  constructor(round: number, trouble: Trouble, lines: readonly MemberLine[], random: () => number) {
    super(round, lines, random)
    this.#trouble = trouble
  }

  /** @throws Error with the promise that was broken */
  override async judge(): Promise<void> {
    await super.judge()
    const stayed = this.#refused.find(({ line, pid }) => line.pid === pid)
    if (stayed) this.refute(stayed.text)
    for (const [key, history] of this.#histories) {
      const fault = registerFault(history)
      if (fault) this.refute(`key ${key}: ${fault}: ${JSON.stringify(history)}`)
    }
    for (const [key, { writes, reads }] of this.#placed) {
      const known = writes.map(({ value, position }) => ({ value, lsn: position?.lsn }))
      const fault = reads.map((read) => staleFault(known, read)).find((each) => each !== undefined)
      if (fault) this.refute(`key ${key}: ${fault}: ${JSON.stringify(writes)}`)
    }
    await this.#areCarriedOut()
    let sum = 0
    for (const name of accounts) {
      const { cents, keys } = (await this.#answered('read', `${this.round}-${name}`)) as Account
      sum += cents
      const paid = this.#paid.get(name) ?? new Map<string, number>()
      if (new Set(keys).size !== keys.length) this.refute(`account ${name} took a key twice`)
      const lost = [...paid.keys()].filter((key) => !keys.includes(key))
      if (lost.length > 0) this.refute(`account ${name} has lost ${lost}`)
    }
    const paidIn = [...this.#paid.values()].flatMap((paid) => [...paid.values()])
    const expected = paidIn.reduce((all, cents) => all + cents, 0)
    if (sum !== expected) this.refute(`the accounts have ${sum}, and not ${expected}`)
  }

  async #areCarriedOut(): Promise<void> {
    const until = now() + patienceMs
    for (const key of this.#transfers.keys())
      while ((await this.#answered('status', key)) !== 'done') {
        if (now() > until) this.refute(`the transfer ${key} is not done`)
        await pause(20)
      }
  }

  #pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)] as T
  }

  protected override async client(line: MemberLine): Promise<void> {
    while (!this.isOver) {
      const kind = this.random()
      const key = `${this.round}-${this.#pick(['a', 'b', 'c', 'd', 'e'])}`
      if (kind < 0.2) await this.#write(line, key)
      else if (kind < 0.33) await this.#read(line, key)
      else if (kind < 0.4) await this.#look(line, key)
      else if (kind < 0.6) await this.#swap(line, `${this.round}-${this.#pick(['x', 'y'])}`)
      else if (kind < 0.85) await this.#payIn(line)
      else await this.#transfer(line)
      await pause(5)
    }
  }

  /** Asks one member once. */
  async #ask(line: MemberLine, what: string, ...words: readonly unknown[]): Promise<Answer> {
    const { pid } = line
    const answer = await line.ask(what, ...words)
    const { code } = answer
    if (code === undefined) this.acknowledged++
    if (code === undefined || code === 'GONE') return answer
    const failure = `${what} ${code}`
    this.counts(failure)
    const text = `member ${line.name} has failed: ${failure}: ${answer.message}`
    if (this.#trouble === 'engine') return answer
    if (this.#mayRefuse(code)) this.#refused.push({ line, pid, text })
    else if (!this.#mayFail(what, code)) this.refute(text)
    return answer
  }

  /** Whether a member that closes may say so. One that waits for shards which nobody will have says that they are down. */
  #mayRefuse(code: string): boolean {
    if (code === 'SHARD_DOWN') return this.#trouble === 'all end'
    return code === 'CLOSED' || code === 'NOT_SUBMITTED'
  }

  /** An owner that is killed leaves the outcome of a write open. */
  #mayFail(what: string, code: string): boolean {
    if (what === 'load' || what === 'stale') return true
    return (
      this.#trouble === 'kills' && (what === 'put' || what === 'swap') && code === 'UNKNOWN_OUTCOME'
    )
  }

  /** Asks until it is answered: `line` first, and other members if that one has ended. */
  async #untilAnswered(line: MemberLine, what: string, ...words: readonly unknown[]) {
    const begin = now()
    let asked = line
    for (;;) {
      const { code, value } = await this.#ask(asked, what, ...words)
      if (code === undefined) {
        this.took(begin)
        return value
      }
      asked = this.#pick(this.lines)
      await pause(10)
    }
  }

  #answered(what: string, ...words: readonly unknown[]): Promise<unknown> {
    return this.#untilAnswered(this.#pick(this.lines), what, ...words)
  }

  #note(key: string, operation: RegisterOperation): void {
    const history = this.#histories.get(key) ?? []
    this.#histories.set(key, history)
    history.push(operation)
  }

  async #write(line: MemberLine, key: string): Promise<void> {
    const [value, begin] = [`v${++this.number}`, now()]
    const placed: Placed = { value }
    this.#placedOf(key).writes.push(placed)
    const { code, value: position } = await this.#ask(line, 'put', key, value)
    placed.position = position as Position | undefined
    if (isRefused(code)) return
    this.#note(key, { kind: 'write', value, begin, end: endOf(code) })
  }

  async #read(line: MemberLine, key: string): Promise<void> {
    const begin = now()
    const { code, value } = await this.#ask(line, 'load', key)
    if (code !== undefined) return
    this.#note(key, { kind: 'read', value: value as string | undefined, begin, end: now() })
  }

  /** Reads what may be stale, now and then not before the last acknowledged write. */
  async #look(line: MemberLine, key: string): Promise<void> {
    const { writes, reads } = this.#placedOf(key)
    const last = this.random() < 0.3 ? writes.findLast(({ position }) => position) : undefined
    const { code, value } = await this.#ask(line, 'stale', key, last?.position ?? null)
    if (code !== undefined) return
    const { value: shown, position } = value as { value?: string; position: Position }
    if (position.lsn < (last?.position?.lsn ?? 0))
      this.refute(`key ${key}: a stale read is of lsn ${position.lsn}, before what it asked for`)
    reads.push({ value: shown, lsn: position.lsn })
  }

  #placedOf(key: string): { readonly writes: Placed[]; readonly reads: PlacedRead[] } {
    const placed = this.#placed.get(key) ?? { writes: [], reads: [] }
    this.#placed.set(key, placed)
    return placed
  }

  /** Reads a key and swaps what it has found for something else: of all who found the same, one succeeds. */
  async #swap(line: MemberLine, key: string): Promise<void> {
    const began = now()
    const { code: unread, value: found } = await this.#ask(line, 'load', key)
    if (unread !== undefined) return
    const from = found as string | undefined
    this.#note(key, { kind: 'read', value: from, begin: began, end: now() })
    const [value, begin] = [`v${++this.number}`, now()]
    const { code, value: isSwapped } = await this.#ask(line, 'swap', key, from, value)
    if (isRefused(code) || (code === undefined && isSwapped !== true)) return
    this.#note(key, { kind: 'write', value, begin, end: endOf(code) })
    if (code !== undefined) return
    this.#note(key, { kind: 'read', value: from, begin, end: now() })
    const other = this.#swapped.get(`${key} ${from}`)
    if (other !== undefined) this.refute(`key ${key}: ${other} and ${value} both replaced ${from}`)
    this.#swapped.set(`${key} ${from}`, value)
  }

  async #payIn(line: MemberLine): Promise<void> {
    const name = this.#pick(accounts)
    const [cents, key] = [1 + Math.floor(this.random() * 100), `p${this.round}-${++this.number}`]
    const paid = this.#paid.get(name) ?? new Map<string, number>()
    this.#paid.set(name, paid.set(key, cents))
    await this.#untilAnswered(line, 'add', `${this.round}-${name}`, cents, key)
  }

  async #transfer(line: MemberLine): Promise<void> {
    const key = `t${this.round}-${++this.number}`
    const cents = 1 + Math.floor(this.random() * 100)
    const [from, to] = [this.#pick(accounts), this.#pick(accounts)]
    this.#transfers.set(key, cents)
    const what = { from: `${this.round}-${from}`, to: `${this.round}-${to}`, cents }
    await this.#untilAnswered(line, 'transfer', key, what)
  }
}

/** A write that has had no effect, and never will. */
const isRefused = (code: string | undefined): boolean =>
  code === 'NOT_SUBMITTED' || code === 'BUSY' || code === 'SHARD_DOWN'

const endOf = (code: string | undefined): number =>
  code === undefined ? now() : Number.POSITIVE_INFINITY
