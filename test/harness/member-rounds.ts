/**
 * Rounds of trouble for `keelson run --members` on one folder, while clients are at every member: a member is killed, stopped for
 * shorter or longer than `stuckMs`, or asked to end; all members are killed at once, the parent too, or the parent alone; the
 * members restart one after another; a member is killed while the disk is full. `MemberClients` judge keys and accounts after each
 * round, `FlowClients` what flows did to the world outside.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/clock.ts'
import { noSmallDisk } from '../support/harm/small-disk.ts'
import { type MemberLine, MemberService } from '../support/worlds/member-service.ts'
import { FlowClients } from './flow-clients.ts'
import { MemberClients, pause, type Trouble } from './member-clients.ts'

const names = ['a', 'b', 'c', 'd']
const shards = 16
const stuckMs = 3_000
/** All shards are open again within this time, in ms. */
const patienceMs = 60_000

/** The troubles of a round, and what happens to members in it. */
const troubles = {
  'killed member': 'kills',
  'ended member': 'ends',
  'stuck member': 'kills',
  'paused member': 'ends',
  'rolling restart': 'ends',
  'all members killed': 'kills',
  'killed service': 'kills',
  'killed parent': 'all end',
  'full disk': 'kills',
} as const satisfies Record<string, Trouble>
/** A kind of trouble. */
export type MemberTrouble = keyof typeof troubles

/** The names of the troubles for clients of flows, as far as this machine can make them. */
export const flowTroubles = (Object.keys(troubles) as MemberTrouble[]).filter(
  (trouble) => trouble !== 'full disk' || noSmallDisk === undefined,
)

/** The names of the troubles for clients of keys. Their folder has the disk of this machine. */
export const memberTroubles = flowTroubles.filter((trouble) => trouble !== 'full disk')

/** What happened in the rounds with one kind of trouble. */
export type TroubleFacts = {
  /** For each round, the longest time of a call with an id, in ms. */
  readonly longestMs: number[]
  /** How often members have failed to answer, by what was asked for and by the code. */
  readonly failures: Record<string, number>
}

/** What happened in all rounds. */
export type MemberRounds = {
  acknowledged: number
  readonly of: Partial<Record<MemberTrouble, TroubleFacts>>
}

/** The options of the rounds. */
export type MemberRoundOptions = {
  readonly rounds: number
  readonly seed: number
  /** The trouble of each round. Without it, the rounds take one after another. */
  readonly trouble?: MemberTrouble | undefined
  /** Without `trouble`: how many troubles the first round leaves out. */
  readonly from?: number
  /** What the clients use: keys and accounts, or flows; `keys` by default. */
  readonly work?: 'keys' | 'flows'
  readonly progress: (done: number, facts: MemberRounds) => void
}

/** Clients of one round, and what they have seen. */
type Clients = Pick<
  MemberClients,
  'begin' | 'end' | 'judge' | 'acknowledged' | 'failures' | 'longestMs'
>

/** The service, and what happened to it. */
class World {
  readonly facts: MemberRounds = { acknowledged: 0, of: {} }
  readonly #service: MemberService
  readonly #dir: string
  readonly #random: () => number
  readonly #clients: (number: number, kind: Trouble) => Clients

  constructor(service: MemberService, dir: string, seed: number, work: 'keys' | 'flows') {
    this.#service = service
    this.#dir = dir
    const random = seededRandom(seed)
    this.#random = random
    const { lines } = service
    this.#clients = (number, kind) =>
      work === 'keys'
        ? new MemberClients(number, kind, lines, random)
        : new FlowClients(number, lines, { dir, shards }, random)
  }

  async round(number: number, trouble: MemberTrouble): Promise<void> {
    await this.#untilWhole()
    const clients = this.#clients(number, troubles[trouble])
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

  #carryOut(trouble: MemberTrouble): Promise<void> {
    const { lines } = this.#service
    const struck = lines[Math.floor(this.#random() * lines.length)] as MemberLine
    if (trouble === 'killed member') return this.#replaced([struck], 'SIGKILL')
    if (trouble === 'ended member') return this.#replaced([struck], 'SIGTERM')
    if (trouble === 'stuck member') return this.#replaced([struck], 'SIGSTOP')
    if (trouble === 'all members killed') return this.#replaced(lines, 'SIGKILL')
    if (trouble === 'paused member') return this.#paused(struck)
    if (trouble === 'rolling restart') return this.#rolled()
    if (trouble === 'killed parent') return this.#orphaned()
    if (trouble === 'full disk') return this.#full(struck)
    return this.#killedService()
  }

  /** Other processes have come in the place of those that got a signal. */
  async #replaced(lines: readonly MemberLine[], signal: NodeJS.Signals): Promise<void> {
    const before = lines.map(({ pid }) => pid)
    for (const line of lines) line.signal(signal)
    await this.#until(
      () => lines.every(({ pid }, at) => pid !== undefined && pid !== before[at]),
      `members are replaced after ${signal}`,
    )
  }

