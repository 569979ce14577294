/**
 * One history of a store on a simulated machine: unawaited writes, killed actors, power cuts, lost
 * projections, restarts. The log decides what happened and when. Every unit in it must have been
 * written, the model applies it at its time stamp, and callers must have got the answers of the
 * model.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import { Applier, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { isKeelsonError, type KeelsonError } from '../../../src/errors.ts'
import { decodeFrame, shardOf, type Unit } from '../../../src/storage/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { keysOf, StoreModel, type Transaction } from '../models/store-model.ts'
import {
  type Answered,
  callOf,
  keys,
  transaction,
  unitsOf,
  unitText,
  withPatchesOfBytes,
} from '../models/store-writes.ts'
import { nastyMachine } from '../worlds/nasty-machine.ts'
import type { Machine } from '../worlds/simulated-instance.ts'

/** A step of a history. */
export type Step =
  | { readonly kind: 'write'; readonly write: Transaction; readonly options: object }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'kill'; readonly actor: 'log' | 'applier' | 'projection' }
  | { readonly kind: 'check' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'cut'; readonly lostCommits: number }

/** What a history takes place on. */
export type Place = {
  readonly seed: number
  readonly syncMs: number
  readonly shards: number
  readonly overlayKeys: number
  readonly queueBytes: number
  /** The window of the namespace `n`; 0: none. */
  readonly windowMs: number
  /** From so many bytes on a value is a blob; 0: none is. */
  readonly threshold: number
}

const deadlines = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom(2, 20).map((deadlineMs) => ({ deadlineMs })) },
  { weight: 1, arbitrary: fc.constant({ whenFull: 'refuse' as const }) },
  { weight: 1, arbitrary: fc.constant({ ack: 'projected' as const }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 10).map((windowMs) => ({ windowMs })) },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      write: transaction,
      options: deadlines,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.constantFrom(0, 0, 1, 5, 30, 600),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('kill' as const),
      actor: fc.constantFrom('log' as const, 'applier' as const, 'projection' as const),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'check' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cut' as const),
      lostCommits: fc.constantFrom(0, 1, 3),
    }),
  },
)

/** A place, and what happens there. */
export const history: fc.Arbitrary<readonly [Place, readonly Step[]]> = fc.tuple(
  fc.record({
    seed: fc.nat(),
    syncMs: fc.constantFrom(0, 1, 7),
    shards: fc.constantFrom(1, 2),
    overlayKeys: fc.constantFrom(3, 1_000),
    queueBytes: fc.constantFrom(300, 4_096, 16 * 1024 * 1024),
    windowMs: fc.constantFrom(0, 4),
    threshold: fc.constantFrom(0, 0, 150),
  }),
  fc.array(step, { minLength: 1, maxLength: 60 }),
)

/** What became of a unit, as far as its caller knows. */
type Fate =
  | { readonly kind: 'pending' | 'unknown' | 'never' }
  | { readonly kind: 'answered'; readonly lsn: number; readonly answer: unknown }
  | { readonly kind: 'refused'; readonly code: string }

/** A unit that was written. `order` is the order of the calls. */
type Issued = {
  readonly order: number
  readonly text: string
  readonly part: Transaction
  fate: Fate
}

/** Codes with which the state refuses. */
const refusals = ['WRONG_TYPE', 'LOCKED', 'CONFLICT']

/** Codes that say that nothing was written, and nothing ever will be. */
const neverWritten = ['NOT_SUBMITTED', 'BUSY', 'NO_SPACE', 'CLOSED', 'SHARD_DOWN', 'TOO_LARGE']

/** Runs a history. @throws an error of the store */
export const live = async (place: Place, steps: readonly Step[]): Promise<void> => {
  const life = new Life(place)
  await life.begin()
  for (const one of steps) {
    // Writes that follow one another are issued in one turn, as by a caller that awaits none of them.
    if (one.kind === 'write') life.write(one.write, one.options)
    else await life.take(one)
  }
  await life.end()
}

class Life {
  readonly #place: Place
  readonly #machine: Machine
  readonly #options: Partial<StartOptions>
  /** One for each shard: what spans shards is atomic in none but its own. */
  readonly #models: readonly StoreModel[]
  readonly #pending = new Set<Promise<void>>()
  readonly #issued: Issued[][]
  readonly #readTo: number[]
  readonly #lastOrder = new Map<string, number>()
  #order = 0
  #app: App | undefined

