/**
 * Clients of members that share a folder, two at each member, for one round: they begin runs, add jobs, set alarms, append to the
 * journal, write keys and make backups. When the round is over, the ledger of the world outside is judged: what was accepted
 * happened, under one key each; no second of the schedule is left out; and at each member the copy that a watch made, the page and the
 * projection are the same. So it is in the folder that the backup of the round is restored into.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Answer, MemberLine } from '../support/worlds/member-service.ts'
import { pause } from './member-clients.ts'
import { type Known, restoredService } from './restored-flows.ts'
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
  /** With their LSNs. */
  readonly #entries = new Map<string, number>()
  #clients = 0
  /** The last acknowledged number of the key that each client has for itself. */
  readonly #own = new Map<string, number>()
  readonly #shards: number
  /** What was acknowledged when the backup that is in the folder began. */
  #backedUp: Known | undefined
  /** The ledger as it was read last, and its length then. */
  #read: { readonly length: number; readonly of: ReadonlyMap<string, ReadonlySet<string>> } = {
    length: -1,
    of: new Map(),
  }

  constructor(
    round: number,
    lines: readonly MemberLine[],
    place: { readonly dir: string; readonly shards: number },
    random: () => number,
  ) {
    super(round, lines, random)
    this.#dir = place.dir
    this.#shards = place.shards
  }

  /** @throws Error with the promise that was broken */
  override async judge(): Promise<void> {
    await super.judge()
    await Promise.all([
      ...this.#runs.map((id) => this.#judgeRun(id, this.#there)),
      ...this.#alarms.map((id) => this.#judgeAlarm(id, this.#there)),
    ])
    const lacks = (): string[] => [
      ...this.#jobs.filter((id) => this.#keysOf('job', id).size === 0).map((id) => `job ${id}`),
      ...[...this.#entries.keys()]
        .map((id) => `entry ${id}`)
        .filter((what) => !this.#ledger().has(what)),
    ]
    await this.#until('each job has run, and each entry was given', () => lacks().join() || true)
    const twice = this.#jobs.find((id) => this.#keysOf('job', id).size > 1)
    if (twice !== undefined) this.refute(`the job ${twice} has two keys`)
    await this.#judgeTicks()
    await this.#judgeCopies()
    if (!this.#backedUp) await this.#backUp(this.lines[0] as MemberLine)
    await this.#judgeBackup()
  }

  /** The service, wherever it answers. */
  readonly #there: Place = {
    answered: (what, ...words) => this.#answered(what, ...words),
    ledger: () => this.#ledger(),
  }

  /** Restored, the backup has everything that was acknowledged when it began, and goes on. */
  async #judgeBackup(): Promise<void> {
    const known = this.#backedUp
    if (!known) this.refute('no backup was made')
    const restored = await restoredService(this.#dir, this.#shards)
    try {
      const here: Place = {
        answered: async (what, ...words) => {
          const { value, code, message } = await restored.ask(what, ...words)
          if (code !== undefined) this.refute(`restored, ${what} ${words} is ${code}: ${message}`)
          return value
        },
        ledger: () => ledgerIn(restored.dir),
      }
      await Promise.all([
        ...known.runs.map((id) => this.#judgeRun(id, here)),
        ...known.alarms.map((id) => this.#judgeAlarm(id, here)),
      ])
      await this.#until('restored, each job has run', () => {
        const ledger = here.ledger()
        const lacks = known.jobs.filter((id) => ledger.get(`job ${id}`)?.size !== 1)
        return lacks.join() || true
      })
      for (const [id, lsn] of known.entries) {
        const found = await here.answered('append', id)
        if (found !== lsn) this.refute(`restored, the entry ${id} of lsn ${lsn} is at ${found}`)
      }
      for (const [key, number] of known.own) {
        const found = await here.answered('load', key)
        const isNewer = typeof found === 'number' && found >= number && found <= this.number
        if (!isNewer) this.refute(`restored, ${key} has ${found}, and not ${number} or later`)
      }
      await this.#until('restored, the copy and the projection equal the store', async () => {
        const [page, copy, seen] = await Promise.all(
          ['page', 'copy', 'seen'].map(async (what) => sorted(await here.answered(what))),
        )
        return isDeepStrictEqual([copy, seen], [page, page]) || 'they differ'
      })
    } finally {
      await restored.close()
    }
  }

  async #judgeRun(id: string, { answered, ledger }: Place): Promise<void> {
    const keys = (await answered('result', id)) as readonly string[]
    for (const [at, name] of ['charge', 'ship'].entries()) {
      const seen = [...(ledger().get(`step ${id}/${name}`) ?? [])]
      if (seen.length !== 1 || seen[0] !== keys[at])
        this.refute(`${name} of ${id} has the outcome ${keys[at]}, and was asked for as ${seen}`)
    }
  }

  async #judgeAlarm(id: string, { answered }: Place): Promise<void> {
    await this.#until(`the alarm of ${id} has rung once`, async () => {
      const fired = (await answered('fired', id)) as number
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
    const text = ledgerText(this.#dir)
    if (text.length !== this.#read.length) this.#read = { length: text.length, of: keysIn(text) }
    return this.#read.of
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
    const own = `own-${++this.#clients}`
    while (!this.isOver) {
      const kind = this.random()
      const id = `${this.round}-${++this.number}`
      if (kind < 0.4) await this.#write(line)
      else if (kind < 0.55) await this.#begun(this.#runs, line, 'run', id)
      else if (kind < 0.7)
        await this.#begun(this.#jobs, line, 'add', id, `customer-${this.number % 5}`)
      else if (kind < 0.8)
        await this.#begun(this.#alarms, line, 'remind', id, 100 * this.random(), id)
      else if (kind < 0.88) await this.#append(line, id)
      else if (kind < 0.98) await this.#writeOwn(line, own)
      else await this.#backUp(line)
      await pause(5)
    }
  }

  /** Writes a key that others write too. Its outcome may be unknown: what counts is what every copy has in the end. */
  async #write(line: MemberLine): Promise<void> {
    const key = String(Math.floor(this.random() * 40))
    if (this.random() < 0.2) await this.#ask(line, 'remove', key)
    else await this.#ask(line, 'put', key, ++this.number)
  }

  async #append(line: MemberLine, id: string): Promise<void> {
    this.#entries.set(id, (await this.#untilAnswered(line, 'append', id)) as number)
  }

  /** Writes a key that no other client writes: its numbers grow. */
  async #writeOwn(line: MemberLine, key: string): Promise<void> {
    const number = ++this.number
    const { code } = await this.#ask(line, 'put', key, number)
    if (code === undefined) this.#own.set(key, number)
  }

  async #backUp(line: MemberLine): Promise<void> {
    const known: Known = {
      runs: [...this.#runs],
      jobs: [...this.#jobs],
      alarms: [...this.#alarms],
      entries: new Map(this.#entries),
      own: new Map(this.#own),
    }
    const { code } = await this.#ask(line, 'backup', join(this.#dir, 'backup'))
    if (code === undefined) this.#backedUp = known
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

/** A service that answers, and the ledger of what it did to the world outside. */
type Place = {
  readonly answered: (what: string, ...words: readonly unknown[]) => Promise<unknown>
  readonly ledger: () => ReadonlyMap<string, ReadonlySet<string>>
}

const ledgerText = (dir: string): string => {
  const path = join(dir, 'ledger')
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

/** The keys by what happened to which. */
const keysIn = (ledger: string): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  for (const line of ledger.split('\n')) {
    const [what, which, key = ''] = line.split(' ')
    const keys = found.get(`${what} ${which}`) ?? new Set()
    found.set(`${what} ${which}`, keys.add(key))
  }
  return found
}

const ledgerIn = (dir: string): ReadonlyMap<string, ReadonlySet<string>> => keysIn(ledgerText(dir))

const sorted = (entries: unknown): [string, unknown][] =>
  (entries as [string, unknown][]).toSorted(([one], [other]) => (one < other ? -1 : 1))

type Entries = readonly (readonly [string, unknown])[]

/** The entries that one has, and the other has not. */
const differenceOf = (found: Entries, expected: Entries): string => {
  const lacking = (from: Entries, of: Entries) =>
    JSON.stringify(of.filter((entry) => !from.some((each) => isDeepStrictEqual(each, entry))))
  return `lacks ${lacking(found, expected)}, and has ${lacking(expected, found)}`
}
