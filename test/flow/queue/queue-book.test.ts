/** The book of a queue against a naive list of its jobs: what starts, what waits, what is dead. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DurableRows } from '../../../src/actors/index.ts'
import {
  type Claim,
  emptyBook,
  type KeptBook,
  type NewJob,
  QueueBook,
  type QueueLimits,
} from '../../../src/flow/queue/queue-book.ts'

const error = { name: 'Error', message: 'no' }

const limitsOf = (given: Partial<QueueLimits> = {}): QueueLimits => ({
  ...{ concurrency: 3, perKey: Number.POSITIVE_INFINITY, rate: undefined, uniqueMs: undefined },
  ...{ depthMax: 1_000, memoryMax: 100, keysMax: 100, keepMs: 10_000, countsEnds: true },
  ...given,
})

const job = (given: Partial<NewJob> = {}): NewJob => ({
  ...{ job: 'work', key: '', priority: 0, delayMs: 0, unique: undefined },
  ...given,
})

/** Rows in memory, with the parts of `DurableRows` that a book uses. */
const rowsOf = (stored: Map<string, unknown>) => {
  const range = ({ prefix = '', gte = '', limit = 100 }) => {
    const keys = [...stored.keys()].filter((key) => key.startsWith(prefix) && key >= gte).sort()
    const entries = keys.slice(0, limit).map((key) => [key, stored.get(key)])
    return { entries, exhausted: keys.length <= limit }
  }
  const rows = {
    range,
    get: (key: string) => stored.get(key),
    put: (key: string, value: unknown) => void stored.set(key, structuredClone(value)),
    delete: (key: string) => stored.delete(key),
  }
  return rows as unknown as DurableRows
}

/** A queue whose turns become durable at once, or are refused. */
class World {
  now = 1_000_000
  stored = new Map<string, unknown>()
  kept: KeptBook = emptyBook
  running = new Map<number, Claim>()
  readonly limits: QueueLimits
  book: QueueBook

  constructor(limits: Partial<QueueLimits> = {}) {
    this.limits = limitsOf(limits)
    this.book = this.#open()
  }

  #open(): QueueBook {
    const book = new QueueBook(this.limits, this.kept, this.now, this.running)
    for (const row of [...this.stored.keys()].sort()) if (/^[dr]/.test(row)) book.found(row)
    return book
  }

  turn<T>(does: (rows: DurableRows) => T): T {
    const result = does(rowsOf(this.stored))
    this.kept = structuredClone(this.book.kept)
    return result
  }

  refused(does: (rows: DurableRows) => unknown): void {
    does(rowsOf(new Map(this.stored)))
    this.book = this.#open()
  }

  add(...jobs: Partial<NewJob>[]) {
    return this.turn((rows) => this.book.add(jobs.map(job), this.now, rows))
  }

  claim(): readonly Claim[] {
    const claims = this.turn((rows) => this.book.claim(this.now, rows))
    for (const claim of claims) {
      this.running.set(claim.number, claim)
      this.book.started(claim, this.now)
    }
    return claims
  }

  claimed(): number[] {
    return this.claim().map(({ number }) => number)
  }

  done(...numbers: number[]): void {
    for (const number of numbers) {
      this.running.delete(number)
      this.turn((rows) => this.book.done(number, rows))
    }
  }

  fail(number: number, inMs?: number): void {
    this.running.delete(number)
    this.turn((rows) => this.book.failed(number, error, inMs, this.now, rows))
  }

  crash(): void {
    this.running.clear()
    this.book = this.#open()
  }

  get wakeAt() {
    return this.book.wakeAt(this.now, rowsOf(this.stored))
  }
}

