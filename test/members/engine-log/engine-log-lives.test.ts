/**
 * M1 to M3 of several members, at the host of a log: members that take a log from each other through hosts, while requests are
 * lost, late and repeated, answers are lost, members pause, and hosts end. Each life is one seed.
 */
import { expect, test } from 'vitest'
import { seededRandom, virtualClock } from '../../../src/clock.ts'
import { decodeGroup } from '../../../src/members/engine-log/group-frames.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { engineStart, isSamePosition, type LogHost } from '../../../src/storage/index.ts'
import { seedsOf } from '../../support/tier.ts'
import { noUploads } from '../../support/worlds/engine-machine.ts'
import { small } from '../../support/worlds/logs.ts'
import { SimulatedEngine, type SimulatedSession } from '../../support/worlds/simulated-engine.ts'

const faults = { lostRequest: 0.05, lostAnswer: 0.1, late: 0.1, lateMs: 60, repeated: 0.1 }

/** A frame: room for the stamp, then a number that no other frame has. */
const frameOf = (number: number): Uint8Array => {
  const bytes = new Uint8Array(12)
  new DataView(bytes.buffer).setUint32(8, number, true)
  return bytes
}
const numberIn = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 8, true)

/** A life: what was acknowledged, and how hosts ended. */
class Life {
  readonly clock = virtualClock()
  readonly engine: SimulatedEngine
  readonly random: () => number
  /** LSN to number. */
  readonly acknowledged = new Map<number, number>()
  readonly ends: string[] = []
  frames = 0
  faults: string[] = []

  constructor(seed: number) {
    this.engine = new SimulatedEngine({ clock: this.clock, seed, faults })
    this.engine.makeLog('c', '0')
    this.random = seededRandom(seed + 1_000_000)
  }

  draws(chance: number): boolean {
    return this.random() < chance
  }

  refute(isBroken: boolean, what: string): void {
    if (isBroken) this.faults.push(what)
  }
}

const codeOf = (error: unknown): string => {
  const { code, details } = error as { code: string; details: { reason?: string } }
  return details.reason === undefined ? code : `${code} ${details.reason}`
}

const at = { dir: '', options: small }

/** A member that opens the log again and again. */
class Member {
  readonly #life: Life
  readonly #session: SimulatedSession

  constructor(life: Life, session: SimulatedSession) {
    this.#life = life
    this.#session = session
  }

  async live(reigns: number): Promise<void> {
    const log = this.#session.log('0')
    const { clock, random } = this.#life
    for (let reign = 0; reign < reigns; reign++) {
      const host = ownedLogHost({
        log,
        clock,
        patienceMs: 50 + 300 * random(),
        uploads: noUploads,
      })
      await this.#reign(host).catch((error: unknown) => this.#life.ends.push(codeOf(error)))
      await host.end()
    }
  }

