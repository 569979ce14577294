/**
 * One random life of up to three members with one log, at the keepers of their leases and the hosts of their log. A lease decides who tries to write; the log decides who writes. Requests and answers
 * are lost, late and repeated. Members are cut off, stop as a whole for longer than a lease, die, and begin again. Their clocks
 * run at rates that differ by less than 10 %. Nothing here has a tree of processes.
 */
import { seededRandom, type virtualClock } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import { followedLogHost } from '../../../src/members/engine-log/followed-log-host.ts'
import { decodeGroup } from '../../../src/members/engine-log/group-frames.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { LeaseKeeper } from '../../../src/members/leases/lease-keeper.ts'
import { engineStart, isSamePosition, type LogHost } from '../../../src/storage/index.ts'
import { noUploads } from '../worlds/engine-machine.ts'
import { small } from '../worlds/logs.ts'
import { unevenClock } from '../worlds/nasty-machine.ts'
import { ProcessClock } from '../worlds/process-clock.ts'
import { SimulatedEngine, type SimulatedSession } from '../worlds/simulated-engine.ts'

const faults = { lostRequest: 0.05, lostAnswer: 0.1, late: 0.1, lateMs: 60, repeated: 0.1 }
const leaseMs = 1_000
/** The rates of clocks: the fastest is 9.9 % faster than the slowest. */
const [slowest, fastest] = [0.953, 1.0474]
const at = { dir: '', options: small }

/** A frame: room for the stamp, then a number that no other frame has. */
const frameOf = (number: number): Uint8Array => {
  const bytes = new Uint8Array(12)
  new DataView(bytes.buffer).setUint32(8, number, true)
  return bytes
}

/** What happened in a life, counted. */
export type LeaseTally = Record<string, number>

/** What happened in a life. */
class Life {
  readonly clock: ReturnType<typeof virtualClock>
  readonly engine: SimulatedEngine
  readonly random: () => number
  readonly processes: Process[] = []
  /** LSN to number, of acknowledged frames. */
  readonly acknowledged = new Map<number, number>()
  /** The same of frames that a standby has read. */
  readonly followed = new Map<number, number>()
  readonly writers = new Map<number, Process>()
  readonly refuted = new Set<string>()
  readonly tally: LeaseTally = {
    acknowledged: 0,
    reads: 0,
    reigns: 0,
    unsure: 0,
    lost: 0,
    fenced: 0,
  }
  lastAcknowledged = 0
  frames = 0

  constructor(seed: number) {
    this.clock = unevenClock(seed)
    this.engine = new SimulatedEngine({ clock: this.clock, seed, faults })
    this.engine.makeLog('c', '0')
    this.random = seededRandom(seed + 1_000_000)
  }

  count(what: string, times = 1): void {
    this.tally[what] = (this.tally[what] ?? 0) + times
  }

  refute(isBroken: boolean, what: string): void {
    if (isBroken) this.refuted.add(what)
  }

  begin(name: string): void {
    this.processes.push(new Process(this, name))
  }

  get living(): Process[] {
    return this.processes.filter(({ clock }) => clock.isAlive)
  }

  get owners(): Process[] {
    return this.living.filter(({ keeper }) => keeper.phase === 'owner')
  }

  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10) {
      await this.clock.advance(10)
      this.refute(this.owners.length > 1, 'two members own the instance at one moment')
    }
  }

  acknowledge(process: Process, epoch: number, lsn: number, number: number): void {
    this.count('acknowledged')
    this.refute(this.acknowledged.has(lsn), `M1: lsn ${lsn} was acknowledged twice`)
    const writer = this.writers.get(epoch) ?? process
    this.refute(writer !== process, `M1: two members acknowledged in epoch ${epoch}`)
    this.writers.set(epoch, writer)
    this.acknowledged.set(lsn, number)
    this.lastAcknowledged = Math.max(this.lastAcknowledged, lsn)
  }
}

