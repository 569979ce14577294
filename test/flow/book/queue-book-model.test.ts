/** The book of a queue against a naive list of its jobs. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ChangedLimits } from '../../../src/flow/book/queue-limits.ts'
import { numberOf } from '../../../src/flow/book/queue-rows.ts'
import type { NewJob, QueueLimits } from '../../../src/flow/book/queue-types.ts'
import { BookWorld, newJob } from '../../support/worlds/queue-book.ts'

/** A job of the naive list, with everything that is known of it. */
type Known = NewJob & {
  readonly number: number
  dueAt: number
  /** `gone`: it was removed. */
  status: 'waiting' | 'running' | 'done' | 'dead' | 'gone'
  tries: number
  /** Its result is kept since then. */
  doneAt?: number | undefined
}

const keys = ['', 'a', 'b', 'c']
const anyJob = fc.record({
  key: fc.constantFrom(...keys),
  priority: fc.constantFrom(-1, 0, 7),
  delayMs: fc.constantFrom(0, 0, 0, 30, 200),
  unique: fc.constantFrom(undefined, undefined, 'u', 'v'),
})
const anyChange = fc.record({
  delayMs: fc.constantFrom(undefined, 0, 40),
  priority: fc.constantFrom(undefined, -1, 7),
})
const anyDrain = fc.record({
  state: fc.constantFrom('waiting' as const, 'delayed' as const, 'dead' as const),
  key: fc.constantFrom(undefined, '', 'a'),
  priority: fc.constantFrom(undefined, 0),
})
const rates = [
  { max: 3, per: 100, key: false },
  { max: 1, per: 40, key: false },
  { max: 2, per: 100, key: true },
  null,
]
/** Limits that change at run time; `undefined`: they are reset. */
const anyLimitsChange = fc.option(
  fc.oneof(
    fc.record({ concurrency: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ perKey: fc.constantFrom(1, 2, 10_000) }),
    fc.record({ rate: fc.constantFrom(...rates) }),
  ),
  { nil: undefined },
)
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
  { weight: 1, arbitrary: fc.record({ early: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ retry: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ removes: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ updates: fc.nat(30), change: anyChange }) },
  { weight: 1, arbitrary: fc.record({ drains: anyDrain }) },
  { weight: 1, arbitrary: fc.record({ sweeps: fc.constant(true) }) },
  { weight: 1, arbitrary: fc.record({ changes: anyLimitsChange }) },
)
const anyLimits = fc.record({
  concurrency: fc.integer({ min: 1, max: 5 }),
  perKey: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
  rate: fc.constantFrom(
    undefined,
    { max: 2, perMs: 100, key: false },
    { max: 1, perMs: 100, key: true },
  ),
  resultsMs: fc.constantFrom(undefined, 150),
  batch: fc.constantFrom(
    ...[undefined, undefined, { max: 2, waitMs: 0 }, { max: 3, waitMs: 50 }, { max: 4, waitMs: 7 }],
  ),
})

/** Drives a world and a naive list of its jobs beside it. */
class Compared {
  readonly world: BookWorld
  readonly jobs = new Map<number, Known>()
  readonly starts: { readonly key: string; readonly at: number }[] = []
  deadSince: number | undefined
  /** Until when the jobs that wait for others wait at most. */
  waitsUntil = Number.POSITIVE_INFINITY

  constructor(limits: Partial<QueueLimits>) {
    this.world = new BookWorld(limits)
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
    const { now, holding: limits } = this.world
    const from = now - (limits.rate?.perMs ?? 0)
    return this.starts.filter((start) => start.at > from && (key ?? start.key) === start.key).length
  }

  hasRoom(key: string): boolean {
    const { perKey, rate } = this.world.holding
    if (rate && !rate.key && this.startsWithin(undefined) >= rate.max) return false
    if (key === '') return true
    if (rate?.key && this.startsWithin(key) >= rate.max) return false
    return this.jobsIn('running').filter((known) => known.key === key).length < perKey
  }

  claim(): void {
    const { world } = this
    const { now } = world
    const { rate, concurrency } = world.holding
    const ran = this.jobsIn('running').length
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
    // Jobs that ran when the limit was lowered go on.
    expect(running).toBeLessThanOrEqual(Math.max(concurrency, ran))
    const isDraining = world.book.kept.cut.some(([, , isSuspect]) => isSuspect)
    const isAlone = world.book.kept.claims.some(([, , isSuspect]) => isSuspect)
    if (rate === undefined && !isDraining && !isAlone) this.judgeLeft(waits)
    // A time that has passed would let the queue make one turn after another.
    expect(world.wakeAt).toBeGreaterThan(now)
    // Whatever waits starts by itself, or when a running job ends.
    if (running === 0 && this.jobsIn('waiting').length > 0)
      expect(world.wakeAt).toBeLessThan(Number.POSITIVE_INFINITY)
  }

