/**
 * M1 to M3 of several members at the port: members that take a log from each other while requests are lost, late and
 * repeated, answers are lost, and members pause. Each life is one seed.
 */
import { expect, test } from 'vitest'
import { seededRandom, virtualClock } from '../../../src/clock.ts'
import {
  type EngineGroup,
  type EngineHead,
  engineStart,
  isSamePosition,
} from '../../../src/storage/index.ts'
import { seedsOf } from '../../support/tier.ts'
import { SimulatedEngine, type SimulatedSession } from '../../support/worlds/simulated-engine.ts'

const faults = { lostRequest: 0.05, lostAnswer: 0.1, late: 0.1, lateMs: 60, repeated: 0.1 }

type Refusal = { readonly code: string; readonly head?: EngineHead }

const refusalOf = (error: unknown): Refusal => {
  const { code, details } = error as { code: string; details: { head?: EngineHead } }
  return { code, ...details }
}

/** A life: what was acknowledged, and what was refused for good while the log did not have it. */
class Life {
  readonly clock = virtualClock()
  readonly engine: SimulatedEngine
  readonly random: () => number
  readonly acknowledged: EngineGroup[] = []
  readonly refused: EngineGroup[] = []

  constructor(seed: number) {
    this.engine = new SimulatedEngine({ clock: this.clock, seed, faults })
    this.random = seededRandom(seed + 1_000_000)
  }

  get log(): readonly EngineGroup[] {
    return this.engine.kept('c', '0').groups
  }

  has({ end }: EngineGroup): boolean {
    return this.log.some((group) => isSamePosition(group.end, end))
  }
}

/** A member that claims and writes, as an owner does: no group is left before it is decided, or another one owns the log. */
class Member {
  readonly #life: Life
  readonly #name: string
  readonly #session: SimulatedSession
  #count = 0

  constructor(life: Life, name: string, session: SimulatedSession) {
    this.#life = life
    this.#name = name
    this.#session = session
  }

  async live(reigns: number): Promise<void> {
    await this.#answered(() => this.#session.log('0').create('log'))
    for (let reign = 0; reign < reigns; reign++) {
      let at = await this.#claim()
      for (let isOwner = at !== undefined; at && isOwner; isOwner = at !== undefined) {
        if (this.#life.random() < 0.2) this.#session.pause(100 * this.#life.random())
        if (this.#life.random() < 0.1) break
        at = await this.#write(at)
      }
    }
  }

  async #claim(): Promise<EngineGroup | undefined> {
    for (;;) {
      const { end } = await this.#answered(() => this.#session.log('0').head())
      const claim = this.#group(end, end.epoch + 1)
      const code = await this.#appended(claim)
      if (code !== 'CONFLICT') return code === 'ok' ? claim : undefined
    }
  }

  /** Writes some groups at once. Gives the last one, if it was acknowledged. */
  async #write(at: EngineGroup): Promise<EngineGroup | undefined> {
    const groups = [this.#group(at.end)]
    while (this.#life.random() < 0.5) groups.push(this.#group((groups.at(-1) ?? at).end))
    const codes = await Promise.all(groups.map((group) => this.#appended(group)))
    return codes.every((code) => code === 'ok') ? groups.at(-1) : undefined
  }

  #group(after: EngineGroup['end'], epoch = after.epoch): EngineGroup {
    const id = `${this.#name}-${++this.#count}`
    const bytes = new Uint8Array()
    return { after, end: { epoch, lsn: after.lsn + 1, id }, provenLsn: after.lsn, bytes }
  }

  /** Repeats an append until it is decided. */
  async #appended(group: EngineGroup): Promise<string> {
    const log = this.#session.log('0')
    for (;;) {
      try {
        await log.append(group)
        this.#life.acknowledged.push(group)
        return 'ok'
      } catch (error) {
        const { code, head } = refusalOf(error)
        const isDecided = code === 'FENCED' || (head && head.end.lsn > group.after.lsn)
        if (!isDecided) continue
        if (!this.#life.has(group)) this.#life.refused.push(group)
        return code
      }
    }
  }

  async #answered<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        expect(refusalOf(error).code).toBe('UNKNOWN_OUTCOME')
      }
    }
  }
}

const lived = async (seed: number): Promise<Life> => {
  const life = new Life(seed)
  const names = ['a', 'b', 'c']
  let living = names.length
  const ended: Promise<void>[] = []
  for (const name of names) {
    const member = new Member(life, name, await life.engine.open({ cluster: 'c' }))
    const end = () => {
      living--
    }
    ended.push(member.live(3).finally(end))
  }
  const all = Promise.all(ended)
  for (let ms = 0; living > 0 && ms < 10_000; ms += 5) await life.clock.advance(5)
  expect(living, `seed ${seed} has not ended`).toBe(0)
  await all
  // What is late arrives.
  await life.clock.advance(1_000)
  return life
}

test('of members that take a log from each other, one writes in each epoch, what it was acknowledged stays, and what was refused never comes', async () => {
  let [acknowledged, refused] = [0, 0]
  for (const seed of seedsOf(8, 5_000)) {
    const life = await lived(seed)
    const { log } = life

    const unchained = log.filter(
      ({ after }, at) => !isSamePosition(after, log[at - 1]?.end ?? engineStart),
    )
    expect(unchained, `seed ${seed}`).toEqual([])
    const lost = life.acknowledged.filter((group) => !life.has(group))
    expect(lost, `seed ${seed}`).toEqual([])
    const came = life.refused.filter((group) => life.has(group))
    expect(came, `seed ${seed}`).toEqual([])
    const writers = new Set(log.map(({ end }) => `${end.epoch} ${end.id.split('-')[0]}`))
    expect(writers.size, `seed ${seed}`).toBe(new Set(log.map(({ end }) => end.epoch)).size)
    acknowledged += life.acknowledged.length
    refused += life.refused.length
  }
  // The lives had what they are about.
  expect(acknowledged).toBeGreaterThan(20)
  expect(refused).toBeGreaterThan(0)
})

test('an owner whose engine lost the tail of the log is told where the log ends, and writes nothing', async () => {
  const engine = new SimulatedEngine()
  const log = (await engine.open({ cluster: 'c' })).log('0')
  await log.create('log')
  const group = (after: EngineGroup['end'], id: string): EngineGroup => {
    const end = { epoch: 1, lsn: after.lsn + 1, id }
    return { after, end, provenLsn: 0, bytes: new Uint8Array() }
  }
  const first = group(engineStart, 'a')
  const second = group(first.end, 'b')
  const third = group(second.end, 'c')
  for (const each of [first, second]) await log.append(each)

  engine.loseTail('c', '0', 1)

  await expect(log.append(third)).rejects.toMatchObject({
    code: 'CONFLICT',
    details: { head: { end: first.end } },
  })
  expect(engine.kept('c', '0').groups).toHaveLength(1)
})