/** A standby that reads the log as far as it is proven, again and again. */
const follow = async (life: Life): Promise<void> => {
  const { clock } = life
  const log = life.engine.connect('c').log('0')
  for (let from = 1; ; ) {
    const host = followedLogHost({ log, clock, patienceMs: leaseMs / 2 })
    try {
      const inspection = await host.run('inspect', { ...at, evidence: [] })
      await host.run('open', { ...at, inspection })
      const { frames, bytes, next } = await host.run('read', { from, maxBytes: 1_000_000 })
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      for (const { lsn, offset } of frames) life.followed.set(lsn, view.getUint32(offset + 8, true))
      life.count('followed', frames.length)
      from = next
    } catch (error) {
      life.refute(!isKeelsonError(error, 'SHARD_DOWN'), `a standby ended with ${error}`)
    }
    await host.end()
    await new Promise<void>((resolve) => {
      clock.after(40 * life.random(), resolve)
    })
  }
}

/** One process of a member: it takes the lease, writes and reads while it owns, and begins again when it has lost it. */
class Process {
  readonly name: string
  readonly clock: ProcessClock
  readonly session: SimulatedSession
  keeper: LeaseKeeper
  readonly #life: Life
  #isReigning = false

  constructor(life: Life, name: string) {
    this.name = name
    this.#life = life
    this.clock = new ProcessClock(
      life.clock,
      slowest + (fastest - slowest) * life.random(),
      Math.floor(6_000 * life.random()) - 3_000,
    )
    this.session = life.engine.connect('c')
    this.keeper = this.#keeper()
  }

  /** The member begins with a new incarnation. */
  #keeper(): LeaseKeeper {
    const life = this.#life
    const keeper = new LeaseKeeper({
      ...{ directory: this.session.directory, clock: this.clock, member: this.name, leaseMs },
      onChange: (phase) => {
        if (phase === 'unsure') life.count('unsure')
        if (phase === 'owner' && !this.#isReigning) void this.#reign(keeper)
        if (phase !== 'ended') return
        life.count('lost')
        this.clock.after(1, () => {
          this.keeper = this.#keeper()
        })
      },
    })
    return keeper
  }

  /** Writes until the member has lost its lease, through as many hosts as that takes. */
  async #reign(keeper: LeaseKeeper): Promise<void> {
    this.#isReigning = true
    this.#life.count('reigns')
    while (keeper.phase !== 'ended') {
      const host = ownedLogHost({
        ...{ log: this.session.log('0'), clock: this.clock, patienceMs: leaseMs / 2 },
        uploads: noUploads,
      })
      await this.#write(keeper, host).catch((error: unknown) => {
        if (isKeelsonError(error, 'FENCED')) this.#life.count('fenced')
        else if (!isKeelsonError(error, 'SHARD_DOWN') && !isKeelsonError(error, 'CONFLICT'))
          this.#life.refuted.add(`a host ended with ${error}`)
      })
      await host.end()
      await this.#pause(10)
    }
    this.#isReigning = false
    if (this.keeper !== keeper && this.keeper.phase === 'owner') void this.#reign(this.keeper)
  }

  async #write(keeper: LeaseKeeper, host: LogHost): Promise<void> {
    const inspection = await host.run('inspect', { ...at, evidence: [] })
    const { epoch, lastLsn } = await host.run('open', { ...at, inspection })
    let shownLsn = lastLsn
    while (keeper.phase !== 'ended') {
      if (keeper.phase === 'owner') {
        const groups = Array.from({ length: 1 + Math.floor(3 * this.#life.random()) })
        const lsns = await Promise.all(groups.map(() => this.#commit(host, epoch)))
        shownLsn = Math.max(...lsns)
      }
      await this.#pause(60)
      // A get: it asks for the lease at the moment of reading.
      if (keeper.phase !== 'owner') continue
      this.#life.count('reads')
      this.#life.refute(shownLsn < this.#life.lastAcknowledged, 'M10: an owner read the past')
    }
  }

  /** Appends a group of one frame. Returns its LSN when it is acknowledged. */
  async #commit(host: LogHost, epoch: number): Promise<number> {
    const number = ++this.#life.frames
    const bytes = frameOf(number)
    const request = { bytes, lengths: [12], now: this.clock.now(), sync: true, projectedLsn: 0 }
    const { firstLsn } = await host.run('commit', request)
    this.#life.acknowledge(this, epoch, firstLsn, number)
    return firstLsn
  }

  #pause(mostMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.after(mostMs * this.#life.random(), resolve)
    })
  }

  /** Nothing runs in it, and its connections stop. */
  stop(ms: number): void {
    this.clock.stop(ms)
    this.session.pause(ms)
  }

  /** What it has sent may still arrive. */
  die(): void {
    this.clock.isAlive = false
    void this.session.close()
  }
}