  /** A job that may start has started. In a queue with batches fewer than a batch may wait for others, for a time. */
  judgeLeft(waits: readonly Known[]): void {
    const { world } = this
    const { now } = world
    const { concurrency, perKey, batch } = world.holding
    const places = concurrency - this.jobsIn('running').length
    const left = waits.filter(({ status, key }) => status === 'waiting' && this.hasRoom(key))
    const ofKeys = keys.map((key) => {
      const ofKey = left.filter((known) => known.key === key).length
      const run = this.jobsIn('running').filter((known) => known.key === key).length
      return key === '' ? ofKey : Math.min(ofKey, perKey - run)
    })
    const ready = Math.max(0, Math.min(places, ...[ofKeys.reduce((sum, of) => sum + of, 0)]))
    const hold = world.book.holds(['other'], now)[0]
    const until = hold?.reason === 'batch' ? hold.until : undefined
    if (batch === undefined || batch.waitMs === 0) expect(ready).toBe(0)
    else if (ready > 0) {
      expect(ready).toBeLessThan(Math.min(batch.max, concurrency))
      expect(until).toBeGreaterThan(now)
      expect(until).toBeLessThanOrEqual(Math.min(now + batch.waitMs, this.waitsUntil))
      expect(world.wakeAt).toBeLessThanOrEqual(until as number)
    }
    // The wait of the first one is not begun again by those that follow, unless a batch has started.
    const hasStarted = this.starts.some(({ at }) => at === now)
    this.waitsUntil = until === undefined || hasStarted ? Number.POSITIVE_INFINITY : until
  }

  compare(): void {
    const { counts, kept } = this.world.book
    const dead = this.jobsIn('dead').length
    this.deadSince = dead === 0 ? undefined : (this.deadSince ?? this.world.now)
    expect(counts).toEqual({
      ready: counts.ready,
      delayed: this.jobsIn('waiting').length - counts.ready,
      running: this.jobsIn('running').length,
      dead,
      deadSince: this.deadSince,
      unreadable: [],
    })
    expect(kept.claims.map(([row]) => Number(row.slice(-12))).sort()).toEqual(
      this.jobsIn('running')
        .map(({ number }) => number)
        .sort(),
    )
    const rows = [...this.world.stored.keys()].filter((row) => /^[drx]/.test(row))
    const stored = rows.map((row) => Number(row.slice(-12))).sort((one, other) => one - other)
    expect(stored).toEqual(
      [...this.jobs.values()]
        .filter(({ status }) => status !== 'done' && status !== 'gone')
        .map(({ number }) => number),
    )
    this.compareLooks()
  }

  /** What a look finds of each job, and that nothing else is stored of it. */
  compareLooks(): void {
    const { world } = this
    const found = [...this.jobs.keys()].map((number) => world.find(number)?.state)
    expect(found).toEqual([...this.jobs.values()].map((known) => this.stateOf(known)))
    const numbersIn = (prefix: string) =>
      [...world.stored.keys()]
        .filter((row) => row.startsWith(prefix))
        .map(numberOf)
        .sort()
    expect(numbersIn('i/')).toEqual(numbersIn('d/'))
    const kept = [...this.jobs.values()].filter(({ doneAt }) => doneAt !== undefined)
    expect(numbersIn('v/')).toEqual(kept.map(({ number }) => number).sort())
  }

  stateOf({ status, number }: Known): string | undefined {
    if (status === 'done' || status === 'gone') return undefined
    return status === 'waiting' ? this.waits(number) : status
  }

  /** A job is ready from the claims on that follow its time. */
  waits(number: number): string {
    const isDelayed = [...this.world.stored.keys()].some(
      (row) => row.startsWith('d/') && numberOf(row) === number,
    )
    if (!isDelayed) expect(this.known(number).dueAt).toBeLessThanOrEqual(this.world.now)
    return isDelayed ? 'delayed' : 'waiting'
  }