describe('the order of a queue', () => {
  test('has the higher number first, and within a key the job that was added first', () => {
    const world = new World({ concurrency: 10 })
    world.add({}, { priority: 5 }, { priority: -1 }, { priority: 5 }, {})
    expect(world.claimed()).toEqual([2, 4, 1, 5, 3])
  })

  test('lets keys take turns within a priority', () => {
    const world = new World({ concurrency: 6 })
    world.add(...['a', 'a', 'a', 'b', 'b', 'c'].map((key) => ({ key })))
    expect(world.claim().map(({ record }) => record.key)).toEqual(['a', 'b', 'c', 'a', 'b', 'a'])
  })

  test('lets a limited key hold up nobody', () => {
    const world = new World({ concurrency: 10, perKey: 1 })
    world.add({ key: 'a', priority: 9 }, { key: 'a', priority: 9 }, { key: 'b' }, {}, {})
    expect(world.claimed()).toEqual([1, 3, 4, 5])
    world.done(1)
    expect(world.claimed()).toEqual([2])
  })

  test('is the same when most jobs are not in memory', () => {
    const many = new World({ concurrency: 1_000, memoryMax: 1_000 })
    const few = new World({ concurrency: 1_000, memoryMax: 3 })
    const jobs = Array.from({ length: 900 }, (_, at) => ({ key: `k${at % 7}`, priority: at % 3 }))
    for (const world of [many, few]) world.add(...jobs)
    expect(few.claimed()).toEqual(many.claimed())
  })

  test('stays that of adding while the first jobs leave the memory, and others come', () => {
    const world = new World({ concurrency: 2, memoryMax: 3 })
    world.add({}, {}, {}, {}, {})
    const order = world.claimed()
    for (let added = 0; added < 3; added++) {
      world.add({})
      world.done(order.at(-2) as number, order.at(-1) as number)
      order.push(...world.claimed())
    }
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('has a delayed job at its place once its time has come, not before', () => {
    const world = new World()
    world.add({ delayMs: 50, priority: 1 }, { delayMs: 20 })
    expect([world.claimed(), world.wakeAt]).toEqual([[], world.now + 20])
    world.now += 19
    expect(world.claimed()).toEqual([])
    world.now += 31
    expect(world.claimed()).toEqual([1, 2])
  })

  test('is nothing while the queue is paused, or its instance closes', () => {
    const world = new World()
    world.add({})
    world.book.isPaused = true
    expect(world.claimed()).toEqual([])
    world.book.isPaused = false
    world.book.leave()
    expect(world.claimed()).toEqual([])
  })
})

describe('the rate of a queue', () => {
  const perSecond = { max: 2, perMs: 1_000, key: false }

  test('grants no more starts in any time of its length, over crashes too', {
    tags: ['W10'],
  }, () => {
    const world = new World({ concurrency: 100, rate: perSecond })
    world.add({}, {}, {}, {}, {})
    world.now += 990
    expect(world.claimed()).toEqual([1, 2])
    world.done(1)
    world.crash()
    world.now += 999
    expect(world.claimed()).toEqual([])
    world.now += 51
    expect(world.claimed()).toEqual([2])
  })

  test('wakes nobody while all places are taken, or the queue is paused', () => {
    for (const key of [true, false]) {
      const world = new World({ concurrency: 1, rate: { ...perSecond, key } })
      world.add({ key: 'a' }, { key: 'a' })
      world.claim()
      world.now += 5_000
      expect([world.claimed(), world.wakeAt]).toEqual([[], undefined])
      world.done(1)
      world.claim()
      world.add({ key: 'a' })
      world.done(2)
      world.claim()
      world.add({ key: 'a' })
      world.turn(() => {
        world.book.isPaused = true
      })
      world.now += 5_000
      expect([world.claimed(), world.wakeAt]).toEqual([[], undefined])
    }
  })

  test('of a key lets other keys go on, and says when it has room', () => {
    const world = new World({ concurrency: 100, rate: { ...perSecond, key: true } })
    world.add({ key: 'a' }, { key: 'a' }, { key: 'a' }, { key: 'b' }, {}, {}, {})
    expect(world.claimed()).toEqual([1, 4, 5, 2, 6, 7])
    expect(world.claimed()).toEqual([])
    const { wakeAt } = world
    world.now = wakeAt as number
    expect(world.claimed()).toEqual([3])
  })

  test('of a key survives a crash', { tags: ['W10'] }, () => {
    const world = new World({ concurrency: 100, rate: { ...perSecond, key: true } })
    world.add({ key: 'a' }, { key: 'a' }, { key: 'a' })
    expect(world.claimed()).toEqual([1, 2])
    world.done(1, 2)
    world.crash()
    expect(world.claimed()).toEqual([])
  })
})

describe('a unique text', () => {
  test('has one holder until its job has ended', { tags: ['W10'] }, () => {
    const world = new World()
    world.add({ unique: 'u' })
    expect(world.add({ unique: 'u' })).toEqual([{ number: 1, repeated: true }])
    world.claim()
    expect(world.add({ unique: 'u' })).toEqual([{ number: 1, repeated: true }])
    world.done(1)
    expect(world.add({ unique: 'u' })).toEqual([{ number: 2, repeated: false }])
  })

  test('with a time is taken so long, whatever becomes of its job, and is swept then', () => {
    const world = new World({ uniqueMs: 100 })
    world.add({ unique: 'u' })
    world.claim()
    world.done(1)
    expect(world.add({ unique: 'u' })).toEqual([{ number: 1, repeated: true }])
    world.now += 100
    world.turn((rows) => world.book.sweep(undefined, world.now, rows))
    expect([...world.stored.keys()]).toEqual([])
    expect(world.add({ unique: 'u' })).toEqual([{ number: 2, repeated: false }])
  })

  test('of a dead job is free, and its retry is refused while another job holds it', () => {
    const world = new World()
    world.add({ unique: 'u' })
    world.claim()
    world.fail(1)
    world.add({ unique: 'u' })
    expect(() => world.turn((rows) => world.book.retry(1, world.now, rows))).toThrow(
      expect.objectContaining({ code: 'CONFLICT' }),
    )
  })
})

describe('the end of a process', () => {
  test('counts the try of each job that it cut off, and makes it a suspect, claimed alone', () => {
    const world = new World()
    world.add({}, {}, {})
    expect(world.claimed()).toEqual([1, 2, 3])
    world.crash()
    expect(world.claim()).toMatchObject([{ number: 1, attempt: 2 }])
    expect(world.claimed()).toEqual([])
    world.done(1)
    expect(world.claimed()).toEqual([2])
  })

  test('is what a job dies of that was alone three times, and no other job', () => {
    const world = new World({ concurrency: 2 })
    world.add({}, {}, {})
    world.claim()
    const alone: number[][] = []
    for (let ends = 0; ends < 4; ends++) {
      world.crash()
      world.claim()
      alone.push([...world.running.keys()])
    }
    expect(alone).toEqual([[1], [1], [1], [2]])
    expect(world.book.counts).toEqual({ ready: 1, delayed: 0, running: 1, dead: 1 })
    world.done(2)
    expect(world.claim()).toMatchObject([{ number: 3, attempt: 1 }])
  })

  test('by a close counts no try, and makes nobody a suspect', () => {
    const world = new World()
    world.add({}, {})
    world.claim()
    world.turn(() => world.book.leave())
    world.crash()
    expect(world.claim()).toMatchObject([
      { number: 1, attempt: 1 },
      { number: 2, attempt: 1 },
    ])
  })

  test('lets a suspect wait that its rate holds back, until nothing else runs', () => {
    const world = new World({ rate: { max: 1, perMs: 1_000, key: true } })
    world.add({ key: 'a' }, {}, {}, {})
    expect(world.claimed()).toEqual([1, 2, 3])
    world.crash()
    for (const suspect of [2, 3]) {
      expect(world.claimed()).toEqual([suspect])
      world.done(suspect)
    }
    expect(world.claimed()).toEqual([4])
    world.now += 1_100
    world.add({})
    expect(world.claimed()).toEqual([])
    world.done(4)
    expect(world.claimed()).toEqual([1])
    world.done(1)
    expect(world.claimed()).toEqual([5])
  })

  test('leaves a suspect that failed by itself no suspect', () => {
    const world = new World()
    world.add({}, {}, {})
    world.claim()
    world.crash()
    for (const number of world.claimed()) world.fail(number, 10)
    world.done(...world.claimed())
    world.done(...world.claimed())
    world.add({})
    world.now += 10
    expect(world.claimed()).toEqual([1, 4])
  })
})

test('a queue refuses jobs beyond its depth, and jobs with too many keys, all or none', () => {
  const world = new World({ depthMax: 3, keysMax: 2 })
  const busy = expect.objectContaining({ code: 'BUSY' })
  expect(() => world.add({}, {}, {}, {})).toThrow(busy)
  expect(() => world.add({ key: 'a' }, { key: 'b' }, { key: 'c' })).toThrow(busy)
  expect(world.stored.size).toBe(0)
  world.add({ key: 'a' }, { key: 'b' }, { key: 'b' })
  expect(() => world.add({})).toThrow(busy)
})

test('a dead job is kept for its time, and can be made ready with all its tries', () => {
  const world = new World()
  world.add({}, {})
  world.claim()
  world.fail(1)
  world.fail(2)
  expect(world.turn((rows) => world.book.retry(1, world.now, rows))).toBe(true)
  expect(world.turn((rows) => world.book.retry(1, world.now, rows))).toBe(false)
  world.now += 9_999
  world.turn((rows) => world.book.sweep(undefined, world.now, rows))
  expect(world.book.counts.dead).toBe(1)
  world.now += 1
  world.turn((rows) => world.book.sweep(undefined, world.now, rows))
  expect(world.book.counts.dead).toBe(0)
  expect(world.claim()).toMatchObject([{ number: 1, attempt: 1 }])
})

// The naive model: a list of jobs with everything that is known of each.

type Known = NewJob & {
  readonly number: number
  dueAt: number
  status: 'waiting' | 'running' | 'done' | 'dead'
  tries: number
}

const keys = ['', 'a', 'b', 'c']
const anyJob = fc.record({
  key: fc.constantFrom(...keys),
  priority: fc.constantFrom(-1, 0, 7),
  delayMs: fc.constantFrom(0, 0, 0, 30, 200),
  unique: fc.constantFrom(undefined, undefined, 'u', 'v'),
})
const anyAct = fc.oneof(
  { weight: 4, arbitrary: fc.record({ add: fc.array(anyJob, { minLength: 1, maxLength: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ done: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({ fails: fc.nat(9), inMs: fc.constantFrom(5, 50, undefined) }),
  },
  { weight: 3, arbitrary: fc.record({ passes: fc.nat(120) }) },
  { weight: 1, arbitrary: fc.record({ ends: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ refused: fc.array(anyJob, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ retry: fc.nat(30) }) },
)
const anyLimits = fc.record({
  concurrency: fc.integer({ min: 1, max: 5 }),
  perKey: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
  rate: fc.constantFrom(
    undefined,
    { max: 2, perMs: 100, key: false },
    { max: 1, perMs: 100, key: true },
  ),
  memoryMax: fc.integer({ min: 1, max: 8 }),
})

/** Drives a world and a naive list of its jobs beside it. */
class Compared {
  readonly world: World
  readonly jobs = new Map<number, Known>()
  readonly starts: { readonly key: string; readonly at: number }[] = []

  constructor(limits: Partial<QueueLimits>) {
    this.world = new World(limits)
  }

  known = (number: number): Known => this.jobs.get(number) as Known

  jobsIn(status: Known['status']): Known[] {
    return [...this.jobs.values()].filter((known) => known.status === status)
  }

  add(added: readonly NewJob[]): void {
    const { now } = this.world
    const answers = this.world.add(...added)
    for (const [at, { number, repeated }] of answers.entries()) {
      const given = added[at] as NewJob
      const holder = [...this.jobsIn('waiting'), ...this.jobsIn('running')].find(
        ({ unique }) => unique !== undefined && unique === given.unique,
      )
      expect([number, repeated]).toEqual(holder ? [holder.number, true] : [number, false])
      if (repeated) continue
      expect(this.jobs.has(number)).toBe(false)
      this.jobs.set(number, {
        ...given,
        ...{ number, dueAt: now + given.delayMs, status: 'waiting', tries: 0 },
      })
    }
  }

  startsWithin(key: string | undefined): number {
    const { now, limits } = this.world
    const from = now - (limits.rate?.perMs ?? 0)
    return this.starts.filter((start) => start.at > from && (key ?? start.key) === start.key).length
  }

  hasRoom(key: string): boolean {
    const { perKey, rate } = this.world.limits
    if (rate && !rate.key && this.startsWithin(undefined) >= rate.max) return false
    if (key === '') return true
    if (rate?.key && this.startsWithin(key) >= rate.max) return false
    return this.jobsIn('running').filter((known) => known.key === key).length < perKey
  }

  claim(): void {
    const { world } = this
    const { now } = world
    const { rate, concurrency } = world.limits
    const waits = this.jobsIn('waiting').filter(({ dueAt }) => dueAt <= now)
    const wasCut = new Map(
      world.book.kept.cut.map(([row, , isSuspect]) => [Number(row.slice(-12)), isSuspect]),
    )
    for (const claim of world.claim()) {
      const { number, record } = claim
      const known = this.known(number)
      expect([known.status, known.dueAt <= now]).toEqual(['waiting', true])
      expect(this.hasRoom(known.key)).toBe(true)
      expect(claim.attempt).toBe(known.tries + 1)
      if (!wasCut.has(number))
        for (const other of waits)
          if (other.status === 'waiting' && !wasCut.has(other.number) && this.hasRoom(other.key)) {
            // A rate counts in slots: a key may rest a little longer than the model says.
            if (!rate?.key) expect(other.priority).toBeLessThanOrEqual(record.priority)
            if (other.key === known.key && other.priority === known.priority)
              expect(number).toBeLessThanOrEqual(other.number)
          }
      if (wasCut.get(number)) expect(this.jobsIn('running')).toEqual([])
      known.status = 'running'
      known.tries++
      this.starts.push({ key: known.key, at: now })
    }
    const running = this.jobsIn('running').length
    expect(running).toBeLessThanOrEqual(concurrency)
    const isDraining = world.book.kept.cut.some(([, , isSuspect]) => isSuspect)
    const isAlone = world.book.kept.claims.some(([, , isSuspect]) => isSuspect)
    if (rate === undefined && running < concurrency && !isDraining && !isAlone)
      for (const known of waits)
        if (known.status === 'waiting') expect(this.hasRoom(known.key)).toBe(false)
    // A time that has passed would let the queue make one turn after another.
    expect(world.wakeAt ?? Number.POSITIVE_INFINITY).toBeGreaterThan(now)
    // Whatever waits starts by itself, or when a running job ends.
    if (running === 0 && this.jobsIn('waiting').length > 0)
      expect(world.wakeAt).toBeGreaterThan(now)
  }

  compare(): void {
    const { counts, kept } = this.world.book
    expect(counts).toEqual({
      ready: counts.ready,
      delayed: this.jobsIn('waiting').length - counts.ready,
      running: this.jobsIn('running').length,
      dead: this.jobsIn('dead').length,
    })
    expect(kept.claims.map(([row]) => Number(row.slice(-12))).sort()).toEqual(
      this.jobsIn('running')
        .map(({ number }) => number)
        .sort(),
    )
    const rows = [...this.world.stored.keys()].filter((row) => /^[drx]/.test(row))
    const stored = rows.map((row) => Number(row.slice(-12))).sort((one, other) => one - other)
    expect(stored).toEqual(
      [...this.jobs.values()].filter(({ status }) => status !== 'done').map(({ number }) => number),
    )
  }

  crash(isLeaving: boolean): void {
    const { world } = this
    if (isLeaving) world.turn(() => world.book.leave())
    const alone = world.kept.claims.length === 1
    for (const [row, , , endsAlone] of world.kept.claims) {
      const known = this.known(Number(row.slice(-12)))
      known.status = 'waiting'
      if (isLeaving) known.tries--
      else if (alone && endsAlone === 2) known.status = 'dead'
    }
    world.crash()
  }

  act(act: Record<string, unknown>): void {
    const { world } = this
    const running = this.jobsIn('running')
    if ('add' in act) this.add((act.add as NewJob[]).map(job))
    if ('passes' in act) world.now += act.passes as number
    if ('ends' in act) this.crash(act.ends as boolean)
    if ('refused' in act)
      world.refused((rows) => {
        for (const { number } of running.slice(1)) world.book.done(number, rows)
        world.book.add((act.refused as NewJob[]).map(job), world.now, rows)
        world.book.claim(world.now, rows)
      })
    const picked = running[((act.done ?? act.fails ?? 0) as number) % Math.max(1, running.length)]
    if ('done' in act && picked) {
      world.done(picked.number)
      picked.status = 'done'
    }
    if ('fails' in act && picked) {
      const { inMs } = act as { readonly inMs?: number }
      world.fail(picked.number, inMs)
      picked.status = inMs === undefined ? 'dead' : 'waiting'
      picked.dueAt = world.now + (inMs ?? 0)
    }
    if ('retry' in act) this.retry(act.retry as number)
  }

  retry(number: number): void {
    const { world } = this
    const known = this.jobs.get(number)
    const isHeld = [...this.jobsIn('waiting'), ...this.jobsIn('running')].some(
      ({ unique }) => unique !== undefined && unique === known?.unique,
    )
    const retry = () => world.turn((rows) => world.book.retry(number, world.now, rows))
    if (known?.status !== 'dead') expect(retry()).toBe(false)
    else if (isHeld) expect(retry).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    else {
      expect(retry()).toBe(true)
      Object.assign(known, { status: 'waiting', tries: 0, dueAt: world.now })
    }
  }
}

test('limits hold, nothing is lost and nothing idles, whatever happens in which order', {
  tags: ['W10'],
}, () => {
  fc.assert(
    fc.property(anyLimits, fc.array(anyAct, { maxLength: 60 }), (limits, acts) => {
      const compared = new Compared(limits)
      for (const act of acts) {
        compared.act(act)
        compared.claim()
        compared.compare()
      }
    }),
    { numRuns: 400 },
  )
})