  async #paused(line: MemberLine): Promise<void> {
    line.signal('SIGSTOP')
    await pause(100 + 1_000 * this.#random())
    line.signal('SIGCONT')
  }

  async #rolled(): Promise<void> {
    const { lines } = this.#service
    const before = lines.map(({ pid }) => pid)
    this.#service.signal('SIGHUP')
    await this.#until(
      () => lines.every(({ pid }, at) => pid !== undefined && pid !== before[at]),
      'all members have restarted',
    )
  }

  async #killedService(): Promise<void> {
    const { lines } = this.#service
    this.#service.signal('SIGKILL')
    for (const line of lines) line.signal('SIGKILL')
    await this.#service.ended()
    await this.#service.start()
  }

  /** The parent is killed: its members end in order by themselves. */
  async #orphaned(): Promise<void> {
    this.#service.signal('SIGKILL')
    await this.#service.ended()
    await this.#service.start()
  }

  /** A member is killed while the disk is full, and there is space again some time after its shards were taken over. */
  async #full(line: MemberLine): Promise<void> {
    const filling = join(this.#dir, 'data', 'filling')
    for (let bytes = 1 << 24; bytes >= 1 << 12; bytes >>= 2) fill(filling, bytes)
    line.signal('SIGKILL')
    await pause(1_500 + 1_500 * this.#random())
    rmSync(filling)
  }

  /** Waits until each member answers, and each shard is open at one of them. */
  async #untilWhole(): Promise<void> {
    await this.#until(async () => {
      const answers = await Promise.all(this.#service.lines.map((line) => line.ask('shards')))
      if (answers.some(({ code }) => code !== undefined)) return false
      const open = answers.flatMap(({ value }) => value as readonly number[])
      return open.length === shards && new Set(open).size === shards
    }, 'each shard is open at one member')
  }

  async #until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const until = performance.now() + patienceMs
    while (!(await isSo())) {
      if (performance.now() > until)
        throw new Error(`not within ${patienceMs} ms: ${what}\n${this.#service.log}`)
      await pause(20)
    }
  }
}

/** Appends pieces of so many bytes until the disk takes no more. */
const fill = (file: string, bytes: number): void => {
  try {
    for (;;) writeFileSync(file, Buffer.alloc(bytes, 1), { flag: 'a' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

/** A disk of its own for the data, which can be filled. Answers how it is taken away. */
const ownDisk = (dir: string): (() => void) => {
  if (noSmallDisk !== undefined) return () => undefined
  mkdirSync(join(dir, 'data'))
  const mount = ['-t', 'tmpfs', '-o', 'size=400m', 'keelson-members', join(dir, 'data')]
  execFileSync('mount', mount)
  return () => void execFileSync('umount', ['-l', join(dir, 'data')])
}

/** Carries out the rounds, and ends the service in order. @throws Error with the promise that was broken */
export const memberRounds = async (options: MemberRoundOptions): Promise<MemberRounds> => {
  const { rounds, seed, trouble, from = 0, work = 'keys', progress } = options
  const dir = mkdtempSync(join(tmpdir(), 'keelson-members-'))
  const variables = { LEDGER: join(dir, 'ledger') }
  const program = work === 'keys' ? 'members-service.mjs' : 'members-flows.mjs'
  const service = new MemberService({ dir, names, shards, stuckMs, program, variables })
  const removeDisk = work === 'flows' ? ownDisk(dir) : () => undefined
  try {
    await service.start()
    const world = new World(service, dir, seed, work)
    for (let number = 1; number <= rounds; number++) {
      const all = work === 'flows' ? flowTroubles : memberTroubles
      const drawn = all[(from + number - 1) % all.length] as MemberTrouble
      await world.round(number, trouble ?? drawn).catch((cause) => {
        throw new Error(`seed ${seed}, ${trouble ?? drawn}: ${String(cause)}\n${service.log}`, {
          cause,
        })
      })
      progress(number, world.facts)
    }
    service.signal('SIGTERM')
    const status = await service.ended()
    if (status !== 0) throw new Error(`the service ended with ${status}: ${service.log}`)
    return world.facts
  } finally {
    await service.kill()
    removeDisk()
    rmSync(dir, { recursive: true, force: true })
  }
}
