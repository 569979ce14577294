/**
 * Rounds of trouble for three members that share the shards of a PostgreSQL server with a synchronous standby, while clients are
 * at every member: a member is killed, ended, stopped or cut off from the engine for shorter or longer than its lease; the
 * links between members are cut; the engine is killed; its standby is promoted. What is judged after each round is what `member-rounds.ts` judges.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/clock.ts'
import { freePorts } from '../support/worlds/free-ports.ts'
import { MemberLine } from '../support/worlds/member-service.ts'
import { MemberLink, PostgresPair } from '../support/worlds/postgres-pair.ts'
import { MemberClients, pause } from './member-clients.ts'

const names = ['a', 'b', 'c']
const shards = 12
/** All shards are open again within this time, in ms. */
const patienceMs = 120_000

/** The kinds of trouble. */
export const spreadTroubles = [
  ...['killed member', 'stopped member', 'cut member', 'ended member'],
  ...['killed member', 'stopped member', 'cut links', 'killed engine', 'promotion'],
] as const
/** A kind of trouble. */
export type SpreadTrouble = (typeof spreadTroubles)[number]

/** What happened in the rounds with one kind of trouble. */
export type SpreadFacts = {
  /** For each round, the longest time of a call with an id, in ms. */
  readonly longestMs: number[]
  /** How often members have failed to answer, by what was asked for and by the code. */
  readonly failures: Record<string, number>
}

/** What happened in all rounds. */
export type SpreadRounds = {
  acknowledged: number
  readonly of: Record<string, SpreadFacts>
}

/** The options of the rounds. */
export type SpreadRoundOptions = {
  readonly rounds: number
  readonly seed: number
  readonly leaseMs: number
  /** The trouble of each round. Without it, the rounds take one after another. */
  readonly trouble?: SpreadTrouble | undefined
  readonly progress: (done: number, facts: SpreadRounds) => void
}

/** One member, which `keelson run` starts again after it was replaced. */
class SpreadMember {
  /** Its connections to the engine. */
  readonly link: MemberLink
  /** The connections of the others to it. */
  readonly links: MemberLink
  readonly line: MemberLine
  log = ''
  readonly #dir: string
  readonly #cluster: object
  #child: ChildProcess | undefined

  constructor(dir: string, name: string, [link, links]: [MemberLink, MemberLink], cluster: object) {
    this.#dir = dir
    this.link = link
    this.links = links
    this.line = new MemberLine(name, join(dir, 'sockets'))
    const advertise = links.address
    this.#cluster = { member: name, connectionString: link.url, advertise, ...cluster }
  }

