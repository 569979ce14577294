/**
 * One random life of two or three members of a cluster, from one seed: the production code of `start({ cluster })` over a
 * simulated engine that loses, delays and repeats requests. Processes stop for longer than a lease, die and begin again with or
 * without their cache; links are cut, the engine restarts, loses what it had acknowledged, or passes to a newer version. The
 * clocks of processes run at rates that differ by less than 10 %. A life throws with the names of the promises that were broken.
 */
import '../worlds/loaded-members.ts'
import { seededRandom } from '../../../src/clock.ts'
import { type App, isKeelsonError } from '../../../src/index.ts'
import { decodeGroup, encodeGroup } from '../../../src/members/engine-log/group-frames.ts'
import { markAt } from '../../../src/members/engine-log/owned-log.ts'
import type { EngineSnapshot } from '../../../src/storage/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { MemberClaims, markOf } from '../models/member-claims.ts'
import { MemberProcess } from '../worlds/member-process.ts'
import { misreadings } from '../worlds/misreadings.ts'
import { fillFor, setClock, unevenClock } from '../worlds/nasty-machine.ts'
import { SimulatedEngine } from '../worlds/simulated-engine.ts'
import { type Account, accounts, accountTree, emptyAccount } from './member-accounts.ts'
import { type Client, codeOf, ids, keys, MemberClients } from './member-clients.ts'

/** What happened in a life, counted. */
export type MemberTally = Record<string, number>

const leaseMs = 1_000
const faults = { lostRequest: 0.02, lostAnswer: 0.04, late: 0.04, lateMs: 60, repeated: 0.04 }
/** The rates of clocks: the fastest is 9.9 % faster than the slowest. */
const [slowest, fastest] = [0.953, 1.0474]
const snapshots = { minLogBytes: 2_048, ratio: 0 }

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveMembers = async (seed: number): Promise<MemberTally> => {
  const life = new MemberLife(seed)
  await life.live()
  return life.tally
}