  crash(isLeaving: boolean): void {
    const { world } = this
    this.waitsUntil = Number.POSITIVE_INFINITY
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
    if ('add' in act) this.add((act.add as NewJob[]).map(newJob))
    if ('passes' in act) world.now += act.passes as number
    if ('ends' in act) this.crash(act.ends as boolean)
    if ('refused' in act) {
      this.waitsUntil = Number.POSITIVE_INFINITY
      world.refused((rows) => {
        for (const { number } of running.slice(1))
          world.book.done(number, { result: 1, log: [] }, world.now, rows)
        world.book.changeLimits({ concurrency: 1, rate: null }, world.now, rows)
        world.book.add((act.refused as NewJob[]).map(newJob), world.now, rows)
        world.book.claim(world.now, rows, 1_000)
      })
    }
    const place = (act.done ?? act.fails ?? act.early ?? 0) as number
    const picked = running[place % Math.max(1, running.length)]
    if ('done' in act && picked) {
      world.done(picked.number)
      picked.status = 'done'
      if (world.limits.resultsMs !== undefined) picked.doneAt = world.now
    }
    if ('fails' in act && picked) {
      const { inMs } = act as { readonly inMs?: number }
      world.fail(picked.number, inMs)
      picked.status = inMs === undefined ? 'dead' : 'waiting'
      picked.dueAt = world.now + (inMs ?? 0)
    }
    if ('early' in act && picked) {
      world.again(picked.number)
      picked.status = 'waiting'
      picked.tries--
    }
    if ('retry' in act) this.retry(act.retry as number)
    if ('removes' in act) this.remove(act.removes as number)
    if ('updates' in act) this.update(act as Parameters<Compared['update']>[0])
    if ('drains' in act) this.drain(act.drains as Parameters<Compared['drain']>[0])
    if ('sweeps' in act) this.sweep()
    if ('changes' in act) this.change(act.changes as ChangedLimits | undefined)
  }

  remove(number: number): void {
    const known = this.jobs.get(number)
    const state = known && this.stateOf(known)
    expect(this.world.remove(number)).toBe(
      state ?? (known?.doneAt === undefined ? undefined : 'done'),
    )
    if (!known) return
    known.doneAt = undefined
    if (state) known.status = 'gone'
  }

  update({
    updates: number,
    change,
  }: {
    updates: number
    change: { delayMs?: number; priority?: number }
  }): void {
    const { world } = this
    const known = this.jobs.get(number)
    const isCut = world.book.kept.cut.some(([row]) => numberOf(row) === number)
    const update = () => world.update(number, change)
    if (known?.status !== 'waiting' || isCut) {
      expect(update).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
      return
    }
    update()
    const { delayMs, priority = known.priority } = change
    Object.assign(known, {
      priority,
      dueAt: delayMs === undefined ? known.dueAt : world.now + delayMs,
    })
  }

  drain(which: { state: 'waiting' | 'delayed' | 'dead'; key?: string; priority?: number }): void {
    const { state, key, priority } = which
    const wanted = [...this.jobs.values()].filter(
      (known) =>
        this.stateOf(known) === state &&
        (key ?? known.key) === known.key &&
        (priority ?? known.priority) === known.priority,
    )
    expect(this.world.drain(which)).toBe(wanted.length)
    for (const known of wanted) known.status = 'gone'
  }

  /** Starts that another rate has counted may be unknown to the new one. */
  change(change: ChangedLimits | undefined): void {
    const { rate } = this.world.holding
    const { concurrency, perKey, rate: next } = this.world.change(change)
    expect([concurrency, perKey]).toEqual([
      this.world.holding.concurrency,
      this.world.holding.perKey,
    ])
    if (next?.per !== rate?.perMs || next?.key !== rate?.key) this.starts.length = 0
  }

  sweep(): void {
    const { now, limits } = this.world
    this.world.sweep()
    for (const known of this.jobs.values())
      if (known.doneAt !== undefined && known.doneAt + (limits.resultsMs ?? 0) <= now)
        known.doneAt = undefined
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
  tags: ['slow', 'W10'],
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

test('the place of a job that waits is the number of jobs that start before it', () => {
  fc.assert(
    fc.property(fc.array(anyJob, { minLength: 2, maxLength: 40 }), fc.nat(9), (jobs, started) => {
      const world = new BookWorld({ concurrency: 1 })
      world.add(...jobs.map((job) => ({ ...job, delayMs: 0, unique: undefined })))
      const startNext = (): number | undefined => {
        world.done(...world.running.keys())
        return world.claimed()[0]
      }
      for (let left = started; left > 0; left--) startNext()
      const rows = [...world.stored.keys()].filter((row) => row.startsWith('r/'))
      const places = new Map(rows.map((row) => [numberOf(row), world.book.before(row)]))
      const [running] = world.running.keys()

      if (running !== undefined) expect(places.get(running)).toBeUndefined()
      for (let at = 0, next = startNext(); next !== undefined; next = startNext(), at++)
        expect(places.get(next)).toBe(at)
    }),
  )
})

test('a job that was cut off has its place before jobs that have not run', () => {
  const world = new BookWorld({ concurrency: 2 })
  world.add({}, {}, {})
  world.claim()
  world.crash()

  const rows = [...world.stored.keys()].toSorted()
  expect(rows.map((row) => world.book.before(row))).toEqual([0, 1, 2])
})