  constructor(place: Place) {
    const { seed, syncMs, shards, overlayKeys, queueBytes, windowMs, threshold } = place
    this.#place = place
    this.#machine = nastyMachine({ seed, syncMs })
    this.#issued = Array.from({ length: shards }, () => [])
    this.#models = this.#issued.map(() => new StoreModel())
    this.#readTo = Array.from({ length: shards }, () => 0)
    this.#options = {
      shards,
      wal: { maxFileSize: 128 * 1024, queueBytes },
      overlay: { keys: overlayKeys },
      ...(windowMs > 0 ? { batcher: { windows: { n: windowMs } } } : {}),
      blobs: { threshold, segmentBytes: 4_096, graceMs: 5, sweepMs: 40 },
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20, trickleMs: seed % 2 ? 30 : 0 },
    }
  }

  get #store() {
    return this.#running.store
  }

  #modelOf(shard: number): StoreModel {
    const model = this.#models[shard]
    if (!model) throw new Error('a shard has its model')
    return model
  }

  get #running(): App {
    if (!this.#app) throw new Error('the instance runs')
    return this.#app
  }

  async begin(): Promise<void> {
    this.#app = await this.#machine.start(this.#options)
  }

  async take(one: Exclude<Step, { kind: 'write' }>): Promise<void> {
    const { clock, disk, during, projections } = this.#machine
    switch (one.kind) {
      case 'pass':
        return one.ms === 0 ? clock.settle() : clock.advance(one.ms)
      case 'kill':
        return void this.#running.system.kill(actors[one.actor].name(0) as never)
      case 'check':
        return this.#check()
      case 'restart':
        await during(this.#running.close())
        return this.#begunAnew()
      case 'cut':
        disk.crash()
        await during(this.#running.close({ deadlineMs: 0 })).catch(() => undefined)
        disk.crash()
        for (let shard = 0; shard < this.#place.shards; shard++)
          projections.loseCommits(`/data/shard-${shard}/lmdb`, one.lostCommits)
        return this.#begunAnew()
    }
  }

  async end(): Promise<void> {
    await this.#check()
    await this.#machine.during(this.#running.close())
    await this.#begunAnew()
    await this.#machine.during(this.#running.close())
    // What the simulated disk of the blobs was at is answered yet; then nothing is left that would ever run.
    await this.#machine.clock.advance(this.#place.syncMs)
    expect(this.#machine.clock.untilNext()).toBeUndefined()
  }

  write(drawn: Transaction, options: object): void {
    const { shards, threshold } = this.#place
    const write = threshold > 0 ? withPatchesOfBytes(drawn) : drawn
    const place = (key: string) => shardOf(key, shards)
    const writes = write.kind === 'batch' ? write.writes : [write]
    const spreads = ['putMany', 'deleteMany', 'clear'].includes(write.kind)
    const isAcross = !spreads && new Set(writes.flatMap(keysOf).map(place)).size > 1
    const call = callOf(this.#store, write, options)
    const units = isAcross ? [] : unitsOf(write, shards, place)
    const issued = units.map(([shard, unit, part]) => {
      const one: Issued = {
        order: this.#order++,
        text: unitText(unit),
        part,
        fate: { kind: 'pending' },
      }
      this.#issued[shard]?.push(one)
      return [shard, one] as const
    })
    const done = call.then(
      (answered) => {
        expect(isAcross).toBe(false)
        this.#answered(write, answered, issued)
      },
      (error: KeelsonError) => {
        if (isAcross) expect(error).toMatchObject({ code: 'CROSS_SHARD' })
        else for (const [shard, one] of issued) one.fate = fateOf(error, shard, issued.length > 1)
      },
    )
    this.#pending.add(done)
    done.finally(() => this.#pending.delete(done)).catch(() => undefined)
  }

  /**
   * A write over several shards answers the sum of its parts. The answer of each part is unknown,
   * but its place is known.
   */
  #answered(
    write: Transaction,
    answered: Answered,
    issued: readonly (readonly [number, Issued])[],
  ): void {
    const { position, positions, ...rest } = answered as {
      position?: { shard: number; lsn: number }
      positions?: readonly { shard: number; lsn: number }[]
    } & Record<string, unknown>
    for (const [shard, one] of issued) {
      const at = position ?? positions?.find((each) => each.shard === shard)
      expect(at?.shard).toBe(shard)
      const answer = write.kind === 'batch' ? rest.answers : rest
      const isWhole = issued.length === 1
      one.fate = { kind: 'answered', lsn: at?.lsn ?? 0, answer: isWhole ? answer : undefined }
    }
  }

  /** Waits until every write has been answered, reads what the log has got, and compares all with the model. */
  async #check(): Promise<void> {
    const { during } = this.#machine
    await during(Promise.all([...this.#pending]))
    await during(Promise.all(this.#running.shards.map((shard) => shard.settled())))
    // An abandoned write may arrive while the log is read: then there is more to read.
    const { shards } = this.#running
    const isRead = (index: number) => this.#readTo[index] === shards[index]?.appliedLsn
    do for (let index = 0; index < shards.length; index++) await this.#readLog(index)
    while (!shards.every(({ index }) => isRead(index)))
    this.#compare()
  }

  /** After a restart nothing is in flight: a write that is not in the log never will be. */
  async #begunAnew(): Promise<void> {
    await this.begin()
    await this.#check()
    for (const issued of this.#issued) issued.length = 0
  }

  async #readLog(index: number): Promise<void> {
    const shard = this.#running.shards[index]
    if (!shard) throw new Error('a shard is there')
    expect(shard.phase.kind).toBe('open')
    let from = (this.#readTo[index] ?? 0) + 1
    while (from <= shard.appliedLsn) {
      const { during } = this.#machine
      const read = await during(shard.files.log().run('read', { from, maxBytes: 65_536 })).catch(
        async (error: unknown) => {
          // The thread of the log may die at this call, too.
          if (!isKeelsonError(error, 'SHARD_DOWN')) throw error
          await during(shard.settled())
          return undefined
        },
      )
      if (read === undefined) continue
      for (const { lsn, time, offset, length } of read.frames) {
        if (lsn > shard.appliedLsn) break
        for (const unit of decodeFrame(read.bytes.slice(offset, offset + length)).units)
          this.#happened(index, unit, lsn, time)
      }
      from = read.next
    }
    this.#readTo[index] = shard.appliedLsn
    for (const one of this.#issued[index] ?? [])
      expect(one.fate.kind, `acknowledged, and not in the log: ${one.text}`).toMatch(
        /unknown|never/,
      )
    this.#issued[index] = (this.#issued[index] ?? []).filter(({ fate }) => fate.kind === 'unknown')
  }

  #happened(shard: number, unit: Unit, lsn: number, time: number): void {
    if (unit.kind === 'removeExpired') return
    const all = this.#issued[shard] ?? []
    const text = unitText(unit)
    const same = all.filter((one) => one.text === text)
    const one =
      same.find(({ fate }) => fate.kind === 'answered' && fate.lsn === lsn) ??
      same.find(({ fate }) => fate.kind === 'refused') ??
      same.find(({ fate }) => fate.kind === 'unknown')
    if (!one) throw new Error(`in the log at ${lsn}, and nobody wrote it: ${text}`)
    all.splice(all.indexOf(one), 1)
    this.#inOrder(one)
    const outcome = this.#modelOf(shard).apply(one.part, time)
    if (one.fate.kind === 'refused') expect(outcome, text).toEqual({ refused: one.fate.code })
    if (one.fate.kind === 'answered') {
      if ('refused' in outcome) throw new Error(`answered, and to be ${outcome.refused}: ${text}`)
      if (one.fate.answer !== undefined) expect(one.fate.answer, text).toEqual(outcome.answer)
    }
  }

  /** Two writes to one key take effect in the order of their issue. */
  #inOrder({ part, order, text }: Issued): void {
    for (const key of (part.kind === 'batch' ? part.writes : [part]).flatMap(keysOf)) {
      expect(order, `out of order: ${text}`).toBeGreaterThanOrEqual(this.#lastOrder.get(key) ?? 0)
      this.#lastOrder.set(key, order)
    }
  }

  #compare(): void {
    const present: (readonly [string, unknown])[] = []
    for (const key of [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
      const shard = shardOf(key, this.#place.shards)
      const model = this.#modelOf(shard)
      const now = this.#running.shards[shard]?.now() ?? 0
      const { isCompound, value } = model.get(key, now)
      expect(this.#store.has(key), key).toBe(value !== undefined)
      expect(this.#store.ttl(key), key).toBe(model.ttl(key, now))
      if (value !== undefined)
        present.push([key, isCompound ? (value as Map<string, unknown>).size : value])
      if (isCompound) this.#compareFields(key, value as Map<string, unknown>)
      else expect(this.#store.get(key), key).toEqual(value)
    }
    const listed = this.#store.range().entries
    expect(listed.map(([key, value]) => [key, shown(value)])).toEqual(present)
  }

  #compareFields(key: string, fields: ReadonlyMap<string, unknown>): void {
    expect(() => this.#store.get(key)).toThrow(expect.objectContaining({ code: 'WRONG_TYPE' }))
    const found = this.#store.fields(key)
    expect(found, key).toEqual(fields)
    expect([...found.keys()], key).toEqual([...fields.keys()].sort())
    for (const field of ['f', 'g', 'ü', 'none'])
      expect(this.#store.getField(key, field), `${key} ${field}`).toEqual(fields.get(field))
  }
}

const actors = { log: WalWriter, applier: Applier, projection: LmdbWriter } as const

/** A compound in a range is shown by its size. */
const shown = (value: unknown): unknown =>
  typeof value === 'object' && value?.constructor.name === 'Compound'
    ? (value as { size: number }).size
    : value

const fateOf = (error: KeelsonError, shard: number, isSpread: boolean): Fate => {
  if (isSpread && error.code === 'PARTIAL') {
    const outcomes = error.details.outcomes as readonly {
      shard: number
      ok: boolean
      error: KeelsonError
      position: { lsn: number }
    }[]
    const own = outcomes.find((each) => each.shard === shard)
    if (own?.ok) return { kind: 'answered', lsn: own.position.lsn, answer: undefined }
    return fateOf(own?.error as KeelsonError, shard, false)
  }
  if (refusals.includes(error.code)) return { kind: 'refused', code: error.code }
  if (neverWritten.includes(error.code)) return { kind: 'never' }
  const position = error.details?.position as { lsn: number } | undefined
  if (error.code === 'TIMEOUT' || error.code === 'DEGRADED')
    return { kind: 'answered', lsn: position?.lsn ?? 0, answer: undefined }
  if (error.code === 'UNKNOWN_OUTCOME') return { kind: 'unknown' }
  throw error
}