class MemberLife {
  readonly tally: MemberTally = { lives: 1 }
  readonly clock
  readonly engine: SimulatedEngine
  readonly claims: MemberClaims
  readonly clients = new MemberClients(this)
  readonly #random: () => number
  readonly #seed: number
  readonly #shards: number
  readonly #machines = new Map<string, SimulatedMachine>()
  readonly #members: Member[] = []
  /** The logs that have lost commits, and their ends then. */
  #lost = new Map<string, number>()
  #isEnding = false
  /** The one member that may read the engine wrongly. */
  #misreader: string | undefined
  /** Ends the present failover. */
  #promotes = (): void => undefined

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.clock = unevenClock(seed)
    this.engine = new SimulatedEngine({ clock: this.clock, seed, faults })
    this.claims = new MemberClaims(() => this.clock.monotonic(), leaseMs)
    this.#shards = this.pick([1, 1, 2])
    this.engine.witness = {
      appended: (log, group) => {
        this.count('groups')
        const { logId } = this.engine.kept('c', log).head
        const { frames } = decodeGroup(logId, group)
        this.claims.appended(
          log,
          group,
          frames.map(({ at, length }) => group.bytes.subarray(at, at + length)),
        )
      },
    }
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T
  }

  count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  get #living(): Member[] {
    return this.#members.filter(({ process }) => process.isAlive)
  }

  async live(): Promise<void> {
    for (const name of this.pick([
      ['a', 'b'],
      ['a', 'b', 'c'],
    ]))
      this.#begin(name)
    const rounds = this.pick([4, 6, 8])
    const last = this.pick(['calm', 'calm', 'calm', 'loss', 'loss', 'newer'] as const)
    for (let round = 0; round < rounds; round++) {
      await this.#run(2 * leaseMs * this.#random())
      this.#trouble()
    }
    this.#promotes()
    if (last === 'loss') await this.#lose()
    else if (last === 'newer') await this.#passToNewer()
    else await this.#calm()
    for (const { process } of this.#members) process.die()
    for (const [fault, times] of Object.entries(this.engine.injected))
      this.tally[`fault: ${fault}`] = times
    if (this.claims.refuted.size > 0) throw new Error([...this.claims.refuted].join('\n'))
  }

  async #run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 25) {
      await this.clock.advance(25)
      const owners = this.#living.filter(({ isOwner }) => isOwner)
      this.claims.refute(owners.length > 1, 'M4: two members would answer reads at one moment')
      this.#checkSnapshots()
    }
  }

  // Members.

  #begin(name: string): void {
    const machine = this.#machines.get(name) ?? new SimulatedMachine({ clock: this.clock })
    this.#machines.set(name, machine)
    const process = new MemberProcess({
      ...{ name, machine, engine: this.engine, base: this.clock, leaseMs },
      rate: slowest + (fastest - slowest) * this.#random(),
      aheadMs: this.pick([-4_000, 0, 0, 3_000]),
      seed: this.#seed,
      witness: {
        sends: (...sent) => this.claims.sends(...sent),
        acknowledged: (...ack) => this.claims.acknowledged(...ack),
        names: (_, file, isReadBack) => {
          this.count('snapshots')
          this.claims.refute(!isReadBack, `M8: ${file} was named, and was not read back`)
        },
      },
    })
    this.#members.push(new Member(process, this))
  }

  /** One trouble. */
  #trouble(): void {
    // At times longer than the patience of those who ask an engine.
    const ms = this.pick([3, 3, 3, 8]) * leaseMs * this.#random()
    const member = this.pick(this.#living)
    const troubles: Record<string, () => void> = {
      'cut link': () => member?.process.cut(ms),
      stop: () => member?.process.stop(ms),
      close: () => void member?.app?.close({ deadlineMs: this.pick([0, 500]) }),
      kill: () => member && this.#kill(member),
      'power cut': () => member && this.#kill(member, 'power'),
      'engine restart': () => this.engine.restart(ms),
      failover: () => this.#failOver(ms / 2),
      misreading: () => member && this.#misread(member.process, ms),
      'clock set': () => void setClock(this.clock, this.#random),
      'full disk': () => member && fillFor(member.process.machine.disk, this.clock, ms),
    }
    const what = this.pick([...Object.keys(troubles), 'stop', 'stop', 'kill', 'cut link'])
    this.count(`trouble: ${what}`)
    troubles[what]?.()
  }

  /**
   * One member reads the engine wrongly for a while, in one way. Nothing that it says of it may hold for the others. Of two who
   * misread, one would be the witness of the other.
   */
  #misread(process: MemberProcess, ms: number): void {
    this.#misreader ??= process.name
    if (this.#misreader !== process.name) return
    const [how, misreading] = this.pick(Object.entries(misreadings))
    this.count(`misreading: ${how}`)
    process.misreading = misreading
    process.hasMisread = true
    this.clock.after(ms, () => {
      process.misreading = undefined
    })
  }

  /** A primary without its standby shows what it does, and acknowledges nothing. Then the standby takes over. */
  #failOver(ms: number): void {
    if (this.engine.isAlone) return
    const copy = this.engine.copy('c')
    this.claims.alone()
    this.engine.isAlone = true
    this.#promotes = () => {
      this.#promotes = () => undefined
      this.engine.isAlone = false
      this.engine.promote('c', copy)
      this.engine.restart(this.pick([5, 300]))
      this.claims.goesBack()
    }
    this.clock.after(ms, () => this.#promotes())
  }

  #kill({ process: { name, machine }, process }: Member, how: 'process' | 'power' = 'process') {
    process.die()
    const { disk, projections } = machine
    if (how === 'power') {
      disk.crash()
      for (let shard = 0; shard < this.#shards; shard++)
        projections.loseCommits(`/data/shard-${shard}/lmdb`, this.pick([0, 1, 3]))
    } else disk.killProcess()
    if (this.#random() < 0.5) this.emptyCache(name)
    this.clock.after(3 * leaseMs * this.#random(), () => this.#begin(name))
  }

  /** A start was refused. */
  refused(error: unknown, { hasMisread }: MemberProcess): void {
    this.count(`start: ${codeOf(error)}`)
    const isFalse = codeOf(error) === 'CORRUPT' && !this.claims.isLost && !hasMisread
    this.claims.refute(isFalse, `M7: nothing was lost, and a start was refused: ${error}`)
  }

  /** Removes everything that the machine of a member keeps. */
  emptyCache(name: string): void {
    this.count('emptied caches')
    const { disk, projections } = this.#machines.get(name) as SimulatedMachine
    for (let shard = 0; shard < this.#shards; shard++)
      projections.remove(`/data/shard-${shard}/lmdb`)
    if (disk.entry('/data')) disk.remove('/data')
  }

  /** The options of an instance, for one process. */
  optionsOf(process: MemberProcess) {
    const kind = accounts({
      charges: (number, key) => {
        this.count('charges')
        this.claims.charged(process, number, key)
      },
      bankMs: () => this.pick([0, 0, 5, 100]),
    })
    const told = (number: number): void => {
      this.count('messages')
      this.claims.leaves(process, markOf('add', number), 'was told')
    }
    const app = accountTree(kind, told)
    const lmdb = this.pick([
      { trickleMs: 0 },
      { intervalMs: 5, quietMs: 2, maxLagMs: 20, trickleMs: 0 },
    ])
    const options = { shards: this.#shards, app, snapshot: snapshots, lmdb }
    return { kind, options }
  }

  // Ends.

  /** Every trouble ends: one member owns, everything accepted happens, and a new member has it. */
  async #calm(): Promise<void> {
    await this.#run(11 * leaseMs)
    const before = this.claims.places.size
    await this.#run(2 * leaseMs)
    this.claims.refute(this.claims.places.size === before, 'nobody writes after the last trouble')
    this.#isEnding = true
    await this.#run(5.5 * leaseMs)
    this.claims.refute(
      this.#living.some(({ pending }) => pending > 0),
      'M3: a call was never settled',
    )
    const shards = this.#living.flatMap(({ app }) => app?.shards ?? [])
    const isDown = shards.some(({ phase }) => phase.kind !== 'open')
    this.claims.refute(isDown, 'M7: nothing was lost, and a shard is down')
    this.claims.areSettled(this.clients.additions.map(({ number }) => number))
    for (const { app } of this.#living) void app?.close()
    await this.clock.advance(2 * leaseMs)
    for (const { process } of this.#living) process.die()
    await this.#checkNewcomer()
  }

  /** A member without a cache shows everything that took effect. */
  async #checkNewcomer(): Promise<void> {
    this.#begin('new')
    await this.clock.advance(4 * leaseMs)
    const { app, kind, process } = this.#members.at(-1) as Member
    if (!app) return this.claims.refute(true, 'M8: a new member has not started')
    for (const key of keys) {
      const found = app.store.get<string>(key)
      const newest = this.claims.newestOf(key)
      this.claims.refute(found !== newest, `M2: a new member has ${found} of ${key}, not ${newest}`)
    }
    for (const id of ids) {
      const account = (app.entity(kind).state(id) ?? emptyAccount) as Account
      this.clients.reads(process, id, account, this.claims.begins())
      const marks = this.clients.additions
        .filter((each) => each.id === id)
        .map(({ number }) => number)
      const count = marks.filter((number) => this.claims.places.has(markOf('add', number))).length
      const is = `${account.count} and ${account.paid} paid`
      const isRight = account.count === count && account.paid === count
      this.claims.refute(!isRight, `M6: account ${id} has counted ${is}, not ${count}`)
    }
  }

  /** The engine goes back to what it was: who knows more acknowledges nothing any more. */
  async #lose(): Promise<void> {
    const copy = this.engine.copy('c')
    await this.#run(this.pick([40, 300, 2_000]))
    // Somebody who knows may come back when others have written on.
    const victims = this.#living.filter(({ app }) => app || this.#random() < 0.3)
    if (victims.length > 0 && this.#random() < 0.6) this.#kill(this.pick(victims))
    const lost = [...copy.logs].map(([log, { head }]) => [log, head.end.lsn] as const)
    const isLost = lost.some(([log, lsn]) => this.claims.endLsn(log) > lsn)
    if (!isLost) return
    this.count('lost commits')
    this.claims.isLost = true
    this.engine.promote('c', copy)
    this.engine.restart(this.pick([10, 1_500]))
    this.#lost = new Map(lost)
    for (const { process, app } of this.#living) {
      const known = this.claims.logsOf(process)
      const logs = lost.filter(([log, lsn]) => app && (known.get(log) ?? 0) > lsn)
      process.lost = new Set(logs.map(([log]) => log))
      if (logs.length > 0) this.count('owners of lost commits')
    }
    await this.#run(8 * leaseMs)
    for (const { process, app } of this.#living)
      for (const { index, phase } of app?.shards ?? []) {
        const isSilent = process.lost.has(`${index}`) && phase.kind === 'open'
        this.claims.refute(isSilent, `M7: ${process.name} has not found the loss of log ${index}`)
      }
  }

  /** The logs of which the cache of a member shows what the engine has lost. */
  async lostIn({ projections }: SimulatedMachine): Promise<ReadonlySet<string>> {
    const found = new Set<string>()
    for (const log of this.#lost.keys()) {
      const examined = await projections.examine(`/data/shard-${log}/lmdb`)
      const position = examined.state === 'sound' ? examined.position : undefined
      const { head, groups } = this.engine.kept('c', log)
      if (!position?.frame || position.lsn <= head.trimmed.lsn) continue
      const { lsn, frame } = position
      const group = groups.find(({ end, after }) => after.lsn < lsn && lsn <= end.lsn)
      const mark = group && markAt({ group, content: decodeGroup(head.logId, group) }, lsn)
      if (mark?.time !== frame.time || mark.crc !== frame.crc) found.add(log)
    }
    if (found.size > 0) this.count('caches of lost commits')
    return found
  }

  /** A member of a newer version has owned the log, and has written what this one cannot read. */
  async #passToNewer(): Promise<void> {
    const session = this.engine.connect('c')
    for (let shard = 0; shard < this.#shards; shard++) {
      const log = session.log(`${shard}`)
      if (!this.engine.inside('c').logs.has(`${shard}`)) return
      for (let isThere = false; !isThere; ) {
        const { head, groups } = this.engine.kept('c', `${shard}`)
        const { logId, end: after } = head
        const end = { epoch: after.epoch + 1, lsn: after.lsn + 1, id: `newer-${after.lsn + 1}` }
        // The clock may have been set back since.
        const time = Math.max(this.claims.lastTime(`${shard}`), this.clock.now() + 10_000)
        const content = { time, bytesBefore: 0 }
        const place = { after, end, provenLsn: after.lsn }
        const bytes = encodeGroup(logId, place, {
          ...content,
          payloads: new Uint8Array(0),
          lengths: [],
        })
        const appended = log.append({ ...place, bytes }, 1 << 20)
        appended.catch(() => undefined)
        await this.clock.advance(100)
        isThere = groups.some(({ end: { id } }) => id === end.id)
      }
    }
    this.count('newer versions')
    this.claims.newer()
    await this.#run(4 * leaseMs)
  }

  /** The files that a log names are there, whole. Of what an engine came back with, one is. */
  #checkSnapshots(): void {
    const { logs, files } = this.engine.inside('c')
    for (const [log, { head }] of logs) {
      const isWhole = ({ file }: EngineSnapshot): boolean =>
        files.get(`shard-${log}/${file}`)?.length === Number(file.split('-')[3])
      const { snapshots } = head
      const isSound = this.claims.isLost ? snapshots.some(isWhole) : snapshots.every(isWhole)
      const isNeeded = snapshots.length > 0
      this.claims.refute(isNeeded && !isSound, `M8: a snapshot that log ${log} names is not whole`)
    }
  }

  /** Whether clients go on. */
  get isEnding(): boolean {
    return this.#isEnding
  }
}

/** A process, and its clients. It starts the instance again and again. */
class Member implements Client {
  readonly process: MemberProcess
  readonly kind
  app: App | undefined
  /** Calls without an answer. */
  pending = 0
  readonly #life: MemberLife
  readonly #options

  constructor(process: MemberProcess, life: MemberLife) {
    this.process = process
    this.#life = life
    const { kind, options } = life.optionsOf(process)
    this.kind = kind
    this.#options = options
    void this.#run()
  }

  /** Whether it would answer a read. */
  get isOwner(): boolean {
    try {
      this.app?.store.get('a')
      return this.app !== undefined
    } catch {
      return false
    }
  }

  async #run(): Promise<void> {
    for (;;) {
      try {
        this.process.lost = await this.#life.lostIn(this.process.machine)
        const app = await this.process.start(this.#options)
        this.#life.count('reigns')
        this.app = app
        for (let client = 0; client < 3; client++) void this.#client(app)
        const reason = await app.closed
        this.#life.count(`closed: ${reasonOf(reason)}`)
      } catch (error) {
        this.#life.refused(error, this.process)
        await this.#pause(leaseMs)
      }
      this.app = undefined
      await this.#pause(100)
      if (this.#life.isEnding) return
    }
  }

  async #client(app: App): Promise<void> {
    while (this.app === app && !this.#life.isEnding) {
      await this.#life.clients.act(this, app)
      await this.#pause(200)
    }
  }

  #pause(mostMs: number): Promise<void> {
    const ms = this.#life.pick([0.1, 0.3, 0.6, 1]) * mostMs
    return new Promise((resolve) => {
      this.process.clock.after(ms, resolve)
    })
  }
}

const reasonOf = (reason: unknown): string => {
  const [how, why] = [reason].flat() as [string, unknown]
  return isKeelsonError(why) ? why.code : String(how)
}
