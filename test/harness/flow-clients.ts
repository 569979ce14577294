/**
 * Clients of members that share a folder, two at each member, for one round: they begin runs, add jobs, set alarms, append to the
 * journal, write keys and make backups. When the round is over, the ledger of the world outside is judged: what was accepted
 * happened, under one key each; no second of the schedule is left out; and at each member the copy that a watch made, the page and the
 * projection are the same.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Answer, MemberLine } from '../support/worlds/member-service.ts'
import { pause } from './member-clients.ts'
import { RoundClients } from './round-clients.ts'

/** Everything that was accepted has happened within this time after its round, in ms. */
const patienceMs = 60_000
const now = (): number => performance.now()

/** What the members have done for clients in one round. */
export class FlowClients extends RoundClients {
  readonly #dir: string
  readonly #runs: string[] = []
  readonly #jobs: string[] = []
  readonly #alarms: string[] = []
  readonly #entries: string[] = []
  /** The ledger as it was read last, and its length then. */
  #read: { readonly length: number; readonly of: ReadonlyMap<string, ReadonlySet<string>> } = {
    length: -1,
    of: new Map(),
  }

  constructor(round: number, lines: readonly MemberLine[], dir: string, random: () => number) {
    super(round, lines, random)
    this.#dir = dir
  }

  /** @throws Error with the promise that was broken */
  override async judge(): Promise<void> {
    await super.judge()
    await Promise.all([
      ...this.#runs.map((id) => this.#judgeRun(id)),
      ...this.#alarms.map((id) => this.#judgeAlarm(id)),
    ])
    const lacks = (): string[] => [
      ...this.#jobs.filter((id) => this.#keysOf('job', id).size === 0).map((id) => `job ${id}`),
      ...this.#entries.map((id) => `entry ${id}`).filter((what) => !this.#ledger().has(what)),
    ]
    await this.#until('each job has run, and each entry was given', () => lacks().join() || true)
    const twice = this.#jobs.find((id) => this.#keysOf('job', id).size > 1)
    if (twice !== undefined) this.refute(`the job ${twice} has two keys`)
    await this.#judgeTicks()
    await this.#judgeCopies()
    await this.#answered('backup', join(this.#dir, 'backup'))
  }

  async #judgeRun(id: string): Promise<void> {
    const keys = (await this.#answered('result', id)) as readonly string[]
    for (const [at, name] of ['charge', 'ship'].entries()) {
      const seen = [...this.#keysOf('step', `${id}/${name}`)]
      if (seen.length !== 1 || seen[0] !== keys[at])
        this.refute(`${name} of ${id} has the outcome ${keys[at]}, and was asked for as ${seen}`)
    }
  }

  async #judgeAlarm(id: string): Promise<void> {
    await this.#until(`the alarm of ${id} has rung once`, async () => {
      const fired = (await this.#answered('fired', id)) as number
      if (fired > 1) this.refute(`the alarm of ${id} has rung ${fired} times`)
      return fired === 1
    })
  }

  /** Each second from the first to the last one has a run, and one. */
  async #judgeTicks(): Promise<void> {
    const ticks = (): number[] =>
      [...this.#ledger().keys()]
        .flatMap((what) => (what.startsWith('tick ') ? [Number(what.slice(5))] : []))
        .sort((one, other) => one - other)
    await this.#until('the schedule has started a run for each second', () => {
      const all = ticks()
      const last = all.at(-1) ?? 0
      return all.length > 0 && last - (all[0] ?? 0) === 1_000 * (all.length - 1)
    })
    const twice = ticks().find((at) => this.#keysOf('tick', String(at)).size > 1)
    if (twice !== undefined) this.refute(`the time ${twice} has two runs`)
  }

  /** Every member has the same copy, once the last changes have come to it. */
  async #judgeCopies(): Promise<void> {
    const marks = Array.from({ length: 64 }, (_, at) => `mark-${at}`)
    await Promise.all(marks.map((key) => this.#answered('put', key, `round ${this.round}`)))
    const sorted = (entries: unknown) =>
      (entries as [string, unknown][]).toSorted(([one], [other]) => (one < other ? -1 : 1))
    const page = sorted(await this.#answered('page'))
    for (const line of this.lines)
      for (const what of ['copy', 'page', 'seen'])
        await this.#until(`${what} at ${line.name} equals the store`, async () => {
          const { code, value, message } = await line.ask(what)
          if (code !== undefined) return `${code}: ${message}`
          return isDeepStrictEqual(sorted(value), page) || differenceOf(sorted(value), page)
        })
  }

  /** The keys by what happened to which. */
  #ledger(): ReadonlyMap<string, ReadonlySet<string>> {
    const path = join(this.#dir, 'ledger')
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (text.length === this.#read.length) return this.#read.of
    const found = new Map<string, Set<string>>()
    for (const line of text.split('\n')) {
      const [what, which, key = ''] = line.split(' ')
      const keys = found.get(`${what} ${which}`) ?? new Set()
      found.set(`${what} ${which}`, keys.add(key))
    }
    this.#read = { length: text.length, of: found }
    return found
  }

  #keysOf(what: string, which: string): ReadonlySet<string> {
    return this.#ledger().get(`${what} ${which}`) ?? new Set()
  }

  /** Waits until `holds` answers true, and says otherwise what it answered last. */
  async #until(
    claim: string,
    holds: () => boolean | string | Promise<boolean | string>,
  ): Promise<void> {
    const until = now() + patienceMs
    for (;;) {
      const found = await holds()
      if (found === true) return
      if (now() > until) this.refute(`not within ${patienceMs} ms: ${claim}: ${found}`)
      await pause(50)
    }
  }

  protected override async client(line: MemberLine): Promise<void> {
    while (!this.isOver) {
      const kind = this.random()
      const id = `${this.round}-${++this.number}`
      if (kind < 0.4) await this.#write(line)
      else if (kind < 0.55) await this.#begun(this.#runs, line, 'run', id)
      else if (kind < 0.7)
        await this.#begun(this.#jobs, line, 'add', id, `customer-${this.number % 5}`)
      else if (kind < 0.8)
        await this.#begun(this.#alarms, line, 'remind', id, 100 * this.random(), id)
      else if (kind < 0.98) await this.#begun(this.#entries, line, 'append', id)
      else await this.#ask(line, 'backup', join(this.#dir, 'backup'))
      await pause(5)
    }
  }

  /** Writes a key that others write too. Its outcome may be unknown: what counts is what every copy has in the end. */
  async #write(line: MemberLine): Promise<void> {
    const key = String(Math.floor(this.random() * 40))
    if (this.random() < 0.2) await this.#ask(line, 'remove', key)
    else await this.#ask(line, 'put', key, ++this.number)
  }

  async #begun(
    accepted: string[],
    line: MemberLine,
    what: string,
    id: string,
    ...words: unknown[]
  ) {
    const begin = now()
    await this.#untilAnswered(line, what, id, ...words)
    this.took(begin)
    accepted.push(id)
  }

  /** Asks one member once. */
  async #ask(line: MemberLine, what: string, ...words: readonly unknown[]): Promise<Answer> {
    const answer = await line.ask(what, ...words)
    const { code, message } = answer
    if (code === undefined) this.acknowledged++
    else if (!/^[A-Z_]+$/.test(code)) this.refute(`${what} has failed: ${code}: ${message}`)
    else if (code !== 'GONE') {
      this.counts(`${what} ${code}`)
    }
    return answer
  }

  /** Asks until it is answered: `line` first, and other members if that one has failed. */
  async #untilAnswered(line: MemberLine, what: string, ...words: readonly unknown[]) {
    const until = now() + 2 * patienceMs
    let asked = line
    for (;;) {
      const { code, value, message } = await this.#ask(asked, what, ...words)
      if (code === undefined) return value
      if (now() > until) this.refute(`${what} ${words} is not answered: ${code}: ${message}`)
      asked = this.lines[Math.floor(this.random() * this.lines.length)] as MemberLine
      await pause(20)
    }
  }

  #answered(what: string, ...words: readonly unknown[]): Promise<unknown> {
    return this.#untilAnswered(this.lines[0] as MemberLine, what, ...words)
  }
}

type Entries = readonly (readonly [string, unknown])[]

/** The entries that one has, and the other has not. */
const differenceOf = (found: Entries, expected: Entries): string => {
  const lacking = (from: Entries, of: Entries) =>
    JSON.stringify(of.filter((entry) => !from.some((each) => isDeepStrictEqual(each, entry))))
  return `lacks ${lacking(found, expected)}, and has ${lacking(expected, found)}`
}