/** A primary without its standby shows what it does, and acknowledges nothing. Then the standby takes over. */
const failOver = (life: Life, ms: number): void => {
  const { engine } = life
  if (engine.isAlone) return
  life.count('trouble: failover')
  const copy = engine.copy('c')
  engine.isAlone = true
  life.clock.after(ms, () => {
    engine.isAlone = false
    engine.promote('c', copy)
    engine.restart(10)
  })
}

/** One trouble. */
const trouble = (life: Life): void => {
  const { living, random } = life
  const process = living[Math.floor(living.length * random())]
  if (!process) return
  const kind = random()
  const ms = 3 * leaseMs * random()
  if (kind < 0.1) failOver(life, ms)
  else if (kind < 0.3) {
    life.count('trouble: cut link')
    process.session.pause(ms)
  } else if (kind < 0.55) {
    life.count('trouble: stop')
    process.stop(ms)
  } else if (kind < 0.7) {
    life.count('trouble: close')
    void process.keeper.close()
  } else {
    life.count('trouble: kill')
    process.die()
    life.clock.after(2 * leaseMs * random(), () => life.begin(process.name))
  }
}

/** What the log of a life breaks. */
const examine = (life: Life): void => {
  const { head, groups } = life.engine.kept('c', '0')
  const numbers = new Map<number, number>()
  const owners = new Map<number, string>()
  let before = engineStart
  let lastTime = 0
  for (const group of groups) {
    const { epoch, id, lsn: end } = group.end
    const [owner = ''] = id.split('-')
    life.refute((owners.get(epoch) ?? owner) !== owner, `M1: two wrote in epoch ${epoch}`)
    owners.set(epoch, owner)
    life.refute(!isSamePosition(group.after, before), `a gap before lsn ${end}`)
    before = group.end
    const view = new DataView(group.bytes.buffer, group.bytes.byteOffset)
    const { frames, time } = decodeGroup(head.logId, group)
    life.refute(time < lastTime, `the stamp of lsn ${end} is before that of an earlier frame`)
    lastTime = time
    for (const { lsn, at: offset } of frames) numbers.set(lsn, view.getUint32(offset + 8, true))
  }
  for (const [lsn, number] of life.acknowledged)
    life.refute(numbers.get(lsn) !== number, `M2: lsn ${lsn} was acknowledged and is lost`)
  for (const [lsn, number] of life.followed)
    life.refute(numbers.get(lsn) !== number, `M2: lsn ${lsn} was read by a standby and is lost`)
}

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveLeases = async (seed: number): Promise<LeaseTally> => {
  const life = new Life(seed)
  for (const name of life.random() < 0.5 ? ['a', 'b'] : ['a', 'b', 'c']) life.begin(name)
  void follow(life)
  for (let round = 0; round < 8; round++) {
    await life.run(2 * leaseMs * life.random())
    trouble(life)
  }
  // Every pause ends, and each dead member has begun again.
  await life.run(4 * leaseMs)
  const count = life.tally.acknowledged
  await life.run(4 * leaseMs)
  life.refute(life.tally.acknowledged === count, 'nobody writes after the last trouble')
  examine(life)
  if (life.refuted.size > 0) throw new Error([...life.refuted].join('\n'))
  for (const [fault, times] of Object.entries(life.engine.injected))
    life.count(`fault: ${fault}`, times)
  return life.tally
}