  start(): void {
    const words = ['dist/inspect/cli/cli.js', 'run', 'test/support/programs/members-service.mjs']
    const own = {
      ...{ SOCKETS: join(this.#dir, 'sockets'), SHARDS: String(shards), STUCK_MS: '0' },
      ...{ KEELSON_MEMBER: this.line.name, SPREAD: JSON.stringify(this.#cluster) },
    }
    const dir = join(this.#dir, this.line.name)
    this.#child = spawn(process.execPath, [...words, '--dir', dir], {
      env: { ...process.env, ...own },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child.stderr?.on('data', (text) => {
      this.log = (this.log + text).slice(-4_000)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends by a signal. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}

/** All of it. */
class World {
  readonly facts: SpreadRounds = { acknowledged: 0, of: {} }
  readonly #pair: PostgresPair
  readonly #members: readonly SpreadMember[]
  readonly #random: () => number
  readonly #leaseMs: number

  constructor(pair: PostgresPair, members: readonly SpreadMember[], options: SpreadRoundOptions) {
    this.#pair = pair
    this.#members = members
    this.#random = seededRandom(options.seed)
    this.#leaseMs = options.leaseMs
  }

  async round(number: number, trouble: SpreadTrouble): Promise<void> {
    await this.#untilWhole()
    const lines = this.#members.map(({ line }) => line)
    // On a busy machine any member may lose its lease, in any round.
    const clients = new MemberClients(number, 'engine', lines, this.#random)
    clients.begin()
    await pause(200 + this.#random() * 300)
    await this.#carryOut(trouble)
    await this.#untilWhole()
    await pause(200)
    await clients.end()
    await clients.judge()
    const facts = this.facts.of[trouble] ?? { longestMs: [], failures: {} }
    this.facts.of[trouble] = facts
    facts.longestMs.push(clients.longestMs)
    for (const [failure, count] of clients.failures)
      facts.failures[failure] = (facts.failures[failure] ?? 0) + count
    this.facts.acknowledged += clients.acknowledged
  }

  async #carryOut(trouble: SpreadTrouble): Promise<void> {
    const struck = this.#members[Math.floor(this.#random() * names.length)] as SpreadMember
    const longMs = this.#leaseMs * (0.3 + 2.7 * this.#random())
    if (trouble === 'killed engine') return this.#pair.restart(longMs / 2)
    if (trouble === 'promotion') return this.#pair.promote()
    if (trouble === 'stopped member') {
      struck.signal('SIGSTOP')
      await pause(longMs)
      struck.signal('SIGCONT')
    } else if (trouble === 'cut links') {
      // Of three members one or all have no link to another one then.
      const cut = this.#random() < 0.5 ? [struck] : this.#members
      for (const { links } of cut) links.cut()
      await pause(longMs)
      for (const { links } of cut) links.mend()
    } else if (trouble === 'cut member') {
      struck.link.cut()
      await pause(longMs)
      struck.link.mend()
    } else {
      await struck.end(trouble === 'ended member' ? 'SIGTERM' : 'SIGKILL')
      await pause(longMs * this.#random())
      struck.start()
    }
  }

  /** Waits until each member answers and has shards, and each shard is open at one of them. */
  async #untilWhole(): Promise<void> {
    const until = performance.now() + patienceMs
    for (;;) {
      const answers = await Promise.all(this.#members.map(({ line }) => line.ask('shards')))
      const open = answers.map(({ value }) => (value as readonly number[] | undefined) ?? [])
      const isWhole = open.flat().length === shards && new Set(open.flat()).size === shards
      if (isWhole && open.every(({ length }) => length > 0)) return
      if (performance.now() > until)
        throw new Error(`not within ${patienceMs} ms: each shard is open: ${JSON.stringify(open)}`)
      await pause(20)
    }
  }
}

/** Carries out the rounds. @throws Error with the promise that was broken */
export const spreadRounds = async (options: SpreadRoundOptions): Promise<SpreadRounds> => {
  const { rounds, seed, leaseMs, trouble, progress } = options
  const dir = mkdtempSync(join(tmpdir(), 'keelson-spread-'))
  mkdirSync(join(dir, 'sockets'))
  const members: SpreadMember[] = []
  let pair: PostgresPair | undefined
  try {
    pair = await PostgresPair.start(dir)
    const ports = await freePorts(names.length)
    for (const [at, name] of names.entries()) {
      const cluster = {
        ...{ name: 'shop', placement: 'spread', copies: 2, leaseMs, secret: 's'.repeat(32) },
        listen: `127.0.0.1:${ports[at]}`,
      }
      const port = ports[at] as number
      const links = new MemberLink(() => ({ host: '127.0.0.1', port }))
      await links.open()
      const member = new SpreadMember(dir, name, [await pair.link(), links], cluster)
      members.push(member)
      member.start()
    }
    const world = new World(pair, members, options)
    for (let number = 1; number <= rounds; number++) {
      const drawn = spreadTroubles[(number - 1) % spreadTroubles.length] as SpreadTrouble
      await world.round(number, trouble ?? drawn).catch((cause) => {
        const logs = members.map(({ line, log }) => `${line.name}: ${log}`).join('\n')
        throw new Error(`seed ${seed}, ${trouble ?? drawn}: ${String(cause)}\n${logs}`, { cause })
      })
      progress(number, world.facts)
    }
    return world.facts
  } finally {
    for (const { line } of members) line.close()
    await Promise.all(members.map((member) => member.end('SIGKILL')))
    for (const { links } of members) await links.close()
    await pair?.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}