  async #reign(host: LogHost): Promise<void> {
    const inspection = await host.run('inspect', { ...at, evidence: [] })
    const { epoch } = await host.run('open', { ...at, inspection })
    while (!this.#life.draws(0.1)) {
      if (this.#life.draws(0.15)) this.#session.pause(300 * this.#life.random())
      await this.#commit(host)
      if (this.#life.draws(0.1)) await host.run('mark', null)
      if (this.#life.draws(0.2)) await this.#read(host)
      if (this.#life.draws(0.1)) await this.#trim(host, epoch)
    }
    if (this.#life.draws(0.5)) await host.run('close', { projectedLsn: 0 })
  }

  /** Commits some groups at once. They are answered in order. */
  async #commit(host: LogHost): Promise<void> {
    const life = this.#life
    const commits: Promise<void>[] = []
    let answered = 0
    do {
      const own = commits.length
      const numbers = Array.from({ length: 1 + Math.floor(3 * life.random()) }, () => ++life.frames)
      const bytes = Uint8Array.from(Buffer.concat(numbers.map(frameOf)))
      const lengths = numbers.map(() => 12)
      const request = { bytes, lengths, now: life.clock.now(), sync: true, projectedLsn: 0 }
      const commit = host.run('commit', request).then(({ lsns }) => {
        life.refute(answered++ !== own, 'an acknowledgement came before that of an earlier group')
        for (const [index, lsn] of lsns.entries()) {
          life.refute(life.acknowledged.has(lsn), `lsn ${lsn} was acknowledged twice`)
          life.acknowledged.set(lsn, numbers[index] as number)
        }
      })
      commits.push(commit)
    } while (life.draws(0.5))
    const outcomes = await Promise.allSettled(commits)
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** Reads back what was acknowledged before. */
  async #read(host: LogHost): Promise<void> {
    const { firstLsn, durableLsn } = await host.run('state', null)
    const known = new Map(this.#life.acknowledged)
    const found = new Set<number>()
    for (let from = firstLsn; ; ) {
      const read = await host.run('read', { from, to: durableLsn, maxBytes: 40 })
      for (const { lsn, offset } of read.frames) {
        found.add(lsn)
        const number = known.get(lsn)
        const isOther = number !== undefined && number !== numberIn(read.bytes, offset)
        this.#life.refute(isOther, `lsn ${lsn} was read as another frame`)
      }
      if (read.next <= from || read.frames.length === 0) break
      from = read.next
    }
    for (const lsn of known.keys())
      if (lsn >= firstLsn && lsn <= durableLsn)
        this.#life.refute(!found.has(lsn), `lsn ${lsn} was acknowledged and not read`)
  }

  async #trim(host: LogHost, epoch: number): Promise<void> {
    const { durableLsn, snapshots } = await host.run('state', null)
    const lsn = Math.max(snapshots.at(-1)?.lsn ?? 0, durableLsn - 5)
    if (lsn <= 0) return
    await host.run('name', { epoch, snapshot: { lsn, bytes: 1, sum: 2 }, keep: 2 })
    await host.run('release', { epoch, lsn })
  }
}

const lived = async (seed: number): Promise<Life> => {
  const life = new Life(seed)
  let living = 2
  const ended: Promise<void>[] = []
  for (let index = living; index > 0; index--) {
    const member = new Member(life, await life.engine.open({ cluster: 'c' }))
    ended.push(
      member.live(5).finally(() => {
        living--
      }),
    )
  }
  const all = Promise.all(ended)
  for (let ms = 0; living > 0 && ms < 60_000; ms += 5) await life.clock.advance(5)
  expect(living, `seed ${seed} has not ended`).toBe(0)
  await all
  // What is late arrives.
  await life.clock.advance(1_000)
  return life
}

/** What a log with the groups of a life breaks. */
const faultsIn = (life: Life): readonly string[] => {
  const { head, groups } = life.engine.kept('c', '0')
  const numbers = new Map<number, number>()
  let before = groups[0]?.after ?? engineStart
  for (const group of groups) {
    life.refute(!isSamePosition(group.after, before), `a gap before lsn ${group.end.lsn}`)
    before = group.end
    for (const { lsn, at } of decodeGroup(head.logId, group).frames) {
      life.refute(numbers.has(lsn), `lsn ${lsn} is there twice`)
      numbers.set(lsn, numberIn(group.bytes, at))
    }
  }
  life.refute(new Set(numbers.values()).size !== numbers.size, 'a frame is there twice')
  for (const [lsn, number] of life.acknowledged)
    if (lsn > head.trimmed.lsn)
      life.refute(numbers.get(lsn) !== number, `lsn ${lsn} was acknowledged and is lost`)
  const writers = new Set(groups.map(({ end }) => `${end.epoch} ${end.id.split('-')[0]}`))
  life.refute(
    writers.size !== new Set(groups.map(({ end }) => end.epoch)).size,
    'two owners wrote in one epoch',
  )
  const known = ['FENCED', 'SHARD_DOWN engine']
  for (const end of life.ends) life.refute(!known.includes(end), `a host ended with ${end}`)
  return life.faults
}

test('of hosts that take a log from each other, what one acknowledged is in the log once, at its LSN and in order, and is read back', {
  tags: ['slow'],
}, async () => {
  const count = { acknowledged: 0, trimmed: 0, FENCED: 0, 'SHARD_DOWN engine': 0 }
  for (const seed of seedsOf(8, 5_000)) {
    const life = await lived(seed)

    expect(faultsIn(life), `seed ${seed}`).toEqual([])

    count.acknowledged += life.acknowledged.size
    if (life.engine.kept('c', '0').head.trimmed.lsn > 0) count.trimmed++
    for (const end of life.ends) count[end as 'FENCED']++
  }
  // The lives had what they are about.
  for (const [what, times] of Object.entries(count)) expect(times, what).toBeGreaterThan(2)
})
